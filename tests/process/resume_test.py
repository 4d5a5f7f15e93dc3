"""A long catch-up that is cut, by its link or by kill -9 of either side, goes
on where it was."""
import os
import signal
import time
import unittest

from mesh import Case, execute, free_endpoint, free_port, shell, wait_until
from peer import DELTA, Tap

CONTACTS = ("CREATE TABLE contacts(id TEXT PRIMARY KEY, name TEXT, "
            "phone TEXT)")
ROWS = 320000
FILL = ("INSERT INTO contacts WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
        "SELECT i + 1 FROM n WHERE i < %d) SELECT printf('c%%030d', i), "
        "'name ' || i, '+49 ' || i FROM n" % ROWS)
SUM = ("SELECT count(*), sum(length(id)), sum(length(name)), "
       "sum(substr(phone, 5)) FROM contacts")
CREDIT = 1024 * 1024
CUTS = 10
# Between two cuts: who starts over each time sends twice what is allowed.
STEP = 2 * CREDIT
# Who takes longer to apply it all than the provider waits for its last word
# (GIVE_PATIENCE_MS, 30 s) may have been cut off: the spool is kept for it.
PATIENCE_S = 20
# What is said beside deltas: vectors, HELLOs and their like.
SMALL = 256 * 1024


class Resume(Case):
    def database(self, name, sql=CONTACTS, track="contacts"):
        return super().database(name, sql, track)

    def start(self, path, endpoint=None, peers=(), **settings):
        """As Case.start; but who is told of a peer by another node would go
        around the tap."""
        options = ["--static", "--name", os.path.basename(path)]
        if endpoint is not None:
            options += ["--listen", endpoint]
        for peer in peers:
            options += ["--peer", peer]
        return self.node(path, *options, **settings).ready()

    def provider(self):
        path = self.database("a.db", track=None)
        shell(path, FILL)
        super().database("a.db", None, "contacts")
        self.endpoint = free_endpoint()
        node = self.start(path, self.endpoint)
        wait_until(lambda: node.status()["journal"] == 0
                   and node.status()["vv"], "the seal")
        return node

    def tap(self):
        tap = Tap(free_port(), self.endpoint)
        self.addCleanup(tap.close)
        return tap

    def spool(self, node):
        path = os.path.join(node.path + "-gv", "out-0")
        return os.path.getsize(path) if os.path.exists(path) else 0

    def again(self, node, tap):
        """Kill @node, and start it again."""
        node.stop(signal.SIGKILL)
        return self.start(node.path, self.endpoint if tap is None else None,
                          [] if tap is None else [tap.endpoint])

    def catch_up(self, cut):
        """Cut ten times by cut(turn, a, b, tap), which returns a and b."""
        a = self.provider()
        tap = self.tap()
        tap.allow(STEP)
        b = self.start(self.database("b.db"), peers=[tap.endpoint])
        wait_until(lambda: tap.answered > STEP, "the first bytes")
        size = self.spool(a)
        self.assertGreater(size, (CUTS + 1) * STEP)
        for turn in range(CUTS):
            wait_until(lambda: tap.answered > tap.most, "bytes to cut")
            a, b = cut(turn, a, b, tap)
            tap.allow(tap.answered + STEP)
            tap.cut()
        tap.allow(None)
        self.wait_equal([a, b])
        took = time.monotonic() - max(
            at for _, kind, _, at in tap.seen if kind == DELTA)
        self.assertEqual(execute(b.path, SUM), execute(a.path, SUM))
        self.assertEqual(execute(b.path, SUM)[0][0], ROWS)
        self.verify(b.path)
        print("delta %d bytes, sent %d, twice %d; equal %.1f s after its end" %
              (size, tap.answered, tap.answered - size, took))
        self.assertLessEqual(tap.answered, size + CUTS * CREDIT + SMALL)
        if took < PATIENCE_S:
            wait_until(lambda: self.spool(a) == 0, "the end of the spool")

    def test_of_a_catch_up_whose_ends_are_killed_little_is_sent_twice(self):
        def kill(turn, a, b, tap):
            if turn % 2 == 0:
                return a, self.again(b, tap)
            return self.again(a, None), b
        self.catch_up(kill)

    def test_of_a_catch_up_whose_link_breaks_little_is_sent_twice(self):
        self.catch_up(lambda turn, a, b, tap: (a, b))


if __name__ == "__main__":
    unittest.main()
