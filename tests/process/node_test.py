"""Real nodes: writing on one is seen on the others, offline work is kept,
stopping is clean."""
import os
import signal
import subprocess
import unittest

from mesh import (Case, connect, execute, free_port, links_up, run, status,
                  wait_until)


def notes(path):
    return execute(path, "SELECT id, a, b FROM notes ORDER BY id")


class Sync(Case):
    def test_a_commit_of_the_sqlite3_shell_reaches_the_other_node(self):
        a, b = self.mesh(2)
        subprocess.run(["sqlite3", "-cmd", ".timeout 30000", a.path,
                        "INSERT INTO notes VALUES('x', 'one', 'two')"],
                       check=True)
        wait_until(lambda: notes(b.path) == [("x", "one", "two")], "the row")
        execute(b.path, "UPDATE notes SET a = 'three'")
        wait_until(lambda: notes(a.path) == [("x", "three", "two")],
                   "the update")
        execute(a.path, "DELETE FROM notes")
        wait_until(lambda: notes(b.path) == [], "the delete")
        self.wait_equal([a, b])

    def test_a_line_of_three_passes_news_on_both_ways(self):
        nodes = self.mesh(3, dials=lambda i, j: j == i - 1)
        execute(nodes[0].path, "INSERT INTO notes VALUES('l', 'left', '')")
        execute(nodes[2].path, "INSERT INTO notes VALUES('r', 'right', '')")
        self.wait_equal(nodes)
        for node in nodes:
            self.assertEqual([row[0] for row in notes(node.path)], ["l", "r"])

    def test_what_was_written_while_apart_is_merged_column_by_column(self):
        a, b = self.mesh(2)
        execute(a.path, "INSERT INTO notes VALUES('x', '0', '0')")
        execute(a.path, "INSERT INTO notes VALUES('y', '0', '0')")
        self.wait_equal([a, b])
        self.assertEqual(b.stop(), 0)
        execute(a.path, "UPDATE notes SET a = 'a' WHERE id = 'x'")
        execute(b.path, "UPDATE notes SET b = 'b' WHERE id = 'x'")
        execute(a.path, "UPDATE notes SET a = 'lost' WHERE id = 'y'")
        execute(b.path, "DELETE FROM notes WHERE id = 'y'")
        port = status(a.path)["endpoint"]
        b = self.node(b.path, "--peer", port).ready()
        self.wait_equal([a, b])
        self.assertEqual(notes(a.path), [("x", "a", "b")])
        self.assertEqual(notes(b.path), notes(a.path))

    def test_a_crowd_of_commits_arrives_whole(self):
        a, b = self.mesh(2)
        db = connect(a.path)
        for i in range(2000):
            db.execute("INSERT INTO notes VALUES(?, ?, ?)",
                       ("k%04d" % i, "v%d" % i, "w"))
        db.close()
        wait_until(lambda: len(notes(b.path)) == 2000, "all rows")
        self.wait_equal([a, b])
        self.assertEqual(run("verify", b.path)[0], 0)

    def test_an_empty_table_catches_up_with_many_rows(self):
        first = self.database("first.db", track=None)
        db = connect(first)
        db.execute("BEGIN")
        db.executemany("INSERT INTO notes VALUES(?, ?, ?)",
                       (("k%06d" % i, "v" * 50, str(i))
                        for i in range(20000)))
        db.execute("COMMIT")
        db.close()
        self.assertEqual(run("track", first, "notes")[0], 0)
        endpoint = "tcp://127.0.0.1:%d" % free_port()
        one = self.node(first, "--listen", endpoint).ready()
        two = self.node(self.database("second.db"), "--peer",
                        endpoint).ready()
        self.wait_equal([one, two])
        self.assertEqual(len(notes(two.path)), 20000)

    def test_a_table_tracked_under_a_running_node_is_shared(self):
        endpoint = "tcp://127.0.0.1:%d" % free_port()
        a = self.node(self.database("a.db", track=None), "--listen",
                      endpoint).ready()
        b = self.node(self.database("b.db", track=None), "--peer",
                      endpoint).ready()
        execute(a.path, "INSERT INTO notes VALUES('early', '', '')")
        for node in (a, b):
            code, out, err = run("track", node.path, "notes")
            self.assertEqual((code, err), (0, ""))
        execute(b.path, "INSERT INTO notes VALUES('late', '', '')")
        self.wait_equal([a, b])
        self.assertEqual([row[0] for row in notes(a.path)],
                         ["early", "late"])
        self.assertEqual(notes(a.path), notes(b.path))

    def test_a_delta_for_an_unknown_table_waits_for_the_table(self):
        endpoint = "tcp://127.0.0.1:%d" % free_port()
        a = self.node(self.database("a.db"), "--listen", endpoint).ready()
        b = self.node(self.database("b.db", sql="CREATE TABLE own(x)",
                                    track=None), "--peer", endpoint).ready()
        execute(a.path, "INSERT INTO notes VALUES('x', '1', '2')")
        wait_until(lambda: b.status()["warnings"], "a warning in status")
        self.assertIn("notes", b.status()["warnings"][0])
        execute(b.path, self.TABLE)
        self.assertEqual(run("track", b.path, "notes")[0], 0)
        wait_until(lambda: notes(b.path) == [("x", "1", "2")], "the row")
        self.wait_equal([a, b])
        self.assertEqual(b.status()["refusals"], [])


