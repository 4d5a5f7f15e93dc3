"""Writes of any program on any node reach all others, and what was written
at the same time is merged as the README promises."""
import math
import struct
import unittest

from mesh import Case, connect, execute, free_endpoint, run, shell, wait_until


def notes(path):
    return execute(path, "SELECT id, a, b FROM notes ORDER BY id")


class Writers(Case):
    def test_shell_and_python_write_on_any_of_three_nodes(self):
        nodes = self.mesh(3)
        expected = []
        for i, node in enumerate(nodes):
            shell(node.path,
                  "INSERT INTO notes VALUES('shell%d', 'one', NULL);" % i)
            execute(node.path, "INSERT INTO notes VALUES(?, ?, ?)",
                    ("python%d" % i, "two", ""))
            expected += [("shell%d" % i, "one", None),
                         ("python%d" % i, "two", "")]
        for node in nodes:
            wait_until(lambda: notes(node.path) == sorted(expected),
                       "all rows in " + node.path)
        self.wait_equal(nodes)
        # Each now edits a row of the next one, and deletes one of the other.
        for i, node in enumerate(nodes):
            shell(node.path, "BEGIN IMMEDIATE; UPDATE notes SET b = 'by %d' "
                  "WHERE id = 'shell%d'; COMMIT;" % (i, (i + 1) % 3))
            execute(node.path, "DELETE FROM notes WHERE id = ?",
                    ("python%d" % ((i + 2) % 3),))
        expected = [("shell%d" % i, "one", "by %d" % ((i - 1) % 3))
                    for i in range(3)]
        for node in nodes:
            wait_until(lambda: notes(node.path) == expected,
                       "the edits in " + node.path)
        self.wait_equal(nodes)
        for node in nodes:
            self.verify(node.path)


class Apart(Case):
    """Two nodes share rows, then neither runs while both are written."""

    def setUp(self):
        super().setUp()
        self.endpoint = free_endpoint()
        self.paths = [self.database("a.db"), self.database("b.db")]

    def together(self):
        a = self.start(self.paths[0], self.endpoint)
        b = self.start(self.paths[1], peers=[self.endpoint])
        self.wait_equal([a, b])
        for node in (a, b):
            self.assertEqual(node.stop(), 0)
        rows = notes(self.paths[0])
        self.assertEqual(rows, notes(self.paths[1]))
        return rows

    def share(self, *rows):
        db = connect(self.paths[0])
        db.executemany("INSERT INTO notes VALUES(?, ?, ?)", rows)
        db.close()
        self.assertEqual(self.together(), sorted(rows))

    def write(self, side, sql):
        execute(self.paths[side], sql)

    def test_edits_of_different_columns_of_one_row_both_survive(self):
        self.share(("x", "0", "0"), ("y", "0", "0"))
        self.write(0, "UPDATE notes SET a = 'A' WHERE id = 'x'")
        self.write(1, "UPDATE notes SET b = 'B' WHERE id = 'x'")
        self.write(1, "UPDATE notes SET a = 'B' WHERE id = 'y'")
        self.write(0, "UPDATE notes SET b = 'A' WHERE id = 'y'")
        self.assertEqual(self.together(),
                         [("x", "A", "B"), ("y", "B", "A")])

    def test_the_later_of_two_edits_of_one_column_wins_everywhere(self):
        self.share(("x", "0", "0"), ("y", "0", "0"))
        # Both run, without a link, so that each edit has a time of its own.
        nodes = [self.start(path) for path in self.paths]
        for side, value, key in ((0, "earlier", "x"), (1, "later", "x"),
                                 (1, "earlier", "y"), (0, "later", "y")):
            self.write(side, "UPDATE notes SET a = '%s' WHERE id = '%s'"
                       % (value, key))
            wait_until(lambda: nodes[side].status()["journal"] == 0,
                       "the seal")
        for node in nodes:
            self.assertEqual(node.stop(), 0)
        self.assertEqual(self.together(),
                         [("x", "later", "0"), ("y", "later", "0")])

    def test_a_delete_beats_a_concurrent_edit(self):
        self.share(("x", "0", "0"), ("y", "0", "0"))
        self.write(0, "DELETE FROM notes WHERE id = 'x'")
        self.write(1, "UPDATE notes SET a = 'after' WHERE id = 'x'")
        self.write(0, "UPDATE notes SET a = 'before' WHERE id = 'y'")
        self.write(1, "DELETE FROM notes WHERE id = 'y'")
        self.assertEqual(self.together(), [])

    def test_a_row_inserted_again_lives_with_its_new_values(self):
        self.share(("x", "old", "old"), ("y", "old", "old"))
        self.write(0, "DELETE FROM notes")
        self.assertEqual(self.together(), [])
        self.write(1, "INSERT INTO notes(id, a) VALUES('x', 'new')")
        self.write(0, "INSERT INTO notes VALUES('y', NULL, 'new')")
        self.assertEqual(self.together(),
                         [("x", "new", None), ("y", None, "new")])

    def test_a_new_life_beats_an_edit_of_the_old_one(self):
        self.share(("x", "old", "old"))
        a = self.start(self.paths[0])
        self.write(0, "DELETE FROM notes")
        wait_until(lambda: a.status()["journal"] == 0, "the seal")
        self.write(0, "INSERT INTO notes(id, a) VALUES('x', 'new')")
        wait_until(lambda: a.status()["journal"] == 0, "the seal")
        self.assertEqual(a.stop(), 0)
        self.write(1, "UPDATE notes SET a = 'edit', b = 'edit'")
        self.assertEqual(self.together(), [("x", "new", None)])


