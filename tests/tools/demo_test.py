"""tools/demo says that all is well when it is, and only then."""

import os
import re
import shutil
import subprocess
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.environ["GRAPEVINE_BUILD"]


def demo(**environment):
    done = subprocess.run(
        [os.path.join(TOP, "tools", "demo"), "--build", BUILD],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        stdin=subprocess.DEVNULL, env={**os.environ, **environment},
        timeout=600)
    print(done.stdout)
    return done


class Demo(unittest.TestCase):
    def test_three_nodes_end_up_equal(self):
        done = demo()
        self.assertEqual(done.returncode, 0)
        for words in ("CUT", "HEAL", "both edits live",
                      "the later edit won", "verify found nothing wrong"):
            self.assertIn(words, done.stdout)
        self.assertRegex(done.stdout, r"equal \d+ ms after the heal")

    @unittest.skipUnless(os.environ["GRAPEVINE_HOOKS"] == "1",
                         "this build has no test hooks")
    def test_a_value_that_is_stored_wrongly_is_named(self):
        done = demo(GRAPEVINE_HOOK="spoil-apply:5")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"node [23], contacts '[^']+', column"
                         r" name: 'spoiled' here, 'Watched \d+' on node 1")
        kept = re.search(r"files and logs are in (/\S+)", done.stdout)
        self.assertTrue(os.path.isdir(kept[1]))
        shutil.rmtree(kept[1])


if __name__ == "__main__":
    unittest.main()
