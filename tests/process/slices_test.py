"""Long seals and long applies: in slices, cut by kill -9 behind any of them."""
import unittest

from mesh import Case, connect, execute, free_endpoint, run, wait_until

TABLE = "CREATE TABLE items(id INTEGER PRIMARY KEY, name TEXT, n INTEGER)"
ROWS = ("INSERT INTO items WITH RECURSIVE r(i) AS (SELECT %d UNION ALL SELECT"
        " i + 1 FROM r WHERE i < %d) SELECT i, 'name of ' || i, i %% 90"
        " FROM r")
SUM = ("SELECT count(*), sum(n), sum(length(name)), sum(id) FROM items")
MANY = 30000


class Slices(Case):
    def database(self, name, sql=TABLE, track="items"):
        return super().database(name, sql, track)

    def killed(self, node):
        """Wait for the hook's SIGKILL."""
        wait_until(lambda: node.process.poll() is not None,
                   "the death of " + node.path)
        self.assertEqual(node.process.returncode, -9, node.log())

    def compare(self, nodes, rows):
        self.wait_equal(nodes)
        expected = execute(nodes[0].path, SUM)
        self.assertEqual(expected[0][0], rows)
        for node in nodes:
            self.assertEqual(execute(node.path, SUM), expected)
            self.assertEqual(execute(node.path,
                                     "SELECT busy FROM gv_meta"), [(0,)])
        for node in nodes:
            self.assertEqual(node.stop(), 0)
            self.verify(node.path)

    def apply_is_cut(self, slices):
        endpoint = free_endpoint()
        first = self.database("a.db", track=None)
        execute(first, ROWS % (1, MANY))
        self.assertEqual(run("track", first, "items")[0], 0)
        a = self.start(first, endpoint)
        path = self.database("b.db")
        b = self.node(path, "--peer", endpoint,
                      env={"GRAPEVINE_HOOK": "slice:%d" % slices})
        self.killed(b)
        shown = execute(path, "SELECT count(*) FROM items")[0][0]
        claimed = execute(path, "SELECT count(*) FROM gv_site WHERE"
                                " version > 0")[0][0]
        self.assertLess(shown, MANY)
        self.assertEqual(claimed, 0)
        # What is written meanwhile joins it.
        execute(path, "INSERT INTO items VALUES(-1, 'meanwhile', 1)")
        execute(path, "UPDATE items SET name = 'mine' WHERE id = 17")
        b = self.start(path, peers=[endpoint])
        self.compare([a, b], MANY + 1)
        return shown

    def test_a_long_apply_is_cut_before_it_shows_anything(self):
        self.assertEqual(self.apply_is_cut(3), 0)

    def test_a_long_apply_is_cut_in_the_middle(self):
        self.assertGreater(self.apply_is_cut(20), 0)

    def test_a_long_seal_is_cut_in_the_middle(self):
        endpoint = free_endpoint()
        paths = [self.database("a.db"), self.database("b.db")]
        b = self.start(paths[1], endpoint)
        a = self.start(paths[0], peers=[endpoint],
                       env={"GRAPEVINE_HOOK": "slice:7"})
        execute(a.path, ROWS % (1, MANY))
        self.killed(a)
        self.assertEqual(execute(a.path, "SELECT busy FROM gv_meta"), [(1,)])
        self.assertEqual(execute(b.path, SUM)[0][0], 0)
        execute(a.path, "UPDATE items SET n = 1000 WHERE id % 100 = 0")
        a = self.start(paths[0], peers=[endpoint])
        self.compare([a, b], MANY)
        self.assertEqual(execute(b.path, "SELECT count(*) FROM items WHERE"
                                         " n = 1000"), [(MANY // 100,)])

    def test_applications_write_through_a_long_apply(self):
        endpoint = free_endpoint()
        first = self.database("a.db", track=None)
        execute(first, ROWS % (1, MANY))
        self.assertEqual(run("track", first, "items")[0], 0)
        a = self.start(first, endpoint)
        b = self.start(self.database("b.db"), peers=[endpoint])
        db = connect(b.path)
        count = 0
        shown = "SELECT count(*) FROM items WHERE id > 0"
        # Without a pause, for longer than the apply takes by itself.
        while db.execute(shown).fetchone()[0] < MANY and count < MANY:
            count += 1
            db.execute("BEGIN IMMEDIATE")
            db.execute("INSERT INTO items VALUES(?, 'own', 0)", (-count,))
            db.execute("COMMIT")
        wait_until(lambda: db.execute(shown).fetchone()[0] == MANY,
                   "all rows of the delta")
        db.close()
        self.compare([a, b], MANY + count)


if __name__ == "__main__":
    unittest.main()
