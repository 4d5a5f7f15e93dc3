"""sim/plants from outside: some planted bugs are found, and a bug that is not
there is not."""
import os
import subprocess
import sys
import unittest

GVSIM = os.environ["GVSIM"]
PLANTS = os.environ["PLANTS"]


def plants(*arguments, gvsim=GVSIM):
    done = subprocess.run([sys.executable, PLANTS, "--gvsim", gvsim,
                           *arguments],
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


class Plants(unittest.TestCase):
    maxDiff = None

    def test_some_are_found_and_not_without_their_class(self):
        code, out, err = plants("--quick")
        self.assertEqual((code, err), (0, ""), out)
        self.assertIn("14 of 14 plants as they should be", out)

    def test_one_that_is_not_found_in_its_budget_fails(self):
        code, out, err = plants("start-unsynced", "--starts", "1",
                                "--off", "0", "--budget", "2")
        self.assertEqual((code, err), (1, ""), out)
        self.assertIn("NOT FOUND", out)

    def test_one_that_needs_no_class_is_found_without_it(self):
        code, out, err = plants("tie-by-arrival", "--needs", "clock",
                                "--starts", "1", "--off", "4")
        self.assertEqual((code, err), (1, ""), out)
        self.assertIn("FOUND WITHOUT", out)

    def test_a_name_that_is_none_says_which_there_are(self):
        code, out, err = plants("sabotage")
        self.assertNotEqual(code, 0)
        self.assertEqual(out, "")
        self.assertIn("there is no plant 'sabotage'", err)
        self.assertIn("tie-by-arrival", err)

    def test_a_gvsim_that_is_not_there_says_how_to_make_it(self):
        code, _, err = plants(gvsim="/nonexistent/gvsim")
        self.assertNotEqual(code, 0)
        self.assertIn("cmake --preset plants", err)


if __name__ == "__main__":
    unittest.main()
