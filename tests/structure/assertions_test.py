"""Where the protocol and the file live, the source says what it relies on:
src/core and src/store have at least 50 assertions in 1,000 lines."""

import os
import re
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import layers  # noqa: E402

PER_THOUSAND = 50
ASSERTION = re.compile(r"\b(?:GV_ASSERT|_Static_assert)\s*\(")


def plain(text):
    """`text` without comments and quoted text, with all its lines."""
    return layers.QUOTED_OR_COMMENT.sub(
        lambda match: "\n" * match[0].count("\n"), text)


def density(top, folder):
    """Assertions in 1,000 lines of the .c files of `folder`."""
    lines = assertions = 0
    for path in layers.sources(top, folder):
        if path.endswith(".c"):
            text = layers.read(top, path)
            lines += len(text.splitlines())
            assertions += len(ASSERTION.findall(plain(text)))
    return 1000 * assertions / lines


class Assertions(unittest.TestCase):
    def assert_dense(self, folder):
        found = density(TOP, folder)
        self.assertGreaterEqual(
            found, PER_THOUSAND,
            "%s has %.1f assertions in 1,000 lines" % (folder, found))

    def test_the_core_asserts_what_it_relies_on(self):
        self.assert_dense("src/core")

    def test_the_store_asserts_what_it_relies_on(self):
        self.assert_dense("src/store")

    def density_of(self, text):
        with tempfile.TemporaryDirectory() as top:
            os.mkdir(os.path.join(top, "folder"))
            with open(os.path.join(top, "folder", "a.c"), "w",
                      encoding="utf-8") as file:
                file.write(text)
            with open(os.path.join(top, "folder", "a.h"), "w",
                      encoding="utf-8") as file:
                file.write("GV_ASSERT(headers count for nothing)\n")
            return density(top, "folder")

    def test_what_asserts_is_counted_among_all_lines(self):
        self.assertEqual(self.density_of(
            "_Static_assert(1, \"\");\n\n    GV_ASSERT(a);\n/* b\n */\n"), 400)

    def test_what_only_speaks_of_asserting_is_not_counted(self):
        self.assertEqual(self.density_of(
            "/* GV_ASSERT(a)\n */ // GV_ASSERT(b)\n"
            "f(\"GV_ASSERT(c)\"); NOT_GV_ASSERT(d); assert(e);\n"), 0)


if __name__ == "__main__":
    unittest.main()
