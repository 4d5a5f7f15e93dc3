"""tools/setup: silent when nothing is missing, asks the package manager for
what is missing and nothing else, and explains itself when it cannot."""

import os
import subprocess
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
SETUP = os.path.join(TOP, "tools", "setup")
NEEDED = ["cat", "env", "id", "mktemp", "rm", "sh", "tail"]
LIBRARIES = ["libzmq3-dev", "libczmq-dev", "libsqlite3-dev", "libmsgpack-dev",
             "libsodium-dev", "libjansson-dev"]


class Setup(unittest.TestCase):
    """Runs it where only NEEDED and what the test writes can be found."""

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.path = self.directory.name
        self.calls = os.path.join(self.path, "calls")
        for name in NEEDED:
            for folder in ("/bin", "/usr/bin"):
                if os.path.exists(os.path.join(folder, name)):
                    os.symlink(os.path.join(folder, name), self.file(name))
                    break

    def file(self, name):
        return os.path.join(self.path, name)

    def write(self, name, *lines):
        if os.path.islink(self.file(name)):
            os.unlink(self.file(name))
        with open(self.file(name), "w", encoding="utf-8") as file:
            file.write("\n".join(["#!/bin/sh", *lines, ""]))
        os.chmod(self.file(name), 0o755)

    def write_apt(self, code):
        self.write("apt-get", 'echo "$*" >>%s' % self.calls,
                   "echo E: it is so", "exit %d" % code)

    def write_everything_but(self, *names):
        for name in ("cc", "gcc", "make", "cmake", "pkg-config", "sqlite3",
                     "python3", "clang", "clang-format",
                     "dpkg-shlibdeps", "file"):
            if name not in names:
                self.write(name, "exit 0")

    def run_setup(self, *arguments):
        return subprocess.run([SETUP, *arguments], capture_output=True,
                              text=True, env={"PATH": self.path},
                              stdin=subprocess.DEVNULL)

    def asked(self):
        if not os.path.exists(self.calls):
            return []
        with open(self.calls, encoding="utf-8") as file:
            return file.read().splitlines()

    def test_says_nothing_when_nothing_is_missing(self):
        self.write_everything_but()
        self.write_apt(1)
        done = self.run_setup("test")
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (0, "", ""))
        self.assertEqual(self.asked(), [])

    def test_asks_for_exactly_what_is_missing(self):
        self.write_everything_but("sqlite3")
        self.write("id", "echo 0")
        self.write_apt(0)
        done = self.run_setup()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, "setup: installing sqlite3\n")
        self.assertEqual(len(self.asked()), 1)
        self.assertTrue(self.asked()[0].endswith(
            " install --yes --no-install-recommends sqlite3"))

    def test_only_the_tests_need_a_second_compiler(self):
        self.write_everything_but("clang", "clang-format")
        self.assertEqual(self.run_setup().returncode, 0)
        self.assertEqual(self.run_setup("test").returncode, 1)

    def test_without_pkg_config_all_libraries_are_asked_for(self):
        self.write_everything_but("pkg-config")
        self.write("id", "echo 0")
        self.write_apt(0)
        self.assertEqual(self.run_setup().returncode, 0)
        self.assertTrue(self.asked()[0].endswith(
            " ".join(["pkg-config", *LIBRARIES])))

    def test_fetches_the_lists_only_after_a_failure(self):
        self.write_everything_but("make")
        self.write("id", "echo 0")
        self.write_apt(100)
        done = self.run_setup()
        self.assertEqual(done.returncode, 1)
        self.assertEqual([" update" in call for call in self.asked()],
                         [False, True])
        self.assertIn("E: it is so", done.stderr)
        self.assertIn("  next:    ", done.stderr)

    def test_without_root_and_sudo_it_names_the_command(self):
        self.write_everything_but("make", "sqlite3")
        self.write("id", "echo 1000")
        self.write_apt(0)
        done = self.run_setup()
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.asked(), [])
        self.assertEqual(done.stderr, (
            "setup: Missing: make sqlite3.\n"
            "  meaning: Only root can install them, and there is no sudo.\n"
            "  next:    As root: apt-get install --no-install-recommends make"
            " sqlite3\n"))

    def test_with_sudo_it_never_asks_nobody_for_a_password(self):
        self.write_everything_but("make")
        self.write("id", "echo 1000")
        self.write_apt(0)
        self.write("sudo", '[ "$1" = -n ] || exit 1', "shift", '"$@"')
        self.assertEqual(self.run_setup().returncode, 0)
        self.assertEqual(len(self.asked()), 1)


if __name__ == "__main__":
    unittest.main()
