"""Nodes of several releases in one mesh.

Test builds can be told to speak as another release does (src/node/opening.c):
other versions of the protocol, or without some of its features."""
import unittest

from mesh import Case, execute, free_endpoint, links_up, run, \
    status, wait_until
from peer import CHECK, DELTA, PEERS, PROOF, PRUNE, Peer, VV, WANT, vv_bytes

TREES, EXCHANGE, PROOFS, RESUME = 1, 2, 4, 8
ALL = ["trees", "exchange", "proofs", "resume", "pieces", "vectors"]


def spoken(**numbers):
    """The environment of a node that speaks as these numbers say."""
    return {"GRAPEVINE_HOOK": ",".join(
        "%s:%d" % (name.replace("_", "-"), number)
        for name, number in numbers.items())}


OLD = spoken(without_features=(1 << len(ALL)) - 1)


def link_with(node, name):
    return next((link for link in node.status()["links"]
                 if link["name"] == name), None)


class MixedMesh(Case):
    def chain(self, environments):
        """Nodes of which each knows the one before it, full in the end."""
        nodes, endpoints = [], []
        for i, env in enumerate(environments):
            endpoints.append(free_endpoint())
            nodes.append(self.start(self.database("%d.db" % i), endpoints[i],
                                    endpoints[:i], env=env))
        return nodes, endpoints

    def test_one_without_features_is_a_member_like_others(self):
        nodes, _ = self.chain([{}, OLD, {}])
        for node in nodes:
            wait_until(lambda: links_up(node.path) == 2, "two links")
        for i, node in enumerate(nodes):
            for k in range(20):
                execute(node.path, "INSERT INTO notes VALUES(?, 'x', 'y')",
                        ("%d-%d" % (i, k),))
        self.wait_equal(nodes)
        self.assertEqual(execute(nodes[1].path,
                                 "SELECT count(*) FROM notes"), [(60,)])
        self.assertEqual(link_with(nodes[0], "1.db")["features"], [])
        self.assertEqual(link_with(nodes[0], "2.db")["features"], ALL)
        self.assertEqual(link_with(nodes[1], "0.db")["protocol"], 2)
        self.assertEqual(status(nodes[1].path)["protocol"],
                         {"min": 2, "max": 2, "features": []})
        self.assertEqual(link_with(nodes[0], "1.db")["pruned"], 0)

    def test_a_node_is_upgraded_and_its_links_speak_more(self):
        nodes, endpoints = self.chain([{}, OLD])
        wait_until(lambda: links_up(nodes[0].path) == 1, "the link")
        self.assertEqual(link_with(nodes[0], "1.db")["features"], [])
        self.assertEqual(nodes[1].stop(), 0)
        execute(nodes[0].path, "INSERT INTO notes VALUES('m', 'x', 'y')")
        again = self.start(nodes[1].path, endpoints[1], endpoints[:1],
                           env=spoken(protocol_max=3))
        wait_until(lambda: links_up(again.path) == 1, "the new link")
        self.wait_equal([nodes[0], again])
        link = link_with(nodes[0], "1.db")
        self.assertEqual((link["protocol"], link["features"]), (2, ALL))

    def test_rows_are_not_compared_with_who_cannot(self):
        nodes, endpoints = self.chain([{}, OLD])
        wait_until(lambda: links_up(nodes[0].path) == 1, "the link")
        code, _, err = run("verify", nodes[0].path, "--peer", endpoints[1])
        self.assertNotEqual(code, 0)
        self.assertIn("its release is too old", err)


class NoCommonVersion(Case):
    def test_both_are_told_who_is_to_be_upgraded(self):
        endpoint = free_endpoint()
        old = self.start(self.database("old.db"), endpoint)
        new = self.start(self.database("new.db"), free_endpoint(), [endpoint],
                         env=spoken(protocol_min=3, protocol_max=4))
        here = ("it speaks protocol versions 3 to 4, this node version 2: "
                "this node is to be upgraded")
        there = ("it speaks protocol version 2, this node versions 3 to 4: "
                 "it is to be upgraded")
        away = wait_until(lambda: old.status()["turned_away"], "a stranger")
        self.assertEqual([(one["name"], one["reason"]) for one in away],
                         [("new.db", here)])
        link = wait_until(
            lambda: next((one for one in new.status()["links"]
                          if one["state"] == "refused"), None), "the refusal")
        self.assertEqual((link["endpoint"], link["reason"]),
                         (endpoint, there))
        for node, reason in ((old, here), (new, there)):
            self.assertIn(reason, node.log())
            out = run("status", node.path)[1]
            self.assertIn(reason, " ".join(out.split()))
        # Whoever waits for the two to be equal waits in vain, and hears it.
        for node, reason in ((old, here), (new, there)):
            code, out, err = run("wait", node.path, "--converged", "--peers",
                                 "1", "--timeout", "100ms")
            self.assertEqual((code, out), (1, ""))
            self.assertIn("0 of 1 peers connected", " ".join(err.split()))
            self.assertIn(reason, " ".join(err.split()))
        # Then the old one is upgraded, and dialled in the end.
        execute(new.path, "INSERT INTO notes VALUES('m', 'x', 'y')")
        old.stop()
        old = self.start(old.path, endpoint, env=spoken(protocol_max=3))
        self.wait_equal([old, new])
        self.assertEqual(link_with(old, "new.db")["protocol"], 3)
        self.assertEqual(old.status()["turned_away"], [])


class Yesterday(Case):
    """A peer that knows nothing of features, in python alone."""

    def test_it_is_sent_nothing_that_it_cannot_read(self):
        endpoints = [free_endpoint(), free_endpoint()]
        nodes = [self.start(self.database("%d.db" % i), endpoints[i],
                            endpoints[:i]) for i in range(2)]
        peer = Peer(endpoints[0], features=None,
                    endpoints=[free_endpoint()])
        self.addCleanup(peer.close)
        wait_until(lambda: links_up(nodes[0].path) == 2, "both links")
        for i, node in enumerate(nodes):
            execute(node.path, "INSERT INTO notes VALUES(?, 'x', 'y')", (i,))
        self.wait_equal(nodes)
        sites = [bytes.fromhex(node.status()["site"]) for node in nodes]
        wait_until(lambda: peer.intervals(sites[0])
                   and peer.intervals(sites[1]), "what both published")
        for kind in (PRUNE, PEERS, CHECK, PROOF):
            self.assertEqual(peer.messages(kind), [])
        # What it asks for it is given.
        peer.want(9)
        wait_until(lambda: peer.messages(DELTA), "a delta")
        # What it has is asked for, from the beginning each time.
        peer.hold({peer.site: 77})
        want = wait_until(lambda: peer.messages(WANT), "a question")[0]
        self.assertEqual(want[4:6], [0, 0])
        peer.delta(want[2], b"", vv_bytes({peer.site: 77}))
        wait_until(lambda: nodes[0].status()["vv"].get(peer.site.hex())
                   == "77", "it holds that")
        self.assertTrue(peer.messages(VV))


if __name__ == "__main__":
    unittest.main()
