"""Changes pass through nodes in between, and never an effect before its
cause."""
import unittest

from mesh import Case, execute, free_endpoint, links_up, wait_until
from peer import (BAD_MESSAGE, BYE, DELTA, NEWS, WANT, Peer, encode, unpack,
                  vv_read)


def notes(path):
    return execute(path, "SELECT id, a, b FROM notes ORDER BY id")


def ids(path):
    return [row[0] for row in notes(path)]


class Line(Case):
    def test_changes_pass_through_the_middle_both_ways(self):
        a, b, c = self.mesh(3, dials=lambda i, j: j == i - 1)
        self.assertEqual([links_up(n.path) for n in (a, b, c)], [1, 2, 1])
        for source, target in ((a, c), (c, a)):
            execute(source.path, "INSERT INTO notes VALUES('x', 'in', '')")
            wait_until(lambda: notes(target.path) == [("x", "in", "")],
                       "the insert")
            execute(source.path, "UPDATE notes SET b = 'edit'")
            wait_until(lambda: notes(target.path) == [("x", "in", "edit")],
                       "the edit")
            execute(source.path, "DELETE FROM notes")
            wait_until(lambda: notes(target.path) == [], "the delete")
        self.wait_equal([a, b, c])
        # The far end was away: the middle has it all.
        self.assertEqual(c.stop(), 0)
        execute(a.path, "INSERT INTO notes VALUES('meanwhile', '', '')")
        self.wait_equal([a, b])
        self.assertEqual(a.stop(), 0)
        c = self.start(c.path, peers=[b.status()["endpoint"]])
        self.wait_equal([b, c])
        self.assertEqual(ids(c.path), ["meanwhile"])


class Replay(Case):
    """A scripted peer records what A and B send, and says it to C."""

    def scripted(self, endpoint):
        peer = Peer(endpoint)
        self.addCleanup(peer.close)
        return peer

    def record(self):
        """An interval of A (the cause), one of B that saw it (the effect),
        and all of B as a delta's bytes and claim."""
        endpoints = [free_endpoint(), free_endpoint()]
        a = self.start(self.database("a.db"), endpoints[0])
        b = self.start(self.database("b.db"), endpoints[1], [endpoints[0]])
        wait_until(lambda: links_up(b.path) == 1, "the link")
        peer = self.scripted(endpoints[1])
        wait_until(lambda: links_up(b.path) == 2, "the scripted peer")
        execute(a.path, "INSERT INTO notes VALUES('cause', 'because', '')")
        wait_until(lambda: ids(b.path) == ["cause"], "the cause")
        execute(b.path, "INSERT INTO notes VALUES('effect', 'b', '')")
        self.wait_equal([a, b])
        sites = [bytes.fromhex(n.status()["site"]) for n in (a, b)]
        recorded = [wait_until(lambda: peer.intervals(site), "NEWS")[0]
                    for site in sites]
        peer.want(77)
        delta = wait_until(lambda: peer.messages(DELTA), "the delta")[0]
        self.assertEqual((delta[1], delta[3], delta[5]), (77, 0, True))
        return sites, recorded, delta[4], delta[6]

    def early(self):
        """C, to which the effect was said and not its cause."""
        sites, (cause, effect), data, claim = self.record()
        # B had seen A's change when it wrote, and says so.
        self.assertEqual(unpack(effect)[1], 0)
        self.assertEqual(vv_read(unpack(effect)[3]),
                         {sites[0]: unpack(cause)[2]})
        endpoint = free_endpoint()
        c = self.start(self.database("c.db"), endpoint)
        peer = self.scripted(endpoint)
        wait_until(lambda: links_up(c.path) == 1, "the scripted peer")

        peer.news(effect)
        wait_until(lambda: c.status()["counters"]["news_received"] == 1,
                   "the effect")
        # It is asked for what comes before, and gives no answer.
        want = wait_until(lambda: peer.messages(WANT), "a WANT")[-1]
        self.assertEqual(notes(c.path), [])
        self.assertEqual(vv_read(want[1]), {})
        self.assertEqual(c.status()["counters"]["news_early"], 1)
        self.assertEqual(c.status()["counters"]["news_applied"], 0)
        self.assertEqual(c.status()["vv"], {})
        return c, peer, cause, data, claim

    def check_both(self, c, claim):
        wait_until(lambda: ids(c.path) == ["cause", "effect"], "both")
        self.assertEqual(c.status()["vv"], {
            site.hex(): str(version)
            for site, version in vv_read(claim).items()})
        self.verify(c.path)

    def test_an_effect_before_its_cause_waits_for_it(self):
        c, peer, cause, _, claim = self.early()
        peer.news(cause)
        self.check_both(c, claim)
        self.assertEqual(c.status()["counters"]["news_applied"], 2)

    def test_an_effect_before_its_cause_is_fetched_with_it(self):
        c, peer, _, data, claim = self.early()
        peer.hold(vv_read(claim))
        peer.delta(peer.messages(WANT)[-1][2], data, claim)
        self.check_both(c, claim)
        self.assertEqual(c.status()["counters"]["news_applied"], 0)

    def test_a_value_that_was_turned_on_the_way_is_not_stored(self):
        sites, (cause, _), _, _ = self.record()
        endpoint = free_endpoint()
        c = self.start(self.database("c.db"), endpoint)
        frame = encode(NEWS, [cause])
        turned = bytearray(frame)
        turned[frame.index(b"because")] ^= 1  # "cecause" decodes as well

        peer = self.scripted(endpoint)
        wait_until(lambda: links_up(c.path) == 1, "the scripted peer")
        peer.send(bytes(turned))
        bye = wait_until(lambda: peer.messages(BYE), "a BYE")[0]
        self.assertEqual(bye[1], BAD_MESSAGE)
        self.assertEqual(c.status()["counters"]["bad_messages"], 1)
        self.assertEqual(c.status()["vv"], {})
        self.assertEqual(notes(c.path), [])
        peer.close()
        wait_until(lambda: links_up(c.path) == 0, "the end")

        peer = self.scripted(endpoint)
        wait_until(lambda: links_up(c.path) == 1, "the next link")
        peer.send(frame)
        wait_until(lambda: notes(c.path) == [("cause", "because", "")],
                   "the value as it was")
        self.assertEqual(list(c.status()["vv"]), [sites[0].hex()])
        self.verify(c.path)

    def test_cause_and_effect_come_together_from_another_peer(self):
        _, (_, effect), _, _ = self.record()
        b = self.nodes[1]
        endpoint = b.status()["endpoint"]
        self.assertEqual(b.stop(), 0)
        c = self.start(self.database("c.db"), free_endpoint(), [endpoint])
        peer = self.scripted(c.status()["endpoint"])
        wait_until(lambda: links_up(c.path) == 1, "the scripted peer")
        peer.news(effect)
        wait_until(lambda: peer.messages(WANT), "a WANT")
        self.assertEqual(notes(c.path), [])
        # Who told the effect goes without an answer; another one has both.
        peer.close()
        b = self.start(b.path, endpoint)
        seen = []
        wait_until(lambda: seen.append(ids(c.path)) or seen[-1], "the rows")
        self.assertEqual(seen[-1], ["cause", "effect"])
        self.wait_equal([b, c])


if __name__ == "__main__":
    unittest.main()