class Stop(Case):
    def test_a_file_with_two_names_is_warned_of(self):
        path = self.database("a.db")
        node = self.node(path).ready()
        self.assertNotIn("hard links", node.log())
        node.stop()
        os.link(path, self.file("b.db"))
        node = self.node(path).ready()
        wait_until(lambda: "a.db has 2 names" in node.log(), "the warning")

    def test_sigint_and_sigterm_stop_cleanly(self):
        for sig in (signal.SIGINT, signal.SIGTERM):
            node = self.node(self.database("%d.db" % sig)).ready()
            self.assertEqual(node.stop(sig), 0)
            self.assertIn("stopped", node.log())
            self.assertFalse(os.path.exists(node.path + "-gv/control"))

    def test_a_peer_comes_back_after_kill_9(self):
        a, b = self.mesh(2)
        endpoint = status(a.path)["endpoint"]
        a.process.kill()
        a.process.wait()
        execute(a.path, "INSERT INTO notes VALUES('x', '', '')")
        execute(b.path, "INSERT INTO notes VALUES('y', '', '')")
        a = self.node(a.path, "--listen", endpoint).ready()
        wait_until(lambda: links_up(a.path) == 1, "the link")
        self.wait_equal([a, b])

    def test_status_says_whether_a_node_runs(self):
        path = self.database("a.db")
        execute(path, "INSERT INTO notes VALUES('x', '', '')")
        before = status(path)
        self.assertFalse(before["running"])
        self.assertEqual(before["journal"], 1)
        self.assertNotIn("links", before)
        node = self.node(path, "--name", "me").ready()
        wait_until(lambda: node.status()["journal"] == 0, "the seal")
        running = node.status()
        self.assertTrue(running["running"])
        self.assertEqual(running["name"], "me")
        self.assertEqual(running["mesh"], "test")
        self.assertEqual(running["links"], [])
        self.assertEqual(running["site"], before["site"])
        self.assertRegex(running["vv"][running["site"]], "^[0-9]+$")
        self.assertRegex(running["fingerprint"], "^[0-9a-f]{32}$")
        self.assertEqual(running["tables"][0]["rows"], 1)
        self.assertEqual(node.stop(), 0)
        after = status(path)
        self.assertFalse(after["running"])
        self.assertEqual(after["fingerprint"], running["fingerprint"])

    def test_verify_names_a_row_written_past_the_triggers(self):
        path = self.database("a.db")
        execute(path, "INSERT INTO notes VALUES('x', 'old', '')")
        node = self.node(path).ready()
        wait_until(lambda: node.status()["journal"] == 0, "the seal")
        self.assertEqual(run("verify", path)[0], 0)
        self.assertEqual(node.stop(), 0)
        trigger = execute(path, "SELECT name, sql FROM sqlite_schema WHERE "
                                "type = 'trigger' AND name LIKE 'gv%u'")[0]
        execute(path, 'DROP TRIGGER "%s"' % trigger[0])
        execute(path, "UPDATE notes SET a = 'new'")
        execute(path, trigger[1])
        code, out, err = run("verify", path)
        self.assertEqual(code, 1)
        self.assertIn("notes 'x'", out)
        self.assertIn("next:", err)


if __name__ == "__main__":
    unittest.main()
