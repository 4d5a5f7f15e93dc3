"""Nodes that come late, were away, slept, or bring rows of their own."""
import signal
import unittest

from mesh import (Case, connect, execute, free_endpoint, free_port, links_up,
                  run, shell, wait_until)
from peer import DELTA, NEWS, WANT, Tap

CONTACTS = ("CREATE TABLE contacts(id TEXT PRIMARY KEY, name TEXT, phone, "
            "age INTEGER, photo BLOB)")
# A number that says for a whole table whether two are alike, as SQL.
SUM = ("SELECT count(*), sum(length(id)), group_concat(hex(id) || name || "
       "quote(phone) || age || quote(photo)) FROM "
       "(SELECT * FROM contacts ORDER BY id)")
# Rows from number %d to number %d, in SQL that any program can say.
ROWS = ("INSERT INTO contacts WITH RECURSIVE n(i) AS (SELECT %d UNION ALL "
        "SELECT i + 1 FROM n WHERE i < %d) SELECT printf('c%%06d', i), "
        "'name ' || i, CASE i %% 3 WHEN 0 THEN NULL WHEN 1 THEN i * 0.1 ELSE "
        "'+49 ' || i END, i %% 90, CASE WHEN i %% 10 = 0 THEN x'00ff' END "
        "FROM n;")


class Tables(Case):
    TABLE = CONTACTS

    def database(self, name, sql=CONTACTS, track="contacts"):
        return super().database(name, sql, track)

    def track(self, path):
        code, _, err = run("track", path, "contacts")
        self.assertEqual(code, 0, err)

    def write_python(self, path, first, last):
        db = connect(path)
        db.execute("BEGIN IMMEDIATE")
        db.executemany(
            "INSERT INTO contacts VALUES(?, ?, ?, ?, ?)",
            (("p%06d" % i, "Ärger %d" % i, i / 3 if i % 2 else None, i,
              bytes([i % 256, 0])) for i in range(first, last + 1)))
        db.execute("COMMIT")
        db.close()


class Foreign(Tables):
    def test_50000_rows_made_by_others_reach_two_empty_tables(self):
        first = self.database("a.db", track=None)
        shell(first, ROWS % (1, 25000))
        self.write_python(first, 1, 25000)
        expected = execute(first, SUM)
        self.assertEqual(expected[0][0], 50000)
        self.track(first)
        endpoint = free_endpoint()
        nodes = [self.start(first, endpoint)]
        nodes += [self.start(self.database(name), peers=[endpoint])
                  for name in ("b.db", "c.db")]
        self.wait_equal(nodes)
        for node in nodes:
            self.assertEqual(execute(node.path, SUM), expected)
            self.verify(node.path)

    def test_rows_on_two_sides_at_the_start_merge_without_loss(self):
        endpoint = free_endpoint()
        paths = [self.database(name, track=None) for name in ("a.db", "b.db")]
        for i, path in enumerate(paths):
            shell(path, ROWS % (1, 2000))
            self.write_python(path, 1000 * i, 1000 * i + 1499)
            # Of one key, but not alike: one of the two values wins.
            execute(path, "INSERT INTO contacts(id, name) VALUES('x', ?)",
                    ("of %d" % i,))
        for path in paths:
            self.track(path)
        nodes = [self.start(paths[0], endpoint),
                 self.start(paths[1], peers=[endpoint])]
        self.wait_equal(nodes)
        alone = self.database("alone.db", track=None)
        shell(alone, ROWS % (1, 2000))
        self.write_python(alone, 0, 2499)
        expected = execute(alone, SUM)
        for path in paths:
            name = execute(path, "SELECT name FROM contacts WHERE id = 'x'")
            self.assertIn(name, [[("of 0",)], [("of 1",)]])
            self.assertEqual(execute(path, "SELECT * FROM contacts WHERE "
                                           "id = 'x'"),
                             execute(paths[0], "SELECT * FROM contacts WHERE "
                                               "id = 'x'"))
            self.verify(path)
        for node in nodes:
            self.assertEqual(node.stop(), 0)
            execute(node.path, "DELETE FROM contacts WHERE id = 'x'")
            self.assertEqual(execute(node.path, SUM), expected)


