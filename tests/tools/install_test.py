"""What is installed is enough to build a program against it, by pkg-config
and by CMake, also after the tree was moved; and what goes with it."""

import os
import shutil
import subprocess
import tempfile
import unittest

BUILD = os.environ["GRAPEVINE_BUILD"]
CC = os.environ["GRAPEVINE_CC"]
SANITIZE = ["-fsanitize=" + kinds
            for kinds in [os.environ["GRAPEVINE_SANITIZE"]] if kinds]

EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..",
                        "tools", "examples")

PROGRAM = r"""
#include <grapevine.h>
#include <stdio.h>

int main(void)
{
    struct gv_error error;
    struct gv_db *db = NULL;
    int rc = gv_open("no-such-file.db", 0, &db, &error);

    printf("%s %d %s\n", gv_version_string(), rc, gv_strerror(rc));
    gv_close(db);
    return 0;
}
"""
LISTS = """
cmake_minimum_required(VERSION 3.25)
project(user LANGUAGES C)
find_package(grapevine 0.1 REQUIRED)
add_executable(program program.c)
target_link_libraries(program PRIVATE grapevine::grapevine)
"""
EXPECTED = "0.1.0 -14 not found\n"


def run(*arguments, **options):
    done = subprocess.run(arguments, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=600,
                          **options)
    if done.returncode != 0:
        raise AssertionError("%s: %s" % (" ".join(arguments), done.stdout))
    return done.stdout


