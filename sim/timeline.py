"""What happened in a run, told line by line and kept for a drawing."""

import os
import sys
import time


def show_nodes(nodes):
    nodes = sorted(nodes)
    return str(nodes[0]) if len(nodes) == 1 \
        else "{%s}" % ",".join(map(str, nodes))


class Timeline:
    def __init__(self):
        self.start = time.monotonic()
        self.origin = None   # when the scenario's own time began
        self.captions = []   # (time, text)
        self.spans = []      # [kind, node or pair, begin, end or None]
        self.writes = {}     # node: times
        self.marks = []      # reach.Mark

    def say(self, line):
        try:
            print("%7.2f s  %s" % (time.monotonic() - self.start, line),
                  flush=True)
        except BrokenPipeError as error:
            # Whoever read it has seen enough; the rest is said to nobody.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise KeyboardInterrupt("nobody listens") from error

    def caption(self, text):
        self.captions.append((time.monotonic(), text))

    def say_vectors(self, statuses, owners):
        """A line a node: for each node whose writes it holds, the time of
        the last one, on that node's own clock, in seconds of this run."""
        offset = time.time() - (time.monotonic() - self.start)
        for node, status in statuses.items():
            if status is None:
                self.say("    node %d is not asked" % node)
                continue
            newest = {}
            for site, version in status["vv"].items():
                owner = owners.get(site)
                newest[owner] = max(newest.get(owner, 0), int(version))
            self.say("    node %d holds %s" % (node, "  ".join(
                "%s:%.2f" % (owner or "?",
                             (version >> 16) / 1000 - offset)
                for owner, version in sorted(newest.items(),
                                             key=lambda e: e[0] or 99))))

    def note_state(self, state, hosts, now):
        """Keep for the drawing what is broken from `now` on: whose cable is
        pulled, who is down, paused or ahead, and which links are cut."""
        wanted = {("unplugged", node) for node in state.down}
        for number, host in hosts.items():
            if host.dead:
                wanted.add(("down", number))
            if host.paused:
                wanted.add(("paused", number))
            if host.clock_ahead:
                wanted.add(("clock %+gs" % host.clock_ahead, number))
        for a, b in state.cut:
            wanted.add(("cut", (a, b)))
        for pair in state.lags:
            wanted.add(("slow", pair))
        for span in self.spans:
            key = tuple(span[:2])
            if span[3] is None and key not in wanted:
                span[3] = now
            elif span[3] is None:
                wanted.discard(key)
        self.spans += [[kind, key, now, None] for kind, key in
                       sorted(wanted, key=str)]
