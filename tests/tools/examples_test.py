"""The examples' page does what it says, and merge-two says what it did."""

import os
import re
import sqlite3
import subprocess
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.environ["GRAPEVINE_BUILD"]
EXAMPLES = os.path.join(TOP, "tools", "examples")
PATH = os.pathsep.join([os.path.join(BUILD, "src", "cmd"),
                        os.path.join(BUILD, "tools", "examples"),
                        os.environ["PATH"]])


class Examples(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def run_in(self, *command):
        return subprocess.run(command, cwd=self.directory, text=True,
                              env={**os.environ, "PATH": PATH}, timeout=600,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def sql(self, name, *statements):
        db = sqlite3.connect(os.path.join(self.directory, name), timeout=60)
        try:
            with db:
                rows = [db.execute(text).fetchall() for text in statements]
        finally:
            db.close()
        return rows[-1]

    def make(self, name, *rows):
        self.sql(name, "CREATE TABLE t(id TEXT PRIMARY KEY, a, b)",
                 *["INSERT INTO t VALUES" + row for row in rows])
        done = self.run_in("grapevine", "track", name, "t")
        self.assertEqual(done.returncode, 0, done.stderr)

    def merge(self, *names):
        done = self.run_in("merge-two", *names)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_the_page_does_what_it_says(self):
        with open(os.path.join(EXAMPLES, "README.md"),
                  encoding="utf-8") as file:
            blocks = re.findall(r"^```sh\n(.*?)^```$", file.read(),
                                re.DOTALL | re.MULTILINE)
        done = self.run_in("sh", "-eu", "-c", "".join(blocks))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Both files hold the same.\nAnn\nBob\nAnn\nBob\n",
                      done.stdout)
        self.assertRegex(done.stdout,
                         r"right\.db: hello from the right\n$")

    def test_edits_of_both_files_live(self):
        self.make("a.db", "('x', 1, 1)", "('y', 1, 1)")
        self.make("b.db", "('z', 1, 1)")
        self.merge("a.db", "b.db")
        self.sql("a.db", "UPDATE t SET a = 2 WHERE id = 'x'",
                 "DELETE FROM t WHERE id = 'y'")
        self.sql("b.db", "UPDATE t SET b = 3 WHERE id = 'x'")
        printed = self.merge("b.db", "a.db")
        self.assertIn("Both files hold the same.", printed)
        for name in ("a.db", "b.db"):
            self.assertEqual(self.sql(name, "SELECT * FROM t ORDER BY id"),
                             [("x", 2, 3), ("z", 1, 1)])

    def test_the_second_time_there_is_nothing_to_publish(self):
        self.make("a.db", "('x', 1, 1)")
        self.make("b.db")
        self.assertIn("Both files hold the same.", self.merge("a.db", "b.db"))
        printed = self.merge("a.db", "b.db")
        self.assertNotIn("published", printed)
        self.assertIn("Both files hold the same.", printed)

    def test_what_cannot_be_merged_is_said(self):
        self.make("a.db", "('x', 1, 1)")
        self.sql("b.db", "CREATE TABLE t(id TEXT PRIMARY KEY, a, b)")
        done = self.run_in("merge-two", "a.db", "b.db")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^b\.db: No table of .* is tracked\.")
        self.assertEqual(self.sql("b.db", "SELECT * FROM t"), [])
        done = self.run_in("merge-two", "a.db", "a.db")
        self.assertEqual(done.returncode, 1)
        self.assertIn("using", done.stderr)


if __name__ == "__main__":
    unittest.main()
