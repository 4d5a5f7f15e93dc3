"""Nodes that find each other: on one machine, and on a LAN of namespaces."""
import json
import os
import socket
import struct
import unittest

from lan import Lan, needs_namespaces
from mesh import Case, execute, free_endpoint, run, wait_until

PORT = 7400
GROUP = "239.255.74.1"


def multicast(*datagrams):
    """Say them on loopback, where all nodes of this machine hear them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(
            socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
            struct.pack("4s4si", socket.inet_aton(GROUP),
                        socket.inet_aton("127.0.0.1"),
                        socket.if_nametoindex("lo")))
        for datagram in datagrams:
            sender.sendto(datagram, (GROUP, PORT))


class OneMachine(Case):
    def setUp(self):
        super().setUp()
        self.mesh_name = "discover-" + os.path.basename(self.directory)

    def find_peers(self, name, *options, mesh=None):
        path = self.file(name + ".db")
        if not os.path.exists(path):
            self.database(name + ".db")
        return self.node(path, "--discover", "--name", name, *options,
                         mesh=mesh or self.mesh_name).ready()

    def up(self, node):
        return [link for link in node.status()["links"]
                if link["state"] == "up"]

    def test_three_nodes_become_equal_with_no_peer_list(self):
        nodes = [self.find_peers(name) for name in "abc"]
        for i, node in enumerate(nodes):
            execute(node.path, "INSERT INTO notes VALUES(?, 'x', 'y')",
                    ("from-%d" % i,))
        self.wait_equal(nodes)
        self.assertEqual(execute(nodes[0].path, "SELECT count(*) FROM notes"),
                         [(3,)])
        for node in nodes:
            wait_until(lambda n=node: len(self.up(n)) == 2, "two links")
            for link in self.up(node):
                self.assertIn("127.0.0.1", link["endpoint"] or "127.0.0.1")

    def test_meshes_leave_one_another_alone(self):
        a = self.find_peers("a")
        other = self.find_peers("b", mesh=self.mesh_name + "-other")
        wait_until(lambda: a.status()["discovery"]["other_mesh"] > 0,
                   "the other mesh was heard")
        found = other.status()["discovery"]["neighbours"]
        self.assertEqual([n for n in found if n["name"] == "a"], [])
        self.assertEqual(a.status()["links"], [])

    def test_a_restart_at_another_port_is_found(self):
        a, b = self.find_peers("a"), self.find_peers("b")
        wait_until(lambda: self.up(a), "a link")
        self.assertEqual(b.stop(9), -9)
        b = self.find_peers("b", "--listen", free_endpoint())
        execute(b.path, "INSERT INTO notes VALUES('after', 'x', 'y')")
        self.wait_equal([a, b])

    def test_what_is_no_beacon_costs_a_counter(self):
        a = self.find_peers("a")
        multicast(b"", b"GVbeacon", b"GVbeacon\x09 from later", os.urandom(200),
                  os.urandom(9000), *[os.urandom(100) for _ in range(5000)])
        wait_until(lambda: a.status()["discovery"]["malformed"] > 100
                   and a.status()["discovery"]["other_version"] > 0,
                   "it was counted")
        b = self.find_peers("b")
        execute(b.path, "INSERT INTO notes VALUES('x', 'x', 'y')")
        self.wait_equal([a, b])

    def test_discover_lists_who_is_heard(self):
        self.find_peers("a")
        mesh = ("discover", "--mesh", self.mesh_name)
        code, out, err = run(*mesh)
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"(?m)^a +tcp://127\.0\.0\.1:\d+ on lo \(site ")
        self.assertIn("listened on lo", out)
        code, out, err = run("discover", "--mesh", "none-" + self.mesh_name,
                             "--json")
        report = json.loads(out)
        self.assertEqual((code, report["nodes"]), (0, []))
        self.assertIn("it is of another mesh",
                      [item["why"] for item in report["passed"]])

    def test_static_and_discover_exclude_each_other(self):
        path = self.database("a.db")
        code, _, err = run("run", path, "--mesh", "m", "--static",
                           "--discover")
        self.assertEqual(code, 2)
        self.assertIn("--discover does not go with --static", err)


@needs_namespaces
class OnALan(Case):
    def setUp(self):
        super().setUp()
        self.lan = Lan()
        self.addCleanup(self.lan.remove)
        self.addCleanup(self.end_all)

    def run_on(self, host, name):
        path = self.database(name)
        return self.node(path, "--discover", "--insecure", "--name", name,
                         mesh=self.lan.mark, prefix=host).ready()

    def test_three_hosts_with_no_peer_list_become_equal(self):
        nodes = [self.run_on(self.lan.host(i), "%d.db" % i) for i in (1, 2, 3)]
        for i, node in enumerate(nodes):
            execute(node.path, "INSERT INTO notes VALUES(?, 'x', 'y')", (i,))
        self.wait_equal(nodes)
        self.assertEqual(execute(nodes[0].path, "SELECT count(*) FROM notes"),
                         [(3,)])

    def test_hosts_without_ipv4_find_each_other(self):
        nodes = [self.run_on(self.lan.host(i, ipv4=False), "%d.db" % i)
                 for i in (1, 2)]
        execute(nodes[0].path, "INSERT INTO notes VALUES('x', 'y', 'z')")
        self.wait_equal(nodes)

    def test_a_cable_that_is_pulled_and_put_back(self):
        nodes = [self.run_on(self.lan.host(i), "%d.db" % i) for i in (1, 2)]
        execute(nodes[0].path, "INSERT INTO notes VALUES('x', 'y', 'z')")
        self.wait_equal(nodes)
        self.lan.cable(2, False)
        wait_until(lambda: all(link["state"] != "up"
                               for link in nodes[0].status()["links"]),
                   "the link is gone")
        for i, node in enumerate(nodes):
            execute(node.path, "INSERT INTO notes VALUES(?, 'y', 'z')", (i,))
        self.lan.cable(2, True)
        self.wait_equal(nodes)
        self.assertEqual(execute(nodes[1].path, "SELECT count(*) FROM notes"),
                         [(3,)])

    def test_an_interface_that_comes_and_an_address_that_changes(self):
        hosts = [self.lan.host(i) for i in (1, 2)]
        self.lan.interface(2, "link", "set", "down")
        nodes = [self.run_on(host, "%d.db" % i)
                 for i, host in enumerate(hosts)]
        execute(nodes[0].path, "INSERT INTO notes VALUES('x', 'y', 'z')")
        self.lan.interface(2, "link", "set", "up")
        self.wait_equal(nodes)
        self.lan.interface(2, "addr", "del", "10.0.0.2/24")
        self.lan.interface(2, "addr", "add", "10.0.0.77/24", "brd", "+")
        wait_until(lambda: any("//10.0.0.77:" in one["endpoint"] for one in
                               nodes[0].status()["discovery"]["neighbours"]),
                   "the new address")
        execute(nodes[1].path, "INSERT INTO notes VALUES('v', 'y', 'z')")
        self.wait_equal(nodes)


if __name__ == "__main__":
    unittest.main()