class Values(Case):
    """Every kind of key and table, every storage class, bit for bit."""

    TABLES = {
        "words": ("id TEXT PRIMARY KEY, v", ""),
        "numbers": ("id INTEGER PRIMARY KEY, v", ""),
        "bytes": ("id BLOB PRIMARY KEY, v", ""),
        "any": ("id PRIMARY KEY, v", ""),
        "pairs": ("a TEXT, b INTEGER, c BLOB, v, PRIMARY KEY(c, a, b)", ""),
        "plain": ("id TEXT PRIMARY KEY, v", "WITHOUT ROWID"),
        "both": ("v, a TEXT, b, PRIMARY KEY(b, a)", "WITHOUT ROWID"),
        "typed": ("id TEXT PRIMARY KEY, t TEXT, i INT, r REAL, n NUMERIC,"
                  " b BLOB, v", ""),
    }
    # As SQL, so that both writers write the same bits.
    VALUES = ["NULL", "0", "-1", "9223372036854775807",
              "-9223372036854775808", "0.1", "-0.0", "1.0", "9e999",
              "-9e999", "4.9406564584124654e-324", "1.7976931348623157e308",
              "''", "'plain'", "'it''s'", "'Grüße, 世界, 🍇'",
              "CAST(x'610062' AS TEXT)", "CAST(x'ff80c0' AS TEXT)", "x''",
              "x'00'", "x'00ff00ff'", "'12'", "'007'", "' 1.50 '",
              "zeroblob(300000)", "printf('%.70000c', 'x')"]
    KEYS = {
        "words": ["''", "'k'", "'K'", "'007'", "'ключ'",
                  "CAST(x'6100' AS TEXT)", "CAST(x'fe' AS TEXT)"],
        "numbers": ["0", "-5", "9223372036854775807",
                    "-9223372036854775808"],
        "bytes": ["x''", "x'00'", "x'0000'", "x'ff'", "'text'", "1"],
        "any": ["1", "'1'", "x'31'", "1.5", "-0.25", "9e999", "''"],
        "pairs": ["'a', 1, x'00'", "'a', 2, x'00'", "'', -1, x''"],
        "plain": ["'k'", "''", "'Ärger'"],
        "both": ["'a', 1", "'a', '1'", "'b', 1.5", "'', x''"],
    }

    def statements(self):
        """Inserts of every key and every value."""
        found = []
        for table, keys in self.KEYS.items():
            columns = {"pairs": "a, b, c", "both": "a, b"}.get(table, "id")
            found += ["INSERT INTO %s(%s, v) VALUES(%s, %s);" % (
                table, columns, key, self.VALUES[(7 * i + len(found))
                                                 % len(self.VALUES)])
                      for i, key in enumerate(keys)]
        for i, value in enumerate(self.VALUES):
            found.append("INSERT INTO words VALUES('v%d', %s);" % (i, value))
            found.append("INSERT INTO typed VALUES('v%d'%s);" % (
                i, (", " + value) * 6))
        return found

    def contents(self, path):
        """All rows of all tables: of each value its class and its bits."""
        def bits(value):
            if isinstance(value, float):
                return ("real", struct.pack(">d", value))
            return (type(value).__name__, value)

        db = connect(path)
        db.text_factory = bytearray
        found = {}
        for table in self.TABLES:
            rows = [tuple(map(bits, row))
                    for row in db.execute("SELECT * FROM " + table)]
            found[table] = sorted(rows, key=repr)
        db.close()
        return found

    def made(self, name):
        path = self.file(name)
        for table, (columns, kind) in self.TABLES.items():
            execute(path, "CREATE TABLE %s(%s) %s" % (table, columns, kind))
            self.assertEqual(run("track", path, table)[0], 0, table)
        return path

    def test_all_keys_and_values_arrive_bit_for_bit(self):
        paths = [self.made("%d.db" % i) for i in range(3)]
        # What one writer alone would have.
        alone = self.made("alone.db")
        shell(alone, "\n".join(self.statements()))
        endpoint = free_endpoint()
        nodes = [self.start(paths[0], endpoint)]
        nodes += [self.start(path, peers=[endpoint]) for path in paths[1:]]
        for i, node in enumerate(nodes):
            share = self.statements()[i::3]
            shell(node.path, "\n".join(share[::2]))
            for statement in share[1::2]:
                execute(node.path, statement)
        self.wait_equal(nodes)
        expected = self.contents(alone)
        self.assertTrue(any(value == ("real", struct.pack(">d", math.inf))
                            for row in expected["words"] for value in row))
        for node in nodes:
            for table, rows in self.contents(node.path).items():
                self.assertEqual(rows, expected[table], table)
            self.verify(node.path)

    def test_a_file_with_all_of_them_opens_again(self):
        path = self.made("a.db")
        shell(path, "\n".join(self.statements()))
        for _ in range(2):
            node = self.start(path)
            wait_until(lambda: node.status()["journal"] == 0, "the seal")
            self.verify(path)
            self.assertEqual(node.stop(), 0)
            self.verify(path)

    def test_all_of_them_are_edited_moved_and_deleted_everywhere(self):
        alone = self.made("alone.db")
        shell(alone, "\n".join(self.statements()))
        endpoint = free_endpoint()
        nodes = [self.start(self.made("a.db"), endpoint)]
        nodes.append(self.start(self.made("b.db"), peers=[endpoint]))
        shell(nodes[0].path, "\n".join(self.statements()))
        self.wait_equal(nodes)
        changes = ["UPDATE any SET v = id;",
                   "DELETE FROM words WHERE id > 'v';",
                   "UPDATE pairs SET v = x'00', b = b + 10;",
                   "UPDATE both SET a = a || '!', v = -0.0;",
                   "UPDATE numbers SET rowid = 77 WHERE id = 0;",
                   "UPDATE plain SET id = id || '2', v = v || 'x';",
                   "UPDATE typed SET b = t, v = r;",
                   "REPLACE INTO bytes VALUES(x'ff', 'replaced');"]
        for i, change in enumerate(changes):
            shell(alone, change)
            shell(nodes[i % 2].path, change)
        self.wait_equal(nodes)
        expected = self.contents(alone)
        for node in nodes:
            for table, rows in self.contents(node.path).items():
                self.assertEqual(rows, expected[table], table)
            self.verify(node.path)


if __name__ == "__main__":
    unittest.main()
