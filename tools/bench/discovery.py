#!/usr/bin/env python3
"""How long it takes nodes of one LAN to find each other.

    tools/bench/discovery.py build/release/src/cmd/grapevine [--dir D]
                             [--rounds 5] [--nodes 3] [--pulled 60]

Real nodes with `--discover --insecure` and no peer list, each on a host of
its own: network namespaces on a bridge, so it needs root. The figures to hold
them to are in README.md beside this file."""

import argparse
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

BENCH = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(BENCH, "../../tests/process"))
from lan import Lan, NAMESPACES  # noqa: E402

LIMIT_S = 60


class Bench:
    def __init__(self, options):
        self.options = options
        self.directory = tempfile.mkdtemp(dir=options.dir)
        self.lan = Lan()
        self.hosts = [self.lan.host(i + 1) for i in range(options.nodes)]
        self.processes = []

    def close(self):
        self.stop()
        self.lan.remove()
        shutil.rmtree(self.directory)

    def run(self, *arguments):
        return subprocess.run([self.options.grapevine, *arguments],
                              stdin=subprocess.DEVNULL, capture_output=True,
                              check=True).stdout

    def path(self, i):
        return os.path.join(self.directory, "%d.db" % i)

    def make(self, i):
        if not os.path.exists(self.path(i)):
            db = sqlite3.connect(self.path(i))
            db.execute("CREATE TABLE notes(id TEXT PRIMARY KEY, text TEXT)")
            db.close()
            self.run("track", self.path(i), "notes")

    def start(self, i, host):
        with open(self.path(i) + ".log", "ab") as log:
            self.processes.append(subprocess.Popen(
                [*host, self.options.grapevine, "run", self.path(i), "--mesh",
                 self.lan.mark, "--name", "n%d" % i, "--discover",
                 "--insecure"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()
        self.processes = []

    def links_up(self, i):
        try:
            status = json.loads(self.run("status", self.path(i), "--json"))
        except subprocess.CalledProcessError:
            return 0  # it is starting
        return sum(link["state"] == "up" for link in status.get("links", []))

    def wait(self, nodes, is_so):
        """Seconds until is_so(links that are up) for each of @nodes."""
        begin = time.monotonic()
        for i in nodes:
            while not is_so(self.links_up(i)):
                if time.monotonic() - begin > LIMIT_S:
                    sys.exit("node %d: not within %d s; see %s.log"
                             % (i, LIMIT_S, self.path(i)))
                time.sleep(0.002)
        return time.monotonic() - begin

    def linked(self):
        count = self.options.nodes
        return self.wait(range(count), lambda up: up == count - 1)

    def starts(self, hosts):
        """From the last one's start until all are linked with all."""
        times = []
        for _ in range(self.options.rounds):
            for i, host in enumerate(hosts):
                if i == len(hosts) - 1 and i > 0:
                    self.wait(range(i), lambda up: up == i - 1)
                self.start(i, host)
            times.append(self.linked())
            self.stop()
        return times

    def cable(self, seconds):
        """From a cable being put back until all are linked with all."""
        for i, host in enumerate(self.hosts):
            self.start(i, host)
        times = []
        for _ in range(self.options.rounds):
            self.linked()
            self.lan.cable(1, False)
            gone = self.wait([0], lambda up: up == 0)
            time.sleep(max(0, seconds - gone))
            self.lan.cable(1, True)
            times.append(self.linked())
        self.stop()
        return times


def show(what, times, hold):
    print("%-44s median %5.2f s, worst %5.2f s  (hold %g s)"
          % (what, statistics.median(times), max(times), hold))
    sys.stdout.flush()


def parse():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("grapevine")
    parser.add_argument("--dir", default=None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--pulled", type=float, nargs="*", default=[1, 10, 60])
    options = parser.parse_args()
    options.grapevine = os.path.realpath(options.grapevine)
    return options


def main():
    options = parse()
    if not NAMESPACES:
        sys.exit("network namespaces need root and iproute2")
    bench = Bench(options)
    try:
        for i in range(options.nodes):
            bench.make(i)
        show("%d hosts, the last one's start to linked" % options.nodes,
             bench.starts(bench.hosts), 2)
        show("%d on one host" % options.nodes,
             bench.starts([bench.hosts[0]] * options.nodes), 2)
        for seconds in options.pulled:
            show("a cable put back after %g s" % seconds,
                 bench.cable(seconds), 5)
    finally:
        bench.close()


if __name__ == "__main__":
    main()
