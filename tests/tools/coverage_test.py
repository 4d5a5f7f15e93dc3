"""tools/coverage: what it sets aside, and what it does not."""

import importlib.machinery
import importlib.util
import os
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))


def load():
    loader = importlib.machinery.SourceFileLoader(
        "coverage_tool", os.path.join(TOP, "tools", "coverage"))
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


coverage = load()


class Source(unittest.TestCase):
    """The function's opening brace is line 2, @lines begin at line 3."""

    def look(self, *lines):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "x.c")
            with open(path, "w", encoding="utf-8") as file:
                file.write("\n".join(["int f(void)", "{", *lines, "}", ""]))
            return coverage.Source(path)

    def test_a_check_of_an_allocation_is_aside_with_its_body(self):
        source = self.look("    x = malloc(9);",
                           "    if (x == NULL)",
                           "        return NULL;",
                           "    return x;")
        self.assertEqual(source.branches_aside, {4})
        self.assertEqual(source.lines_aside, {5})

    def test_another_pointer_that_is_null_counts(self):
        source = self.look("    y = malloc(9);",
                           "    if (x == NULL)",
                           "        return NULL;")
        self.assertEqual(source.branches_aside, set())
        self.assertEqual(source.lines_aside, set())

    def test_a_body_that_reports_no_memory_is_aside_but_not_a_larger_one(self):
        source = self.look("    if (rc != GV_OK &&",
                           "        more) {",
                           "        free(x);",
                           "        return GV_ENOMEM;",
                           "    }",
                           "    if (y) {",
                           "        z();",
                           "        if (w)",
                           "            return GV_ENOMEM;",
                           "    }")
        self.assertEqual(source.branches_aside, {3, 4, 6, 10, 11})
        self.assertEqual(source.lines_aside, {5, 6, 11})

    def test_an_error_that_is_passed_up_counts(self):
        source = self.look("    if (rc != GV_OK)",
                           "        return rc;")
        self.assertEqual(source.branches_aside, set())

    def test_assertions_are_aside_to_their_end(self):
        source = self.look("    GV_ASSERT(a &&",
                           "              b);",
                           "    c = a && b;")
        self.assertEqual(source.branches_aside, {3, 4})

    def test_cases_that_lead_to_an_assertion_only_are_aside(self):
        source = self.look("    switch (kind) {",
                           "    case A:",
                           "        return 1;",
                           "    case B:",
                           "        break;",
                           "    }",
                           "    assert_failed(\"x\", \"y\", 1);")
        self.assertEqual(source.lines_aside, {6, 7, 8, 9})
        self.assertEqual(source.past_switch, {3: 2})

    def test_a_switch_with_a_default_has_no_way_past_it(self):
        source = self.look("    switch (kind) {",
                           "    case A:",
                           "        return 1;",
                           "    default:",
                           "        return 2;",
                           "    }")
        self.assertEqual(source.past_switch, {})

    def test_a_planted_bug_is_aside_and_what_it_switches_off_is_not(self):
        source = self.look("    if (plant(\"x\") && a)",
                           "        return 1;",
                           "    if (!plant(\"x\"))",
                           "        b();")
        self.assertLessEqual({3, 5}, source.branches_aside)
        self.assertEqual(source.lines_aside, {3, 4})

    def test_parentheses_in_literals_and_comments_are_no_code(self):
        source = self.look("    if (c == '(' && /* ( */",
                           "        strcmp(t, \"((\") == 0)",
                           "        return GV_ENOMEM;",
                           "    d();")
        self.assertEqual(source.branches_aside, {3, 4, 5})
        self.assertEqual(source.lines_aside, {5})


class Figures(unittest.TestCase):
    def test_what_is_aside_counts_only_if_it_ran(self):
        counts = coverage.Counts()
        for number, count in ((3, 2), (4, 0), (5, 1), (6, 0)):
            counts.add({"line_number": number, "count": count,
                        "branches": [{"count": count}, {"count": 0}]})
        source = type("Source", (), {"lines_aside": {4, 5},
                                     "branches_aside": {3},
                                     "past_switch": {5: 1}})()
        figures = counts.figures(source)
        self.assertEqual((figures.lines, figures.lines_run), (3, 2))
        self.assertEqual((figures.branches, figures.branches_run), (4, 2))
        self.assertEqual([number for number, _ in counts.missed(source)], [6])


if __name__ == "__main__":
    unittest.main()
