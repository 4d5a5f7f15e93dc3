"""Files that make the mesh's tables, and tables that are no longer shared."""
import unittest

from mesh import Case, execute, free_endpoint, run, status, wait_until

SHAPES = (
    "CREATE TABLE notes(id TEXT PRIMARY KEY, a VARCHAR(20) DEFAULT 'it''s', "
    "n INTEGER NOT NULL DEFAULT 7, r REAL, raw BLOB DEFAULT x'00ff')",
    'CREATE TABLE "odd "" näme"("first key" TEXT, "select" INT, v TEXT, '
    'PRIMARY KEY("select", "first key")) STRICT, WITHOUT ROWID',
    "CREATE TABLE numbered(id INTEGER PRIMARY KEY, at DATETIME)",
)
TABLES = ("notes", 'odd " näme', "numbered")


def columns(path, table):
    """What an application sees of a table, but constraints."""
    return execute(path, "SELECT name, type, dflt_value, pk FROM "
                         "pragma_table_info(?)", (table,))


def content(path, table):
    return execute(path, 'SELECT * FROM "%s" ORDER BY 1, 2'
                   % table.replace('"', '""'))


class Create(Case):
    def origin(self):
        path = self.file("a.db")
        for sql in SHAPES:
            execute(path, sql)
        for table in TABLES:
            self.assertEqual(run("track", path, table)[0], 0)
        execute(path, "INSERT INTO notes(id) VALUES('default')")
        execute(path, "INSERT INTO notes VALUES('x', 'y', 1, -0.0, x'')")
        execute(path, 'INSERT INTO "odd "" näme" VALUES(\'k\', 1, NULL)')
        execute(path, "INSERT INTO numbered VALUES(-9, 'now'), (3, NULL)")
        return path

    def test_an_absent_file_gets_the_tables_and_the_rows(self):
        endpoint = free_endpoint()
        a = self.start(self.origin(), endpoint)
        b = self.node(self.file("b.db"), "--create", "--peer",
                      endpoint).ready()
        wait_until(lambda: len(b.status()["tables"]) == 3, "three tables")
        self.wait_equal([a, b])
        for table in TABLES:
            self.assertEqual(
                {name: rest for name, *rest in columns(b.path, table)},
                {name: rest for name, *rest in columns(a.path, table)})
        self.assertEqual(
            execute(b.path, "SELECT id, a, n, r, raw FROM notes ORDER BY id"),
            execute(a.path, "SELECT id, a, n, r, raw FROM notes ORDER BY id"))
        self.assertEqual(content(b.path, "numbered"),
                         content(a.path, "numbered"))
        self.assertEqual(
            execute(b.path, 'SELECT "first key", "select", v FROM '
                            '"odd "" näme"'), [("k", 1, None)])
        self.assertEqual(b.status()["warnings"], [])

        # From here on it is a node like any other.
        execute(b.path, "INSERT INTO numbered VALUES(4, 'b')")
        execute(a.path, "ALTER TABLE notes ADD COLUMN more TEXT DEFAULT 'm'")
        execute(a.path, "UPDATE notes SET more = 'less' WHERE id = 'x'")
        wait_until(lambda: ("more",) in execute(
            b.path, "SELECT name FROM pragma_table_info('notes')"),
            "the new column")
        self.wait_equal([a, b])
        self.assertEqual(execute(b.path, "SELECT more FROM notes ORDER BY id"),
                         [("m",), ("less",)])
        self.assertIn((4, "b"), content(a.path, "numbered"))
        for node in (a, b):
            self.verify(node.path)

        # A restart without the option goes on as it was.
        self.assertEqual(b.stop(), 0)
        execute(a.path, "CREATE TABLE later(id TEXT PRIMARY KEY, v)")
        execute(a.path, "INSERT INTO later VALUES('l', 1)")
        self.assertEqual(run("track", a.path, "later")[0], 0)
        b = self.start(b.path, peers=[endpoint])
        wait_until(lambda: len(b.status()["tables"]) == 4, "the fourth table")
        self.wait_equal([a, b])
        self.assertEqual(content(b.path, "later"), [("l", 1)])


class Untrack(Case):
    TWO = ("CREATE TABLE notes(id TEXT PRIMARY KEY, a)",
           "CREATE TABLE other(id TEXT PRIMARY KEY, a)")

    def pair(self):
        endpoint = free_endpoint()
        nodes = []
        for name in ("a.db", "b.db"):
            path = self.file(name)
            for sql in self.TWO:
                execute(path, sql)
            for table in ("notes", "other"):
                self.assertEqual(run("track", path, table)[0], 0)
        nodes.append(self.start(self.file("a.db"), endpoint))
        nodes.append(self.start(self.file("b.db"), peers=[endpoint]))
        execute(nodes[0].path, "INSERT INTO notes VALUES('x', 1)")
        self.wait_equal(nodes)
        return nodes

    def test_an_untracked_table_stays_here_until_it_is_tracked(self):
        a, b = self.pair()
        code, out, err = run("untrack", b.path, "notes")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("not tracked any more", out)
        self.assertEqual([t["name"] for t in b.status()["tables"]], ["other"])
        self.assertIn("notes", " ".join(b.status()["warnings"]))
        execute(b.path, "INSERT INTO notes VALUES('here', 2)")
        execute(b.path, "INSERT INTO other VALUES('there', 3)")
        wait_until(lambda: execute(a.path, "SELECT * FROM other"),
                   "the row of the other table")
        self.wait_equal([a, b])
        self.assertEqual(content(a.path, "notes"), [("x", 1)])
        self.verify(b.path)

        self.assertEqual(run("track", b.path, "notes")[0], 0)
        wait_until(lambda: len(content(a.path, "notes")) == 2,
                   "what was written meanwhile")
        self.wait_equal([a, b])
        self.assertEqual(b.status()["warnings"], [])
        for node in (a, b):
            self.verify(node.path)

    def test_a_purge_on_every_node_makes_them_equal_again(self):
        a, b = self.pair()
        before = status(a.path)["fingerprint"]
        for node in (a, b):
            code, out, err = run("untrack", node.path, "notes", "--purge")
            self.assertEqual((code, err), (0, ""))
            self.assertIn("forgotten", out)
        self.wait_equal([a, b])
        self.assertNotEqual(status(a.path)["fingerprint"], before)
        wait_until(lambda: not any(node.status()["warnings"]
                                   for node in (a, b)), "no warning")
        execute(b.path, "INSERT INTO other VALUES('more', 1)")
        wait_until(lambda: content(a.path, "other") == [("more", 1)],
                   "a row of the other table")
        self.assertEqual(content(a.path, "notes"), [("x", 1)])
        for node in (a, b):
            self.verify(node.path)

    def test_without_a_node(self):
        path = self.database("a.db")
        self.assertEqual(run("untrack", path, "notes")[0], 0)
        code, _, err = run("untrack", path, "notes")
        self.assertEqual(code, 1)
        self.assertIn("is not tracked", err)
        self.assertEqual(run("track", path, "notes")[0], 0)
        self.assertEqual(status(path)["tables"][0]["name"], "notes")


if __name__ == "__main__":
    unittest.main()
