"""Nodes that find each other: on one machine, and on a LAN of namespaces."""
import json
import os
import shutil
import socket
import struct
import subprocess
import unittest

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
        self.assertEqual(code, 1)
        self.assertIn("--discover does not go with --static", err)


def may_make_namespaces():
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    name = "gv-probe-%d" % os.getpid()
    made = subprocess.run(["ip", "netns", "add", name], check=False,
                          capture_output=True).returncode == 0
    if made:
        subprocess.run(["ip", "netns", "del", name], check=False)
    return made


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


@unittest.skipUnless(may_make_namespaces(), "no network namespaces here")
class Lan(Case):
    """Hosts on a bridge, all of it in namespaces of their own."""

    def setUp(self):
        super().setUp()
        self.mark = "gv%d" % os.getpid()
        self.bridge = self.mark + "-lan"
        self.addCleanup(self.remove)
        ip("netns", "add", self.bridge)
        ip("-n", self.bridge, "link", "add", "lan", "type", "bridge")
        ip("-n", self.bridge, "link", "set", "lan", "up")

    def remove(self):
        """Namespaces go with all that is in them, when no process is."""
        self.end_all()
        for name in os.listdir("/run/netns"):
            if name.startswith(self.mark + "-"):
                subprocess.run(["ip", "netns", "del", name], check=False)

    def host(self, number, ipv4=True):
        name = "%s-%d" % (self.mark, number)
        port = "port%d" % number
        ip("netns", "add", name)
        ip("-n", self.bridge, "link", "add", port, "type", "veth", "peer",
           "name", "eth0", "netns", name)
        ip("-n", self.bridge, "link", "set", port, "master", "lan", "up")
        if ipv4:
            ip("-n", name, "addr", "add", "10.0.0.%d/24" % number, "brd", "+",
               "dev", "eth0")
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "link", "set", "eth0", "up")
        return name

    def run_on(self, host, name):
        path = self.database(name)
        return self.node(path, "--discover", "--insecure", "--name", name,
                         mesh=self.mark, prefix=["ip", "netns", "exec", host]
                         ).ready()

    def test_three_hosts_with_no_peer_list_become_equal(self):
        nodes = [self.run_on(self.host(i), "%d.db" % i) for i in (1, 2, 3)]
        for i, node in enumerate(nodes):
            execute(node.path, "INSERT INTO notes VALUES(?, 'x', 'y')", (i,))
        self.wait_equal(nodes)
        self.assertEqual(execute(nodes[0].path, "SELECT count(*) FROM notes"),
                         [(3,)])

    def test_hosts_without_ipv4_find_each_other(self):
        nodes = [self.run_on(self.host(i, ipv4=False), "%d.db" % i)
                 for i in (1, 2)]
        execute(nodes[0].path, "INSERT INTO notes VALUES('x', 'y', 'z')")
        self.wait_equal(nodes)

    def test_a_cable_that_is_pulled_and_put_back(self):
        nodes = [self.run_on(self.host(i), "%d.db" % i) for i in (1, 2)]
        execute(nodes[0].path, "INSERT INTO notes VALUES('x', 'y', 'z')")
        self.wait_equal(nodes)
        ip("-n", self.bridge, "link", "set", "port2", "down")
        wait_until(lambda: all(link["state"] != "up"
                               for link in nodes[0].status()["links"]),
                   "the link is gone")
        for i, node in enumerate(nodes):
            execute(node.path, "INSERT INTO notes VALUES(?, 'y', 'z')", (i,))
        ip("-n", self.bridge, "link", "set", "port2", "up")
        self.wait_equal(nodes)
        self.assertEqual(execute(nodes[1].path, "SELECT count(*) FROM notes"),
                         [(3,)])


if __name__ == "__main__":
    unittest.main()