class Install(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.work = directory.name
        first = os.path.join(self.work, "first")
        self.prefix = os.path.join(self.work, "moved")
        run("cmake", "--install", BUILD, "--prefix", first)
        os.rename(first, self.prefix)
        with open(self.file("program.c"), "w", encoding="utf-8") as file:
            file.write(PROGRAM)

    def file(self, name):
        return os.path.join(self.work, name)

    def find(self, name):
        for directory, _, files in os.walk(self.prefix):
            if name in files:
                return os.path.join(directory, name)
        self.fail("%s is not installed" % name)

    def test_the_command_finds_its_library(self):
        command = os.path.join(self.prefix, "bin", "grapevine")
        printed = run(command, "--version", env={"PATH": "/nowhere"})
        self.assertIn("0.1.0", printed)

    def test_a_program_is_built_by_pkg_config(self):
        place = os.path.dirname(self.find("grapevine.pc"))
        flags = run("pkg-config", "--cflags", "--libs", "grapevine",
                    env={**os.environ, "PKG_CONFIG_PATH": place}).split()
        run(CC, self.file("program.c"), "-Wall", "-Wextra", "-Wpedantic",
            "-Werror", "-o", self.file("program"), *flags, *SANITIZE)
        library = os.path.dirname(self.find("libgrapevine.so"))
        printed = run(self.file("program"), cwd=self.work,
                      env={**os.environ, "LD_LIBRARY_PATH": library})
        self.assertEqual(printed, EXPECTED)

    def test_a_program_is_built_by_cmake(self):
        with open(self.file("CMakeLists.txt"), "w", encoding="utf-8") as file:
            file.write(LISTS)
        run("cmake", "-S", self.work, "-B", self.file("build"),
            "-DCMAKE_PREFIX_PATH=" + self.prefix, "-DCMAKE_C_COMPILER=" + CC,
            "-DCMAKE_C_FLAGS=" + " ".join(SANITIZE))
        run("cmake", "--build", self.file("build"))
        printed = run(self.file("build/program"), cwd=self.work)
        self.assertEqual(printed, EXPECTED)

    def test_the_examples_are_built_against_it(self):
        place = os.path.dirname(self.find("grapevine.pc"))
        flags = run("pkg-config", "--cflags", "--libs", "grapevine", "sqlite3",
                    env={**os.environ, "PKG_CONFIG_PATH": place}).split()
        library = os.path.dirname(self.find("libgrapevine.so"))
        sources = [name for name in os.listdir(EXAMPLES)
                   if name.endswith(".c")]
        self.assertIn("merge_two.c", sources)
        for name in sources:
            run(CC, os.path.join(EXAMPLES, name), "-pthread", "-o",
                self.file("example"), *flags, *SANITIZE)
            done = subprocess.run([self.file("example")], text=True,
                                  capture_output=True, timeout=600,
                                  check=False,
                                  env={**os.environ,
                                       "LD_LIBRARY_PATH": library})
            self.assertEqual(done.returncode, 2, name + done.stderr)
            self.assertIn("usage:", done.stderr)

    def test_the_shell_loads_the_extension(self):
        if shutil.which("sqlite3") is None or SANITIZE:
            self.skipTest("there is no sqlite3 shell that could load it")
        extension = self.find("grapevine.so")
        self.assertIn(os.sep + "lib", extension[len(self.prefix):])
        printed = run("sqlite3", "-cmd", ".load " + extension, ":memory:",
                      "SELECT gv_site_id() IS NULL")
        self.assertEqual(printed, "1\n")

    def test_there_is_a_manual_page_for_each_command(self):
        command = os.path.join(self.prefix, "bin", "grapevine")
        listed = [line.split()[0] for line in
                  run(command, "help").split("\n\n")[2].splitlines()]
        self.assertIn("run", listed)
        for name in listed:
            with open(self.find("grapevine-%s.1" % name),
                      encoding="ascii") as file:
                page = file.read()
            self.assertEqual(page, run(command, "help", "--man", name))
            for section in ("NAME", "SYNOPSIS", "DESCRIPTION"):
                self.assertIn(".SH %s\n" % section, page)
        with open(self.find("grapevine.1"), encoding="ascii") as file:
            page = file.read()
        for name in listed:
            self.assertIn("grapevine\\-%s (1)" % name, page)

    def test_the_unit_runs_the_installed_command(self):
        with open(self.find("grapevine@.service"), encoding="utf-8") as file:
            unit = file.read()
        start = [line for line in unit.splitlines()
                 if line.startswith("ExecStart=")]
        self.assertEqual(len(start), 1)
        self.assertRegex(start[0], r"/bin/grapevine run \$\{DB\} \$OPTIONS$")
        self.assertNotIn("@CMAKE", unit)
        self.find("grapevine.conf")

    def test_a_debian_package_holds_all_of_it(self):
        run("cpack", "--config", os.path.join(BUILD, "CPackConfig.cmake"),
            "-G", "DEB", "-B", self.work)
        package, = [name for name in os.listdir(self.work)
                    if name.endswith(".deb")]
        fields = run("dpkg-deb", "--field", self.file(package))
        self.assertRegex(fields, r"(?m)^Package: grapevine$")
        self.assertRegex(fields, r"(?m)^Depends: .*libsqlite3-0.*libzmq5")
        run("dpkg-deb", "--extract", self.file(package), self.file("root"))
        command = self.file("root/usr/bin/grapevine")
        self.assertIn("0.1.0", run(command, "--version"))
        for name in ("usr/include/grapevine.h",
                     "usr/lib/systemd/system/grapevine@.service",
                     "usr/lib/sysusers.d/grapevine.conf",
                     "usr/share/man/man1/grapevine-run.1"):
            self.assertTrue(os.path.exists(self.file("root/" + name)), name)

    def test_only_the_public_functions_are_visible(self):
        if shutil.which("nm") is None:
            self.skipTest("there is no nm")
        names = [line.split()[-1] for line in
                 run("nm", "--dynamic", "--defined-only",
                     self.find("libgrapevine.so")).splitlines()]
        others = [name for name in names if not name.startswith("gv_")
                  and not name.startswith(("__asan", "__odr_asan"))]
        self.assertEqual(others, [])


if __name__ == "__main__":
    unittest.main()
