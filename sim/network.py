"""What the nodes of a scenario talk through, and how it is broken: a bridge
and namespaces where root may make them, else loopback behind gvproxy.

Both kinds are told whole states (State), so that what overlaps comes out
right, and both undo all of it in stop()."""

import os

from nodes import Failure, Ports, Proxy


class State:
    """What is broken at one moment."""

    def __init__(self):
        self.cut = set()   # (a, b): nothing from a reaches b
        self.down = set()  # nodes whose cable is pulled
        self.lags = {}     # (a, b), a < b: (milliseconds, percent lost)

    def cut_between(self, some, others):
        self.cut |= {(a, b) for a in some for b in others}

    def lag_between(self, some, others, milliseconds, percent):
        for a in some:
            for b in others:
                pair = (min(a, b), max(a, b))
                before = self.lags.get(pair, (0, 0))
                self.lags[pair] = (max(before[0], milliseconds),
                                   max(before[1], percent))

    def passes(self, a, b):
        return (a, b) not in self.cut and not {a, b} & self.down


class ProxyNetwork:
    """Every link of the topology passes through a route of gvproxy, named
    dialler-target. A cut eats bytes, the end of a connection too; what was
    on its way arrives after the heal, as TCP would send it again."""

    name = "proxy"
    described = "loopback, each link through gvproxy"

    def __init__(self, scenario, gvproxy, _patience):
        ports = Ports()
        self.ports = {node: ports.take()
                      for node in range(1, scenario.nodes + 1)}
        self.routes = {(a, b): (ports.take(), self.ports[b])
                       for a, b in scenario.edges()}
        self.gvproxy = gvproxy
        self.proxy = None
        self.state = State()

    def start(self):
        if self.routes:
            self.proxy = Proxy(self.gvproxy, self.routes)

    def prefix(self, _node):
        return []

    def options(self, node):
        options = ["--listen", "tcp://127.0.0.1:%d" % self.ports[node],
                   "--static"]
        for (dialler, _), (port, _) in self.routes.items():
            if dialler == node:
                options += ["--peer", "tcp://127.0.0.1:%d" % port]
        return options

    def apply(self, state):
        for route in self.routes:
            name = "%d-%d" % route
            self.apply_cuts(route, name, state)
            before = self.state.lags.get(route, (0, 0))
            after = state.lags.get(route, (0, 0))
            if after[0] != before[0]:
                self.proxy.command("delay", name, "%d" % after[0])
            if after[1] != before[1]:
                self.proxy.command("loss", name, "%g" % after[1])
        self.state = state

    def apply_cuts(self, route, name, state):
        ways = {"out": route, "in": route[::-1]}
        before = {way for way in ways if not self.state.passes(*ways[way])}
        after = {way for way in ways if not state.passes(*ways[way])}
        for way in sorted(after - before):
            self.proxy.command("cut", name, way)
        for way in sorted(before - after):
            self.proxy.command("heal", name, way)

    def stop(self):
        if self.proxy:
            self.proxy.stop()
            self.proxy = None


def choose(wanted, scenario):
    """The kind of network for `scenario`, and why not the other one ("" if
    it was wanted or is the first choice). `wanted` is "auto" or a kind."""
    import namespaces

    if wanted == "proxy":
        if scenario.discover:
            raise Failure("scenario %s has `discover`: a proxy on loopback"
                          " does not carry beacons; it needs namespaces"
                          % scenario.name)
        return ProxyNetwork, ""
    why = namespaces.missing(bool(scenario.verbs() & {"delay", "loss"}))
    if why is None:
        return namespaces.NamespaceNetwork, ""
    if wanted == "namespaces":
        raise Failure("--network namespaces: %s; try --network proxy" % why)
    if scenario.discover:
        raise Failure("scenario %s has `discover`, which needs namespaces: %s"
                      % (scenario.name, why))
    return ProxyNetwork, why


def is_ours(pid):
    """Whether process `pid` is a run of the partition lab."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            words = file.read().split(b"\0")
    except OSError:
        return False
    return any(os.path.basename(word) == b"partition" for word in words)
