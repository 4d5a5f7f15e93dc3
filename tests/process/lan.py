"""A LAN of network namespaces: hosts on a bridge, for tests and benches."""
import os
import shutil
import subprocess
import unittest


def may_make_namespaces():
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    name = "gv-probe-%d" % os.getpid()
    made = subprocess.run(["ip", "netns", "add", name], check=False,
                          capture_output=True).returncode == 0
    if made:
        subprocess.run(["ip", "netns", "del", name], check=False)
    return made


NAMESPACES = may_make_namespaces()
needs_namespaces = unittest.skipUnless(NAMESPACES,
                                       "no network namespaces here")


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Lan:
    """All of it, the bridge too, is in namespaces of their own, whose names
    begin with @mark."""

    def __init__(self):
        self.mark = "gv%d" % os.getpid()
        self.bridge = self.mark + "-lan"
        ip("netns", "add", self.bridge)
        ip("-n", self.bridge, "link", "add", "lan", "type", "bridge")
        ip("-n", self.bridge, "link", "set", "lan", "up")

    def remove(self):
        """Namespaces go with all that is in them, when no process is."""
        for name in os.listdir("/run/netns"):
            if name.startswith(self.mark + "-"):
                subprocess.run(["ip", "netns", "del", name], check=False)

    def host(self, number, ipv4=True):
        """A new host; what a command on it begins with."""
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
        return ["ip", "netns", "exec", name]

    def interface(self, number, *words):
        """`ip WORDS dev eth0` on that host."""
        ip("-n", "%s-%d" % (self.mark, number), *words, "dev", "eth0")

    def cable(self, number, plugged):
        ip("-n", self.bridge, "link", "set", "port%d" % number,
           "up" if plugged else "down")
