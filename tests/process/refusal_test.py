"""What a node's tables cannot show it keeps, names, passes on, and shows when
they can."""
import unittest

from mesh import Case, execute, free_endpoint, run, shell, wait_until


def rows(path, table="notes"):
    return execute(path, "SELECT * FROM %s ORDER BY 1" % table)


class Refusal(Case):
    def two(self, sql_a, sql_b):
        """Two linked nodes; each side tracks the tables it has."""
        endpoint = free_endpoint()
        nodes = []
        for name, sql in (("a.db", sql_a), ("b.db", sql_b)):
            path = self.file(name)
            shell(path, sql)
            for (table,) in execute(path, "SELECT name FROM sqlite_schema "
                                          "WHERE type = 'table'"):
                self.assertEqual(run("track", path, table)[0], 0)
            nodes.append(self.start(path, endpoint) if not nodes else
                         self.start(path, peers=[endpoint]))
        self.wait_equal(nodes)
        return nodes

    def accepted(self, nodes):
        self.wait_equal(nodes)
        for node in nodes:
            state = node.status()
            self.assertEqual(state["refusals"], [])
            self.assertFalse(state["links"][0]["refused"])
            self.verify(node.path)

    NOTES = "CREATE TABLE notes(id TEXT PRIMARY KEY, a, b);"
    PLACES = "CREATE TABLE places(id TEXT PRIMARY KEY, a);"

    def test_news_of_an_unknown_table_is_shown_after_track(self):
        a, b = self.two(self.NOTES + self.PLACES, self.NOTES)
        shell(a.path, "BEGIN; INSERT INTO notes VALUES('x', 1, 2);"
                      "INSERT INTO places VALUES('y', 3); COMMIT;")
        self.accepted([a, b])
        self.assertEqual(rows(b.path), [("x", 1, 2)])
        self.assertIn("places", " ".join(b.status()["warnings"]))
        execute(b.path, "INSERT INTO notes VALUES('back', 7, 8)")
        self.accepted([a, b])
        # The table alone is not enough, for nobody said that it is shared.
        shell(b.path, self.PLACES)
        execute(a.path, "INSERT INTO places VALUES('z', 4)")
        self.accepted([a, b])
        self.assertEqual(rows(b.path, "places"), [])
        self.assertEqual(run("track", b.path, "places")[0], 0)
        self.accepted([a, b])
        self.assertEqual(rows(b.path), rows(a.path))
        self.assertEqual(rows(b.path, "places"), [("y", 3), ("z", 4)])
        self.assertEqual(b.status()["warnings"], [])

    def test_news_of_an_unknown_column_is_shown_after_alter_table(self):
        a, b = self.two(self.NOTES, self.NOTES)
        execute(a.path, "INSERT INTO notes VALUES('x', 1, 2)")
        self.accepted([a, b])
        execute(a.path, "ALTER TABLE notes ADD COLUMN c TEXT DEFAULT 'none'")
        shell(a.path, "BEGIN; UPDATE notes SET a = 'half', c = 'new';"
                      "INSERT INTO notes(id, c) VALUES('y', 'more'); COMMIT;")
        self.accepted([a, b])
        self.assertEqual(rows(b.path), [("x", "half", 2), ("y", None, None)])
        execute(b.path, "UPDATE notes SET b = 'mine' WHERE id = 'x'")
        self.accepted([a, b])
        execute(b.path, "ALTER TABLE notes ADD COLUMN c TEXT DEFAULT 'none'")
        wait_until(lambda: rows(b.path) == [("x", "half", "mine", "new"),
                                            ("y", None, None, "more")],
                   "the values in the new column")
        self.accepted([a, b])
        self.assertEqual(rows(b.path), rows(a.path))

    def test_a_delta_with_an_unknown_column_is_shown_after_alter_table(self):
        a, b = self.two(self.NOTES, self.NOTES)
        self.assertEqual(b.stop(), 0)
        execute(a.path, "ALTER TABLE notes ADD COLUMN c")
        shell(a.path, "".join(
            "INSERT INTO notes VALUES('x%d', 1, 2, %s);"
            % (i, "3" if i == 700 else "NULL") for i in range(1000)))
        b = self.start(b.path, peers=[a.status()["endpoint"]])
        self.accepted([a, b])
        self.assertEqual(len(rows(b.path)), 1000)
        execute(b.path, "ALTER TABLE notes ADD COLUMN c")
        wait_until(lambda: rows(b.path) == rows(a.path), "the new column")
        self.accepted([a, b])

    STRICT = "CREATE TABLE notes(id TEXT PRIMARY KEY, a INT, b ANY) STRICT;"

    def parked(self, node, count):
        state = node.status()
        self.assertEqual(state["parked"], count)
        self.assertEqual(len(state["parked_notes"]), min(count, 1))
        return state["parked_notes"]

    def test_a_value_of_a_wrong_type_for_strict_is_parked_and_named(self):
        a, b = self.two(self.NOTES, self.STRICT)
        execute(a.path, "INSERT INTO notes VALUES('x', 1, 2)")
        self.accepted([a, b])
        shell(a.path, "BEGIN; UPDATE notes SET b = 'all';"
                      "INSERT INTO notes VALUES('y', 'a text', 'b'); COMMIT;")
        self.accepted([a, b])
        self.assertEqual(rows(b.path), [("x", 1, "all"), ("y", None, "b")])
        notes = self.parked(b, 1)
        self.assertIn("notes.a: 1 value parked", notes[0])
        self.assertIn("parked       " + notes[0], run("status", b.path)[1])
        execute(b.path, "INSERT INTO notes VALUES('mine', 3, 4)")
        self.accepted([a, b])
        self.assertEqual(rows(a.path)[2], ("y", "a text", "b"))
        # A value that fits is written over the one that does not.
        execute(a.path, "UPDATE notes SET a = 5 WHERE id = 'y'")
        self.accepted([a, b])
        self.assertEqual(rows(b.path), [("mine", 3, 4), ("x", 1, "all"),
                                        ("y", 5, "b")])
        self.parked(b, 0)

    def test_a_wrong_type_is_shown_after_the_column_got_the_peers_type(self):
        a, b = self.two(self.NOTES, self.STRICT)
        execute(b.path, "INSERT INTO notes VALUES('mine', 3, 4)")
        self.accepted([a, b])
        shell(a.path, "INSERT INTO notes VALUES('y', 'a text', 'b')")
        self.accepted([a, b])
        self.parked(b, 1)
        # The recipe of https://www.sqlite.org/lang_altertable.html#otheralter
        shell(b.path, "BEGIN IMMEDIATE;"
              "CREATE TABLE made(id TEXT PRIMARY KEY, a, b);"
              "INSERT INTO made SELECT * FROM notes;"
              "DROP TABLE notes; ALTER TABLE made RENAME TO notes; COMMIT;")
        wait_until(lambda: rows(b.path) == [("mine", 3, 4),
                                            ("y", "a text", "b")],
                   "the parked value in the table")
        self.parked(b, 0)
        execute(b.path, "UPDATE notes SET b = 'still tracked'")
        self.accepted([a, b])
        self.assertEqual(rows(b.path), rows(a.path))


if __name__ == "__main__":
    unittest.main()
