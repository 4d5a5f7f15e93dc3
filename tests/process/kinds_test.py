"""Counters and multi-value columns between nodes, with the mesh cut in two."""
import os
import unittest

from mesh import (Case, connect, execute, free_endpoint, run, shell,
                  wait_until)

TABLE = ("CREATE TABLE posts(id TEXT PRIMARY KEY, likes INTEGER DEFAULT 0,"
         " note TEXT, title TEXT)")
KINDS = ("--counter", "likes", "--mv", "note")


def likes(path):
    return execute(path, "SELECT likes FROM posts WHERE id = 'p'")[0][0]


class Kinds(Case):
    def posts(self, name):
        path = self.file(name)
        execute(path, TABLE)
        code, out, err = run("track", path, "posts", *KINDS)
        self.assertEqual(code, 0, out + err)
        return path

    def add(self, path, count):
        db = connect(path)
        for _ in range(count):
            db.execute("BEGIN IMMEDIATE")
            db.execute("UPDATE posts SET likes = likes + 1 WHERE id = 'p'")
            db.execute("COMMIT")
        db.close()

    def test_both_sides_of_a_cut_count_and_both_notes_are_kept(self):
        between, end = free_endpoint(), free_endpoint()
        paths = [self.posts(name) for name in ("a.db", "b.db", "c.db")]
        a = self.start(paths[0], end)
        bridge = self.start(paths[1], between, peers=[end])
        # Else it would hear of the other end, and go on without the bridge.
        c = self.start(paths[2], peers=[between], static=True)
        execute(paths[0], "INSERT INTO posts VALUES('p', 10, 'first', 't')")
        self.wait_equal([a, bridge, c])
        self.assertEqual([likes(path) for path in paths], [10] * 3)

        # The only way between the two is gone.
        self.assertEqual(bridge.stop(), 0)
        self.add(paths[0], 30)
        self.add(paths[2], 40)
        execute(paths[0], "UPDATE posts SET note = 'of a'")
        execute(paths[2], "UPDATE posts SET note = 'of c'")
        wait_until(lambda: all(node.status()["journal"] == 0
                               for node in (a, c)), "both sides to publish")
        self.assertEqual([likes(paths[0]), likes(paths[2])], [40, 50])
        self.add(paths[1], 5)

        bridge = self.start(paths[1], between, peers=[end])
        self.wait_equal([a, bridge, c])
        for path in paths:
            self.assertEqual(likes(path), 85)
            self.assertEqual(
                shell(path, "SELECT value FROM gv_siblings ORDER BY value"),
                "of a\nof c\n")
        notes = {execute(path, "SELECT note FROM posts")[0] for path in paths}
        self.assertEqual(len(notes), 1)

        execute(paths[1], "UPDATE posts SET note = 'of all'")
        self.wait_equal([a, bridge, c])
        for node in (a, bridge, c):
            self.assertEqual(
                shell(node.path, "SELECT value FROM gv_siblings"), "of all\n")
            self.assertEqual(node.status()["counters"]["divergences"], 0)
            self.verify(node.path)
            self.assertEqual(node.stop(), 0)

    def test_a_kind_is_given_through_a_running_node_and_stays(self):
        path = self.file("d.db")
        execute(path, TABLE)
        node = self.start(path, free_endpoint())
        self.assertEqual(run("track", path, "posts", *KINDS)[0], 0)
        self.assertEqual(run("track", path, "posts", *KINDS)[0], 0)
        code, _, err = run("track", path, "posts", "--mv", "likes")
        self.assertEqual(code, 1)
        self.assertIn("cannot change", err)
        code, _, err = run("track", path, "posts", "--counter")
        self.assertEqual(code, 2)
        self.assertEqual(node.stop(), 0)

    def test_columns_that_are_added_later_get_a_kind_on_every_node(self):
        endpoint = free_endpoint()
        paths = [self.file("g.db"), self.file("h.db")]
        for path in paths:
            execute(path, "CREATE TABLE posts(id TEXT PRIMARY KEY)")
            self.assertEqual(run("track", path, "posts")[0], 0)
        a = self.start(paths[0], endpoint)
        b = self.start(paths[1], peers=[endpoint])
        execute(a.path, "INSERT INTO posts VALUES('p')")
        self.wait_equal([a, b])
        for path in paths:
            execute(path,
                    "ALTER TABLE posts ADD COLUMN likes INTEGER DEFAULT 0")
        code, out, err = run("track", a.path, "posts", "--counter", "likes")
        self.assertEqual(code, 0, err)
        self.assertIn("have the kinds from now on", out)
        self.add(a.path, 2)
        wait_until(lambda: likes(b.path) == 2, "the kind to arrive")
        self.add(b.path, 3)
        self.add(a.path, 4)
        self.wait_equal([a, b])
        self.assertEqual([likes(path) for path in paths], [9, 9])

    def test_a_file_that_is_made_from_the_mesh_has_the_kinds(self):
        endpoint = free_endpoint()
        a = self.start(self.posts("e.db"), endpoint)
        execute(a.path, "INSERT INTO posts VALUES('p', 7, 'n', 't')")
        b = self.node(self.file("f.db"), "--create", "--peer", endpoint)
        b.ready()
        self.wait_equal([a, b])
        self.add(b.path, 3)
        self.add(a.path, 2)
        self.wait_equal([a, b])
        self.assertEqual([likes(node.path) for node in (a, b)], [12, 12])
        self.assertEqual(shell(b.path, "SELECT value FROM gv_siblings"),
                         "n\n")
        self.assertTrue(os.path.exists(b.path))


if __name__ == "__main__":
    unittest.main()
