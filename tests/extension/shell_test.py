"""The extension in the sqlite3 shell and in python3: two files are kept equal
with nothing but `sqlite3`, and a node's file is left to the node."""
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "process"))

from mesh import Case, execute, free_endpoint, run  # noqa: E402
from mesh import wait_until  # noqa: E402

EXTENSION = os.environ["GRAPEVINE_EXTENSION"]
SANITIZED = os.environ.get("GRAPEVINE_SANITIZE", "")
SCHEMA = "CREATE TABLE t(id TEXT PRIMARY KEY, a, b)"


def shell(path, script):
    """What the shell answers to `script`: (exit code, output, errors)."""
    done = subprocess.run(
        ["sqlite3", "-bail", "-cmd", ".load " + EXTENSION, path],
        input=script, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def ask(path, script):
    code, out, err = shell(path, script)
    if code != 0 or err:
        raise AssertionError("%s: %d %s" % (script, code, err))
    return out.strip()


def pull(to, source):
    """`to` gets what it lacks of `source`: the vector one way, the delta the
    other, as SQL in a pipe between two shells."""
    give = ("SELECT 'SELECT gv_apply(' || quote(gv_delta(%s)) || ');'"
            % ask(to, "SELECT quote(gv_vv())"))
    load = ".load " + EXTENSION
    with subprocess.Popen(["sqlite3", "-cmd", load, source, give],
                          stdout=subprocess.PIPE) as giver:
        taken = subprocess.run(["sqlite3", "-bail", "-cmd", load, to],
                               stdin=giver.stdout, capture_output=True,
                               text=True, check=False)
    if giver.returncode != 0 or taken.returncode != 0 or taken.stderr:
        raise AssertionError(taken.stderr)
    return taken.stdout.strip()


def inserts(to, source):
    """What `to` lacks of `source` as INSERT statements of the shell's own."""
    return ask(source, ".mode insert gv_changes\nSELECT * FROM gv_changes"
               " WHERE since=%s;" % ask(to, "SELECT quote(gv_vv())")) + "\n"


class Extension(Case):
    def setUp(self):
        super().setUp()
        if shutil.which("sqlite3") is None:
            self.skipTest("there is no sqlite3 shell")
        if SANITIZED:
            self.skipTest("the shell has no sanitizer to load one into")
        self.a, self.b = self.file("a.db"), self.file("b.db")
        for path in (self.a, self.b):
            ask(path, SCHEMA + "; SELECT gv_track('t');")

    def assert_equal_files(self):
        for question in ("SELECT id, quote(a), quote(b) FROM t ORDER BY id",
                         "SELECT quote(gv_vv())",
                         "SELECT hex(fingerprint) FROM gv_meta"):
            self.assertEqual(ask(self.a, question), ask(self.b, question))
        for path in (self.a, self.b):
            code, out, err = run("verify", path)
            self.assertEqual(code, 0, out + err)

    def test_a_pipe_keeps_two_files_equal(self):
        ask(self.a, "INSERT INTO t VALUES('x', 1.0/3, x'00ff'),"
                    "('y', 'it''s', NULL);")
        ask(self.b, "INSERT INTO t VALUES('x', 1.0/3, 'b'), ('z', 1, 2);")
        for _ in range(2):
            pull(self.b, self.a)
            pull(self.a, self.b)
        self.assertEqual(ask(self.a, "SELECT count(*) FROM t"), "3")
        self.assert_equal_files()
        # Nothing is left to bring.
        self.assertEqual(pull(self.b, self.a), "0")
        ask(self.a, "DELETE FROM t WHERE id='y'; UPDATE t SET b='a';")
        self.assertEqual(pull(self.b, self.a), "1")
        self.assertEqual(ask(self.b, "SELECT id, b FROM t"), "x|a\nz|a")
        self.assert_equal_files()

    def test_insert_statements_keep_two_files_equal(self):
        ask(self.a, "INSERT INTO t VALUES('x', 1, 'it''s'), ('y', 2, NULL);")
        ask(self.b, "BEGIN;\n" + inserts(self.b, self.a) + "COMMIT;\n")
        ask(self.b, "UPDATE t SET a=5 WHERE id='y'; DELETE FROM t"
                    " WHERE id='x'")
        ask(self.a, "BEGIN;\n" + inserts(self.a, self.b) + "COMMIT;\n")
        self.assertEqual(ask(self.a, "SELECT * FROM t"), "y|5|")
        self.assert_equal_files()

    def test_counters_and_notes_go_as_rows_both_ways(self):
        for path in (self.a, self.b):
            ask(path, "ALTER TABLE t ADD COLUMN n INTEGER DEFAULT 0")
            code, _, err = run("track", path, "t", "--counter", "n",
                               "--mv", "b")
            self.assertEqual(code, 0, err)

        def carry(source, to):
            ask(to, "BEGIN;\n" + inserts(to, source) + "COMMIT;\n")

        ask(self.a, "INSERT INTO t VALUES('x', 1, 'first', 10)")
        carry(self.a, self.b)
        ask(self.a, "UPDATE t SET n = n + 1, b = 'of a'")
        ask(self.b, "UPDATE t SET n = n + 5, b = NULL")
        carry(self.a, self.b)
        carry(self.b, self.a)
        self.assert_equal_files()
        self.assertEqual(ask(self.a, "SELECT n FROM t"), "16")
        self.assertEqual(ask(self.a, "SELECT count(*) FROM gv_siblings"), "2")
        ask(self.b, "UPDATE t SET n = 0, b = 'of both'")
        carry(self.b, self.a)
        self.assert_equal_files()
        self.assertEqual(ask(self.a, "SELECT n, b FROM t"), "0|of both")
        self.assertEqual(ask(self.a, "SELECT count(*) FROM gv_siblings"), "1")
        # Not a site, and not what a cell could replace.
        for site in ("zeroblob(41)", "zeroblob(40)", "zeroblob(15)"):
            code, _, err = shell(
                self.a, "INSERT INTO gv_changes VALUES('t', x'00', 'b', 1, 5,"
                        " %s, 1);" % site)
            self.assertNotEqual(code, 0)
            self.assertIn("column site", err)

    def test_what_is_cut_off_changes_nothing(self):
        ask(self.a, "INSERT INTO t VALUES('x', 1, 2), ('y', 2, NULL);")
        lines = inserts(self.b, self.a).splitlines(keepends=True)
        for kept in range(1, len(lines)):
            code, _, err = shell(
                self.b, "BEGIN;\n" + "".join(lines[:kept]) + "COMMIT;\n")
            self.assertNotEqual(code, 0)
            self.assertIn("without their claim row", err)
            self.assertEqual(
                ask(self.b, "SELECT count(*), length(gv_vv()) FROM t"), "0|0")

    def test_a_file_that_a_node_serves_is_left_to_it(self):
        ask(self.a, "INSERT INTO t VALUES('x', 1, 2);")
        pull(self.b, self.a)
        node = self.start(self.b)
        for call in ("gv_delta(NULL)", "gv_apply(x'00')", "gv_track('t')"):
            code, _, err = shell(self.b, "SELECT %s;" % call)
            self.assertNotEqual(code, 0)
            self.assertIn("Another node or command is using", err)
        # What only reads goes on, and so does any writer.
        self.assertEqual(ask(self.b, "SELECT length(gv_site_id())"), "16")
        ask(self.b, "INSERT INTO t VALUES('y', 1, 2);")
        self.assertEqual(node.stop(), 0)
        pull(self.a, self.b)
        self.assertEqual(ask(self.a, "SELECT count(*) FROM t"), "2")
        self.assert_equal_files()

    def test_a_node_takes_over_what_the_extension_merged(self):
        ask(self.a, "INSERT INTO t VALUES('x', 1, 2);")
        pull(self.b, self.a)
        endpoint = free_endpoint()
        a = self.start(self.a, endpoint)
        b = self.start(self.b, peers=[endpoint])
        execute(self.a, "INSERT INTO t VALUES('y', 1, 2)")
        wait_until(lambda: execute(self.b, "SELECT count(*) FROM t") == [(2,)],
                   "the row")
        self.wait_equal([a, b])
        self.assertEqual(a.stop(), 0)
        self.assertEqual(b.stop(), 0)
        self.assert_equal_files()

    def test_python_merges_too(self):
        if not hasattr(sqlite3.Connection, "enable_load_extension"):
            self.skipTest("this python3 loads no extensions")
        ask(self.a, "INSERT INTO t VALUES('x', 1, 2);")
        connections = []
        for path in (self.a, self.b):
            connection = sqlite3.connect(path)
            connection.enable_load_extension(True)
            connection.load_extension(EXTENSION)
            connections.append(connection)
        a, b = connections
        (vv,) = b.execute("SELECT gv_vv()").fetchone()
        b.executemany(
            "INSERT INTO gv_changes VALUES(?, ?, ?, ?, ?, ?, ?)",
            a.execute("SELECT * FROM gv_changes WHERE since = ?", (vv,)))
        b.commit()
        b.execute("INSERT INTO t VALUES('y', 3, 4)")
        with self.assertRaisesRegex(sqlite3.OperationalError,
                                    "transaction is open"):
            b.execute("SELECT gv_delta(NULL)")
        b.commit()
        (delta,) = b.execute("SELECT gv_delta(NULL)").fetchone()
        self.assertEqual(
            a.execute("SELECT gv_apply(?)", (delta,)).fetchone(), (1,))
        for connection in connections:
            connection.close()
        self.assert_equal_files()


class Module(unittest.TestCase):
    """What the file is, to those who load it."""

    def test_it_brings_no_sqlite_and_shows_one_name(self):
        if shutil.which("readelf") is None:
            self.skipTest("there is no readelf")
        needed = subprocess.check_output(["readelf", "-d", EXTENSION],
                                         text=True)
        self.assertIn("NEEDED", needed)
        self.assertNotIn("sqlite", needed)
        names = [line.split()[-1] for line in subprocess.check_output(
            ["readelf", "-W", "--dyn-syms", EXTENSION],
            text=True).splitlines()
            if " DEFAULT " in line and " UND " not in line
            and " GLOBAL " in line]
        self.assertEqual(names, ["sqlite3_grapevine_init"])


if __name__ == "__main__":
    unittest.main()
