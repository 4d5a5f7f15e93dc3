#!/usr/bin/env python3
"""What nodes of one mesh take: copies, lag, bytes, and what they do at rest.

    tools/bench/mesh.py build/release/src/cmd/grapevine [--only PART…]
                        [--dir D] [--seconds 60] [--nodes 30]

Real processes on 127.0.0.1, shipped settings; the parts and the figures to
hold them to are in README.md beside this file."""

import argparse
import json
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

TABLE = "CREATE TABLE notes(id TEXT PRIMARY KEY, who TEXT, text TEXT, n REAL)"
LIMIT_S = 120


class Node:
    def __init__(self, bench, number, peers, listen):
        self.path = os.path.join(bench.directory, "%d.db" % number)
        if not os.path.exists(self.path):
            db = sqlite3.connect(self.path)
            db.execute(TABLE)
            db.close()
            bench.run("track", self.path, "notes")
        arguments = [bench.grapevine, "run", self.path, "--mesh", "bench",
                     "--name", "n%d" % number, "--static"]
        if listen:
            arguments += ["--listen", "tcp://127.0.0.1:%d" % listen]
        for peer in peers:
            arguments += ["--peer", "tcp://127.0.0.1:%d" % peer]
        with open(self.path + ".log", "wb") as log:
            self.process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.bench = bench
        self.db = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        self.db.execute("PRAGMA synchronous=NORMAL")

    def status(self):
        return json.loads(self.bench.run("status", self.path, "--json"))

    def links(self):
        return [link for link in self.status()["links"]
                if link["state"] == "up"]

    def count(self, name):
        return sum(link[name] for link in self.status()["links"])

    def rows(self):
        return self.db.execute("SELECT count(*) FROM notes").fetchone()[0]

    def resident(self):
        with open("/proc/%d/status" % self.process.pid,
                  encoding="ascii") as file:
            for line in file:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) / 1024
        return 0

    def cpu(self):
        with open("/proc/%d/stat" % self.process.pid, encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def written(self):
        with open("/proc/%d/io" % self.process.pid, encoding="ascii") as file:
            return int(next(line for line in file
                            if line.startswith("wchar")).split()[1])

    def pages(self):
        """A mark of what stands on the disk."""
        marks = []
        for suffix in ("", "-wal"):
            try:
                found = os.stat(self.path + suffix)
                marks.append((found.st_size, found.st_mtime_ns))
            except FileNotFoundError:
                marks.append(None)
        return marks


class Bench:
    """One directory and what runs in it."""

    def __init__(self, grapevine, parent):
        self.grapevine = grapevine
        self.directory = tempfile.mkdtemp(prefix="mesh-", dir=parent)
        self.nodes = []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for node in self.nodes:
            node.process.terminate()
        for node in self.nodes:
            node.process.wait()
        shutil.rmtree(self.directory, True)

    def run(self, *arguments):
        done = subprocess.run([self.grapevine, *arguments], text=True,
                              capture_output=True, check=False)
        if done.returncode != 0:
            sys.exit(done.stderr)
        return done.stdout

    def start(self, count, dials):
        """Nodes of which i dials j where dials(i, j)."""
        ports = free_ports(count)
        for i in range(count):
            peers = [ports[j] for j in range(count) if dials(i, j)]
            self.nodes.append(Node(self, i, peers, ports[i]))
        for i, node in enumerate(self.nodes):
            degree = sum(dials(i, j) or dials(j, i) for j in range(count))
            wait(lambda n=node, d=degree: len(n.links()) >= d, "links")
        return self.nodes


def free_ports(count):
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def wait(condition, what):
    end = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > end:
            sys.exit("not within %d s: %s" % (LIMIT_S, what))
        time.sleep(0.005)


def equal(nodes):
    states = [node.status() for node in nodes]
    return all(state["vv"] == states[0]["vv"] and state["journal"] == 0 and
               state["fingerprint"] == states[0]["fingerprint"]
               for state in states)


def report(what, value, hold):
    print("%-52s %14s   hold to %s" % (what, value, hold), flush=True)


def insert(node, key, text="a short note"):
    node.db.execute("INSERT INTO notes VALUES(?,?,?,?)",
                    (key, "somebody", text, time.monotonic()))


def part_mesh(bench, options):
    """1,500 commits spread over nodes with 10 links each."""
    count = options.nodes
    near = [d % count for d in (1, 2, 3, 4, 5)]
    nodes = bench.start(count, lambda i, j: (j - i) % count in near)
    for i in range(100):
        insert(nodes[i % count], "early-%d" % i)
    wait(lambda: equal(nodes), "equality after 100 commits")
    before = sum(node.count("news_received") for node in nodes)
    sealed = sum(len(node.db.execute("SELECT * FROM gv_interval").fetchall())
                 for node in nodes)
    began = time.monotonic()
    for i in range(1500):
        insert(nodes[i % count], "note-%d" % i)
    written = time.monotonic()
    wait(lambda: all(node.rows() == 1600 for node in nodes), "all rows")
    seen = time.monotonic()
    wait(lambda: equal(nodes), "equality")
    received = sum(node.count("news_received") for node in nodes) - before
    sealed = sum(len(node.db.execute("SELECT * FROM gv_interval").fetchall())
                 for node in nodes) - sealed
    print("%d nodes, %d links, 1500 commits within %.2f s, %d publications" %
          (count, sum(len(node.links()) for node in nodes) // 2,
           written - began, sealed))
    report("first commit to all rows everywhere",
           "%.2f s" % (seen - began), "10 s")
    report("copies of a publication a node received",
           "%.3f" % (received / (sealed * (count - 1))), "1.1")


def part_idle(bench, options):
    """Two nodes that have nothing to say."""
    nodes = bench.start(2, lambda i, j: i < j)
    for i in range(100):
        insert(nodes[i % 2], "note-%d" % i)
    wait(lambda: equal(nodes), "equality")
    time.sleep(15)
    keys = ("sent_bytes", "received_bytes")
    before = [[node.count(key) for key in keys] + [node.cpu(), node.pages()]
              for node in nodes]
    time.sleep(options.seconds)
    for node, then in zip(nodes, before):
        now = [node.count(key) for key in keys] + [node.cpu(), node.pages()]
        report("bytes sent a heartbeat (1 s)",
               "%.0f" % ((now[0] - then[0]) / options.seconds), "256")
        report("processor time of a node at rest", "%.3f %%" %
               (100 * (now[2] - then[2]) / options.seconds), "0.2 %")
        report("files at rest", "same" if now[3] == then[3] else "WRITTEN",
               "same")


def part_sustained(bench, options):
    """2,000 commits a second on one node; what the other shows of them."""
    a, b = bench.start(2, lambda i, j: i < j)
    rate, lags, late = 2000, [], 0
    sizes = []
    began = time.monotonic()
    next_look = began
    for i in range(rate * options.seconds):
        due = began + i / rate
        while (now := time.monotonic()) < due:
            time.sleep(max(0, due - now))
        late += now - due > 0.1
        insert(a, "note-%d" % i)
        if now >= next_look:
            newest = b.db.execute("SELECT n FROM notes ORDER BY rowid DESC"
                                  " LIMIT 1").fetchone()
            if newest is not None:
                lags.append(time.monotonic() - newest[0])
            if now - began > options.seconds / 4:
                sizes.append((a.resident(), b.resident()))
            next_look = now + 0.05
    ended = time.monotonic()
    wait(lambda: b.rows() == rate * options.seconds, "all rows")
    behind = time.monotonic() - ended
    lags.sort()
    report("commits a second (late by over 0.1 s: %d)" % late,
           "%.0f" % (rate * options.seconds / (ended - began)), "2000")
    report("newest row at the receiver, age p50 / max", "%.0f / %.0f ms" %
           (1000 * lags[len(lags) // 2], 1000 * lags[-1]), "1000 ms")
    report("all there after the last commit", "%.2f s" % behind, "1 s")
    for name, i in (("writer", 0), ("receiver", 1)):
        report("resident, %s, first / last" % name, "%.1f / %.1f MB" %
               (sizes[0][i], sizes[-1][i]), "flat")


def part_wire(bench, options):
    """Bytes of publications of 100 rows against what they change."""
    del options
    a, b = bench.start(2, lambda i, j: i < j)
    source = random.Random(1)
    wait(lambda: equal([a, b]), "equality")
    before, payload, count = b.count("news_bytes"), 0, 50
    for i in range(count):
        a.db.execute("BEGIN IMMEDIATE")
        for j in range(100):
            key = "%032x" % source.getrandbits(128)
            text = "".join(source.choices("abcdefgh ijkl", k=80))
            insert(a, key, text)
            payload += len(key) + len("somebody") + len(text) + 8
        a.db.execute("COMMIT")
        wait(lambda n=i: b.rows() == 100 * (n + 1), "rows")
    wait(lambda: equal([a, b]), "equality")
    sent = b.count("news_bytes") - before
    report("bytes of publications of 100 rows over keys and values",
           "%.3f" % (sent / payload), "1.25")


PARTS = {"mesh": part_mesh, "idle": part_idle, "sustained": part_sustained,
         "wire": part_wire}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grapevine")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--dir")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--nodes", type=int, default=30)
    options = parser.parse_args()
    for name in options.only:
        print("\n%s: %s" % (name, PARTS[name].__doc__))
        with Bench(os.path.abspath(options.grapevine), options.dir) as bench:
            PARTS[name](bench, options)


if __name__ == "__main__":
    main()
