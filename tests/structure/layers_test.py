"""The layers hold, and the check that says so can fail."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import layers  # noqa: E402


class Layers(unittest.TestCase):
    def setUp(self):
        self.maxDiff = None

    def findings_with(self, path, text):
        """The findings in a copy of the tree in which `text` was put at the
        end of the file `path`."""
        with tempfile.TemporaryDirectory() as copy:
            for folder in ("include", "src", "sim", "tests", "tools"):
                shutil.copytree(os.path.join(TOP, folder),
                                os.path.join(copy, folder))
            with open(os.path.join(copy, path), "a",
                      encoding="utf-8") as file:
                file.write("\n" + text + "\n")
            return layers.check(copy)

    def assert_found(self, path, text, words):
        found = [finding for finding in self.findings_with(path, text)
                 if finding.startswith(path) and words in finding]
        self.assertEqual(len(found), 1, "%r in %s" % (text, path))

    def test_the_tree_keeps_the_layers(self):
        self.assertEqual(layers.check(TOP), [])

    def test_a_layer_above_is_found(self):
        self.assert_found("src/store/rows.c", '#include "net/net.h"',
                          "src/store may not see net")
        self.assert_found("src/net/net.c", '#include "store/store.h"',
                          "src/net may not see store")
        self.assert_found("src/cmd/main.c", '#include "base/log.h"',
                          "src/cmd may not see base")
        self.assert_found("sim/proxy.c", '#include "node/node.h"',
                          "sim may not see node")

    def test_a_library_out_of_place_is_found(self):
        self.assert_found("src/wire/frame.c", "#include <sqlite3.h>",
                          "src/wire may not use SQLite")
        self.assert_found("src/cmd/main.c", "#include <sqlite3.h>",
                          "src/cmd may not use SQLite")
        self.assert_found("src/node/loop.c", "#include <zmq.h>",
                          "src/node may not use libzmq")

    def test_a_core_that_acts_on_the_world_is_found(self):
        self.assert_found("src/core/vv.c", "#include <time.h>",
                          "nothing that can act on the world")
        self.assert_found("src/core/vv.c", "int x(void) { return rand(); }",
                          "the core calls rand()")

    def test_a_way_out_of_the_source_is_found(self):
        self.assert_found("src/base/log.c", '#include "../../tests/check.h"',
                          "leaves the folder")

    def test_a_source_that_nothing_builds_is_found(self):
        self.assert_found("src/store/forgotten.c", "int x;",
                          "nothing builds it")


class Format(unittest.TestCase):
    def test_clang_format_would_change_nothing(self):
        program = shutil.which("clang-format")
        if program is None:
            self.skipTest("there is no clang-format")
        version = subprocess.check_output([program, "--version"], text=True)
        # Each version has its own taste.
        if "version 14." not in version:
            self.skipTest("this is not clang-format 14")
        paths = [path for folder in ("include", "src", "sim", "tests", "tools")
                 for path in layers.sources(TOP, folder)]
        done = subprocess.run([program, "--dry-run", *paths], cwd=TOP,
                              capture_output=True, text=True)
        unlike = {line.split(":")[0] for line in done.stderr.splitlines()
                  if "clang-format-violations" in line}
        self.assertEqual(sorted(unlike), [], "run: clang-format -i "
                         + " ".join(sorted(unlike)))


if __name__ == "__main__":
    unittest.main()
