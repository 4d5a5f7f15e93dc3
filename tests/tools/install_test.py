"""What is installed is enough to build a program against it, by pkg-config
and by CMake, also after the tree was moved."""

import os
import shutil
import subprocess
import tempfile
import unittest

BUILD = os.environ["GRAPEVINE_BUILD"]
CC = os.environ["GRAPEVINE_CC"]
SANITIZE = ["-fsanitize=" + kinds
            for kinds in [os.environ["GRAPEVINE_SANITIZE"]] if kinds]

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
                          stderr=subprocess.STDOUT, text=True, timeout=120,
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

    def test_the_shell_loads_the_extension(self):
        if shutil.which("sqlite3") is None or SANITIZE:
            self.skipTest("there is no sqlite3 shell that could load it")
        extension = self.find("grapevine.so")
        self.assertIn(os.sep + "lib", extension[len(self.prefix):])
        printed = run("sqlite3", "-cmd", ".load " + extension, ":memory:",
                      "SELECT gv_site_id() IS NULL")
        self.assertEqual(printed, "1\n")

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