class Late(Tables):
    def test_an_empty_table_catches_up_without_the_origin(self):
        origin = self.database("a.db")
        shell(origin, ROWS % (1, 5000))
        endpoints = [free_endpoint(), free_endpoint()]
        a = self.start(origin, endpoints[0])
        b = self.start(self.database("b.db"), endpoints[1], [endpoints[0]])
        self.wait_equal([a, b])
        execute(a.path, "DELETE FROM contacts WHERE age = 7")
        self.wait_equal([a, b])
        self.assertEqual(a.stop(), 0)
        c = self.start(self.database("c.db"), peers=[endpoints[1]])
        self.wait_equal([b, c])
        self.assertEqual(execute(c.path, SUM), execute(origin, SUM))
        self.assertIn(a.status()["site"], c.status()["vv"])
        self.verify(c.path)

    def test_one_row_of_200000_costs_at_most_2048_bytes(self):
        first = self.database("a.db", track=None)
        shell(first, ROWS % (1, 200000))
        self.track(first)
        endpoint = free_endpoint()
        a = self.start(first, endpoint)
        b = self.start(self.database("b.db"), peers=[endpoint])
        self.wait_equal([a, b])
        self.assertEqual(b.stop(), 0)
        shell(first, "UPDATE contacts SET name = 'changed', age = age + 1 "
                     "WHERE id = 'c123456'; INSERT INTO contacts(id, name) "
                     "VALUES('new', 'one more');"
                     "DELETE FROM contacts WHERE id = 'new'")
        wait_until(lambda: a.status()["journal"] == 0, "the seal")
        # What passed in its run it would send as it passed.
        self.assertEqual(a.stop(), 0)
        a = self.start(first, endpoint)
        before = a.status()["counters"]
        tap = Tap(free_port(), endpoint)
        self.addCleanup(tap.close)
        # It remembers where the other is without the tap.
        b = self.node(b.path, "--static", "--peer", tap.endpoint).ready()
        self.wait_equal([a, b])
        self.assertEqual(execute(b.path, "SELECT name FROM contacts WHERE "
                                         "id = 'c123456'"), [("changed",)])
        counters = a.status()["counters"]
        # It came by WANT and DELTA, which passed the tap, and was small.
        self.assertGreaterEqual(
            counters["wants_received"] - before["wants_received"], 1)
        self.assertGreater(tap.size(WANT), 0)
        self.assertGreaterEqual(
            tap.size(DELTA), counters["delta_bytes_sent"]
            - before["delta_bytes_sent"])
        self.assertGreater(tap.size(DELTA), 0)
        self.assertEqual(tap.size(NEWS), 0)
        self.assertLessEqual(tap.size(WANT, DELTA), 2048)


class Away(Tables):
    def write_all(self, nodes, turn):
        """Each node's application inserts, edits and deletes."""
        for i, node in enumerate(nodes):
            db = connect(node.path)
            for j in range(20):
                db.execute("INSERT INTO contacts(id, name) VALUES(?, ?)",
                           ("%d.%d.%d" % (turn, i, j), "new"))
            db.execute("UPDATE contacts SET name = ? WHERE id LIKE ?",
                       ("turn %d" % turn, "%%.%d.1%%" % ((i + 1) % 3)))
            db.execute("UPDATE contacts SET age = ? WHERE id LIKE '%.5'",
                       (turn * 10 + i,))
            db.execute("DELETE FROM contacts WHERE id LIKE ?",
                       ("%%.%d.7" % ((i + 2) % 3),))
            db.close()

    def rows(self, nodes):
        found = [execute(node.path, "SELECT * FROM contacts ORDER BY id")
                 for node in nodes]
        for rows in found[1:]:
            self.assertEqual(rows, found[0])
        return found[0]

    def three(self):
        self.endpoint = free_endpoint()
        nodes = [self.start(self.database("a.db"), self.endpoint)]
        nodes += [self.start(self.database(name), peers=[self.endpoint])
                  for name in ("b.db", "c.db")]
        self.write_all(nodes, 0)
        self.wait_equal(nodes)
        self.rows(nodes)
        return nodes

    def test_a_node_that_was_away_catches_up_and_brings_its_own(self):
        nodes = self.three()
        for turn in (1, 2):
            # First one that dials, then the one that is dialled.
            away = nodes[2 if turn == 1 else 0]
            self.assertEqual(away.stop(), 0)
            self.write_all(nodes, turn)
            index = nodes.index(away)
            nodes[index] = self.start(
                away.path, self.endpoint if index == 0 else None,
                [] if index == 0 else [self.endpoint])
            self.wait_equal(nodes)
            ids = [row[0] for row in self.rows(nodes)]
            for i in range(3):
                self.assertIn("%d.%d.19" % (turn, i), ids)
        for node in nodes:
            self.verify(node.path)

    def test_a_node_that_slept_goes_on(self):
        nodes = self.three()
        asleep = nodes[1]
        asleep.process.send_signal(signal.SIGSTOP)
        self.addCleanup(asleep.process.send_signal, signal.SIGCONT)
        self.write_all(nodes, 1)
        # Its peer finds that it is gone; what is written on goes on.
        wait_until(lambda: links_up(nodes[0].path) == 1, "the silence")
        self.wait_equal([nodes[0], nodes[2]])
        asleep.process.send_signal(signal.SIGCONT)
        self.write_all(nodes, 2)
        self.wait_equal(nodes)
        ids = [row[0] for row in self.rows(nodes)]
        for i in range(3):
            for turn in (1, 2):
                self.assertIn("%d.%d.19" % (turn, i), ids)
        self.assertIsNone(asleep.process.poll())
        self.verify(asleep.path)


if __name__ == "__main__":
    unittest.main()
