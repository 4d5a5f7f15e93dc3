"""Meshes of any shape become equal, and are quiet when they are."""
import os
import time
import unittest

from mesh import Case, connect, execute, free_endpoint, free_port, wait_until
from peer import HEARTBEAT_S, VV, Tap


class Shapes(Case):
    COUNT = 5

    def check(self, dials):
        nodes = self.mesh(self.COUNT, dials=dials)
        for turn in range(3):
            for i, node in enumerate(nodes):
                db = connect(node.path)
                for j in range(10):
                    db.execute("INSERT INTO notes VALUES(?, ?, ?)",
                               ("%d.%d.%d" % (turn, i, j), "of %d" % i, ""))
                db.execute("UPDATE notes SET b = ? WHERE id LIKE ?",
                           ("%d by %d" % (turn, i),
                            "%%.%d.3" % ((i + 1) % self.COUNT)))
                db.execute("DELETE FROM notes WHERE id LIKE ?",
                           ("%%.%d.5" % ((i + 2) % self.COUNT),))
                db.close()
        self.wait_equal(nodes)
        rows = execute(nodes[0].path, "SELECT * FROM notes ORDER BY id")
        ids = [row[0] for row in rows]
        for turn in range(3):
            for i in range(self.COUNT):
                self.assertIn("%d.%d.9" % (turn, i), ids)
        for node in nodes[1:]:
            self.assertEqual(execute(node.path, "SELECT * FROM notes "
                                                "ORDER BY id"), rows)
        for node in nodes:
            self.assertEqual(node.status()["counters"]["divergences"], 0)
            self.verify(node.path)
            self.assertEqual(node.stop(), 0)

    def test_five_in_a_ring(self):
        self.check(lambda i, j: j == i - 1 or (i, j) == (self.COUNT - 1, 0))

    def test_five_in_a_star(self):
        self.check(lambda i, j: j == 0 < i)


class Rest(Case):
    WATCHED = 6  # heartbeats from each side
    HEARTBEAT_SIZE_MAX = 256

    def files(self, nodes):
        """When, and what, was last written."""
        found = []
        for node in nodes:
            for name in (node.path, node.path + "-wal"):
                with open(name, "rb") as file:
                    found.append((os.stat(name).st_mtime_ns, file.read()))
        return found

    def traffic(self, nodes):
        return [link[way] for node in nodes
                for link in node.status()["links"]
                for way in ("sent_bytes", "received_bytes")]

    def test_only_heartbeats_cross_and_nothing_is_written(self):
        endpoint = free_endpoint()
        a = self.start(self.database("a.db"), endpoint)
        tap = Tap(free_port(), endpoint)
        self.addCleanup(tap.close)
        b = self.start(self.database("b.db"), peers=[tap.endpoint])
        nodes = [a, b]
        for node in nodes:
            execute(node.path, "INSERT INTO notes VALUES(?, '', '')",
                    (node.path,))
        self.wait_equal(nodes)
        # What was under way when they became equal: ACKs, a last VV.
        wait_until(lambda: [m[1] for m in tap.seen[-6:]] == [VV] * 6,
                   "heartbeats alone")
        seen, start = len(tap.seen), time.monotonic()
        traffic, files = self.traffic(nodes), self.files(nodes)
        wait_until(lambda: all(
            sum(m[0] == dialled for m in tap.seen[seen:]) >= self.WATCHED
            for dialled in (True, False)), "heartbeats of both")
        passed = [now - then
                  for now, then in zip(self.traffic(nodes), traffic)]
        elapsed = time.monotonic() - start
        messages = tap.seen[seen:]

        self.assertEqual(self.files(nodes), files)
        self.assertEqual({kind for _, kind, _, _ in messages}, {VV})
        self.assertLessEqual(max(size for _, _, size, _ in messages),
                             self.HEARTBEAT_SIZE_MAX)
        for dialled in (True, False):
            count = sum(message[0] == dialled for message in messages)
            # One may just have left at either end of the time.
            self.assertLessEqual(count, elapsed / HEARTBEAT_S + 2)
        for size in passed:
            self.assertGreater(size, 0)
            self.assertLessEqual(size, self.HEARTBEAT_SIZE_MAX
                                 * (elapsed / HEARTBEAT_S + 2))


if __name__ == "__main__":
    unittest.main()
