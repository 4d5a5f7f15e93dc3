"""The README's commands do what it says.

Every block marked `sh` runs, in order, in one shell; a line that ends with
`# text` is asked until it prints that text.  The block marked `c` is built and
run against the library of this build."""

import os
import re
import socket
import subprocess
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.environ["GRAPEVINE_BUILD"]
CC = os.environ["GRAPEVINE_CC"]
SANITIZE = ["-fsanitize=" + kinds
            for kinds in [os.environ["GRAPEVINE_SANITIZE"]] if kinds]

BEFORE = r"""
set -eu
expect() {
    expected=$1
    shift
    for _ in $(seq 600); do
        if [ "$("$@" 2>&1)" = "$expected" ]; then return; fi
        sleep 0.05
    done
    echo "expected '$expected' from: $*" >&2
    "$@" || true
    exit 1
}
"""


def blocks(kind):
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as file:
        return re.findall(r"^```%s\n(.*?)^```$" % kind, file.read(),
                          re.DOTALL | re.MULTILINE)


def free_port():
    for port in range(20000 + os.getpid() % 10000, 32000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no free port")


class Readme(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def with_free_ports(self, text):
        for port in sorted(set(re.findall(r"127\.0\.0\.1:(\d+)", text))):
            text = text.replace("127.0.0.1:" + port,
                                "127.0.0.1:%d" % free_port())
        return text

    def test_the_commands_do_what_it_says(self):
        script = BEFORE + "".join(blocks("sh"))
        script, count = re.subn(r"^(.*\S)  # (.*)$", r"expect '\2' \1",
                                script, flags=re.MULTILINE)
        self.assertEqual(count, script.count("\nexpect '"))
        self.assertGreaterEqual(count, 4)
        # What the commands start ends with the shell that runs them.
        script = ("trap 'grapevine lab down; kill $(jobs -p)' EXIT\n"
                  + self.with_free_ports(script) + "wait\ntrap - EXIT\n")
        done = subprocess.run(
            ["bash", "-c", script], cwd=TOP, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "TMPDIR": self.directory}, timeout=600)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_every_tool_it_names_is_there(self):
        with open(os.path.join(TOP, "README.md"), encoding="utf-8") as file:
            text = file.read()
        for path in re.findall(r"\]\(([^)#:]+)\)|`((?:tools|sim|tests|include"
                               r"|src)/[\w./-]*)", text):
            path = path[0] or path[1]
            self.assertTrue(os.path.exists(os.path.join(TOP, path)), path)
        for name in re.findall(r"`build/release/(tools/bench/[\w-]+)", text):
            self.assertTrue(os.path.exists(os.path.join(BUILD, name)), name)

    def test_the_program_in_c_runs_a_node(self):
        source = os.path.join(self.directory, "program.c")
        program = os.path.join(self.directory, "program")
        [text] = blocks("c")
        with open(source, "w", encoding="utf-8") as file:
            file.write(self.with_free_ports(text))
        library = os.path.join(BUILD, "src", "api")
        subprocess.run(
            [CC, "-std=c11", "-Wall", "-Wextra", "-Werror", "-I",
             os.path.join(TOP, "include"), source, "-o", program, "-L",
             library, "-lgrapevine", "-Wl,-rpath," + library, *SANITIZE],
            check=True)
        node = subprocess.Popen([program], cwd=self.directory)
        self.addCleanup(node.wait)
        self.addCleanup(node.kill)
        command = os.path.join(BUILD, "src", "cmd", "grapevine")
        status = ""
        for _ in range(600):
            status = subprocess.run(
                [command, "status", "--json", "app.db"], cwd=self.directory,
                capture_output=True, text=True).stdout
            if '"running": true' in status:
                break
            self.assertIsNone(node.poll(), "the program ended")
        self.assertIn('"running": true', status)


if __name__ == "__main__":
    unittest.main()
