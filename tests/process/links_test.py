"""Nodes that find one another, and what they keep of it."""
import os
import time
import unittest

from mesh import Case, LIMIT_S, execute, free_endpoint, links_up, \
    status, wait_until
from peer import PEERS, Peer, encode


def read(path):
    with open(path) as file:
        return file.read()


def known(path):
    return status(path)["peers"]["known"]


class LinksTest(Case):
    def chain(self, count):
        """Nodes of which each knows the one before it."""
        endpoints = [free_endpoint() for _ in range(count)]
        nodes = []
        for i in range(count):
            nodes.append(self.start(
                self.database("%d.db" % i), endpoints[i],
                [endpoints[i - 1]] if i > 0 else []))
        return nodes, endpoints

    def linked(self, nodes, count, what):
        for node in nodes:
            wait_until(lambda: links_up(node.path) >= count,
                       "%s: %s" % (node.path, what))

    def test_twenty_nodes_that_know_one_each_find_all(self):
        nodes, _ = self.chain(20)
        self.linked(nodes, 19, "links with all")
        execute(nodes[7].path, "INSERT INTO notes VALUES ('k', 'a', 'b')")
        self.wait_equal(nodes)

    def test_what_was_found_is_kept_for_the_next_start(self):
        nodes, endpoints = self.chain(4)
        self.linked(nodes, 3, "links with all")
        kept = nodes[3].path + "-gv/peers"
        wait_until(lambda: os.path.exists(kept)
                   and read(kept).count("\n") >= 3, "three lines kept")
        nodes[3].stop()
        nodes[2].stop()  # the only one that it was told to dial
        again = self.start(nodes[3].path, endpoints[3], [endpoints[2]])
        self.linked([again], 2, "links with those that are left")
        # One that is told to keep to what it is given does, and leaves the
        # file as it is.
        again.stop()
        before = read(kept)
        again = self.node(nodes[3].path, "--static", "--peer",
                          endpoints[0]).ready()
        self.linked([again], 1, "the link it was given")
        self.assertEqual(status(again.path)["peers"]["view"], "static")
        again.stop()
        self.assertEqual(read(kept), before)
        # One that is damaged is no reason not to start.
        with open(kept, "wb") as file:
            file.write(os.urandom(5000) + b"\ntcp://x 1 2\n" + b"a" * 70000)
        again = self.start(nodes[3].path, endpoints[3], [endpoints[0]])
        self.linked([again], 2, "links told of anew")

    def test_what_is_kept_grows_no_older_by_a_start(self):
        heard = int(time.time()) - 1000
        node = self.start(self.database("a.db"), free_endpoint())
        node.stop()
        kept = node.path + "-gv/peers"
        with open(kept, "w") as file:
            file.write("%s %s %d\n" % (free_endpoint(), "ab" * 16, heard))
        self.start(node.path, free_endpoint()).stop()
        self.assertAlmostEqual(int(read(kept).split()[2]), heard, delta=60)

    def test_one_that_can_only_dial_is_a_member_like_others(self):
        nodes, endpoints = self.chain(3)
        hidden = self.start(self.database("hidden.db"), None, [endpoints[0]])
        self.linked([hidden], 3, "links with all")
        self.linked(nodes, 3, "links with all and the hidden one")
        execute(hidden.path, "INSERT INTO notes VALUES ('k', 'a', 'b')")
        execute(nodes[2].path, "INSERT INTO notes VALUES ('l', 'a', 'b')")
        self.wait_equal(nodes + [hidden])

    def test_round_trip_and_clock_are_shown(self):
        nodes, _ = self.chain(2)
        self.linked(nodes, 1, "the link")
        link = wait_until(
            lambda: (lambda one: one if one["rtt_ms"] is not None else None)(
                status(nodes[0].path)["links"][0]), "a round trip")
        self.assertLess(link["rtt_ms"], 1000 * LIMIT_S)
        self.assertLess(abs(link["offset_ms"]), 1000 * LIMIT_S)
        self.assertEqual(link["peer_refuses"], "")
        self.assertEqual(status(nodes[0].path)["clock"]["peers"], 1)

    def test_strangers_are_told_of_peers_and_a_flood_of_names_is_borne(self):
        nodes, endpoints = self.chain(2)
        self.linked(nodes, 1, "the link")
        other = free_endpoint()
        peer = Peer(endpoints[0], endpoints=[other])
        self.addCleanup(peer.close)
        told = wait_until(lambda: peer.messages(PEERS), "PEERS")
        self.assertIn(endpoints[1], [entry[0] for entry in told[0][1]])
        # The other node hears of the stranger.
        wait_until(lambda: known(nodes[1].path) >= 2, "the stranger is known")
        for i in range(300):
            peer.send(encode(PEERS, [
                ["tcp://127.0.0.1:%d" % (1 + (i * 32 + j) % 1000),
                 os.urandom(16), 0] for j in range(32)]))
        wait_until(lambda: known(nodes[0].path) >= 3, "some were taken")
        self.assertLessEqual(known(nodes[0].path), 256)
        self.assertEqual(links_up(nodes[0].path), 2)


if __name__ == "__main__":
    unittest.main()
