"""A network namespace a node, on a bridge in one more namespace, so that
nothing of it stands in the host's own network.

A cut is a neighbour entry that leads nowhere: what a sends to b's address
goes to a station that does not exist, silently, and b's to a as before. That
needs no module and no filter. A pulled cable is the bridge's port down, which
the node sees. Beacons are multicast, so only a pulled cable stops them.

Names begin with the id of the process that made them. What a run that was
killed left behind, the next one removes (sweep)."""

import os
import shutil
import signal
import subprocess

from network import State, is_ours
from nodes import COMMAND_SECONDS, Failure, wait_until

MARK = "gvlab-"
NOWHERE = "02:00:00:00:00:ff"
PORT = 7400
# tc's prio has no more bands: one for what is not slowed, the rest for peers.
SLOWED_MAX = 15


def call(*words, text=None, check=True):
    done = subprocess.run(words, input=text, capture_output=True, text=True,
                          timeout=COMMAND_SECONDS, check=False)
    if check and done.returncode != 0:
        raise Failure("`%s` failed: %s" % (
            " ".join(words), (done.stderr + done.stdout).strip()
            or "code %d" % done.returncode))
    return done


def batch(tool, namespace, lines):
    """Many commands of `ip` or `tc` in one process."""
    if lines:
        call(tool, "-n", namespace, "-batch", "-", text="\n".join(lines)
             + "\n")


def listed():
    try:
        return [name for name in os.listdir("/run/netns")
                if name.startswith(MARK)]
    except OSError:
        return []


def remove(name):
    """End what runs in the namespace, then delete it: it would live as long
    as they do."""
    pids = call("ip", "netns", "pids", name, check=False).stdout.split()
    for pid in pids:
        try:
            os.kill(int(pid), signal.SIGKILL)
        except OSError:
            pass
    call("ip", "netns", "del", name, check=False)


def sweep():
    """Remove what runs left that are gone; returns how many namespaces."""
    count = 0
    for name in listed():
        pid = name[len(MARK):].split("-")[0]
        if pid.isdecimal() and not is_ours(int(pid)):
            remove(name)
            count += 1
    return count


def missing(lags):
    """Why there can be no such network here, None if there can; with @lags
    it also has to delay and lose packets."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for tool in ("ip", "tc") if lags else ("ip",):
        if shutil.which(tool) is None:
            return "there is no `%s` (package iproute2)" % tool
    name = "%s%d-probe" % (MARK, os.getpid())
    if call("ip", "netns", "add", name, check=False).returncode != 0:
        return "this system lets nobody make network namespaces"
    try:
        made = call("ip", "-n", name, "link", "add", "lan", "type", "bridge",
                    check=False)
        if made.returncode != 0:
            return "the kernel has no bridges (module bridge)"
        slow = lags and call("tc", "-n", name, "qdisc", "add", "dev", "lo",
                             "root", "netem", "delay", "1ms", check=False)
        if slow and slow.returncode != 0:
            return "the kernel cannot delay packets (module sch_netem)"
    finally:
        remove(name)
    return None


class NamespaceNetwork:
    name = "namespaces"
    described = "a network namespace a node, on a bridge"

    def __init__(self, scenario, _gvproxy, patience):
        self.scenario = scenario
        self.patience = patience
        self.mark = "%s%d-" % (MARK, os.getpid())
        self.bridge = self.mark + "lan"
        self.state = State()

    def numbers(self):
        return range(1, self.scenario.nodes + 1)

    def host(self, node):
        return "%s%d" % (self.mark, node)

    def address(self, node):
        return "10.0.0.%d" % node

    def start(self):
        call("ip", "netns", "add", self.bridge)
        batch("ip", self.bridge, ["link add lan type bridge",
                                  "link set lan up"])
        for node in self.numbers():
            self.add_host(node)
        self.wait_forwarding()

    def add_host(self, node):
        host, port = self.host(node), "port%d" % node
        call("ip", "netns", "add", host)
        batch("ip", self.bridge, [
            "link add %s type veth peer name eth0 netns %s" % (port, host),
            "link set %s master lan up" % port])
        # No IPv6: a link-local address would be a way around each cut.
        batch("ip", host, [
            "link set eth0 addrgenmode none",
            "addr add %s/24 brd + dev eth0" % self.address(node),
            "link set lo up", "link set eth0 up"])

    def wait_forwarding(self):
        def forwards():
            shown = call("ip", "-n", self.bridge, "-o", "link", "show",
                         "master", "lan").stdout.splitlines()
            return sum("LOWER_UP" in line for line in shown) \
                == self.scenario.nodes
        wait_until(forwards, self.patience, "the bridge's ports come up")

    def prefix(self, node):
        return ["ip", "netns", "exec", self.host(node)]

    def options(self, node):
        options = ["--insecure"]
        if self.scenario.discover:
            return options + ["--discover"]
        options += ["--static", "--listen",
                    "tcp://%s:%d" % (self.address(node), PORT)]
        for dialler, target in self.scenario.edges():
            if dialler == node:
                options += ["--peer", "tcp://%s:%d" % (self.address(target),
                                                       PORT)]
        return options

    def apply(self, state):
        before = self.state
        for node in self.numbers():
            lines = ["neigh replace %s lladdr %s dev eth0 nud permanent"
                     % (self.address(b), NOWHERE)
                     for a, b in sorted(state.cut - before.cut) if a == node]
            lines += ["neigh del %s dev eth0" % self.address(b)
                      for a, b in sorted(before.cut - state.cut) if a == node]
            batch("ip", self.host(node), lines)
            self.apply_lags(node, state)
        batch("ip", self.bridge, [
            "link set port%d %s" % (node,
                                    "down" if node in state.down else "up")
            for node in sorted(state.down ^ before.down)])
        self.state = state

    def apply_lags(self, node, state):
        """Each slowed peer of `node` gets a band of its own."""
        def of_node(lags):
            return {sum(pair) - node: lag for pair, lag in lags.items()
                    if node in pair}

        lags = of_node(state.lags)
        if lags == of_node(self.state.lags):
            return
        if len(lags) > SLOWED_MAX:
            raise Failure("in namespaces at most %d links of a node can be"
                          " slow" % SLOWED_MAX)
        host = self.host(node)
        call("tc", "-n", host, "qdisc", "del", "dev", "eth0", "root",
             check=False)
        lines = ["qdisc add dev eth0 root handle 1: prio bands %d priomap%s"
                 % (len(lags) + 1, " 0" * 16)] if lags else []
        for band, (peer, (milliseconds, percent)) in enumerate(lags.items(),
                                                               2):
            lines += ["qdisc add dev eth0 parent 1:%d netem delay %gms"
                      " loss %g%%" % (band, milliseconds, percent),
                      "filter add dev eth0 parent 1: protocol ip u32 match"
                      " ip dst %s/32 flowid 1:%d" % (self.address(peer),
                                                     band)]
        batch("tc", host, lines)

    def stop(self):
        for name in listed():
            if name.startswith(self.mark):
                remove(name)
