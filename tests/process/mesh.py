"""What the process tests share: databases, nodes, waiting for conditions.

The environment variable GRAPEVINE names the executable.  A test case derives
from Case: it gets a directory of its own, and all that it started is ended.
"""
import fcntl
import itertools
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
import unittest

GRAPEVINE = os.environ["GRAPEVINE"]

# Generous: a loaded machine with sanitizers is a hundred times slower.  Only
# a test that fails waits for so long.
LIMIT_S = 240

# Below the ports from which the system draws by itself.
PORTS = range(20000, 32000)
PORTS_COUNT = 200


def _claim_ports():
    """Ports that no other test takes as long as this process lives: a node
    that is started again finds its port free."""
    starts = list(PORTS[::PORTS_COUNT])
    random.shuffle(starts)
    for start in starts:
        try:
            lock = open(os.path.join(tempfile.gettempdir(),
                                     "grapevine-ports-%d" % start), "a")
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        return itertools.cycle(range(start, start + PORTS_COUNT)), lock
    raise AssertionError("others have all ports")


_ports, _ports_lock = _claim_ports()


def free_port():
    """A port of 127.0.0.1 on which nobody listens."""
    while True:
        port = next(_ports)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def free_endpoint():
    return "tcp://127.0.0.1:%d" % free_port()


def wait_until(condition, what, limit=LIMIT_S):
    """Wait until condition() is true; its value."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("not within %d s: %s" % (limit, what))
        time.sleep(0.01)


class Node:
    """A `grapevine run` process on one database."""

    def __init__(self, path, *options, mesh="test", env=None, prefix=()):
        self.path = path
        self.log_path = path + ".log"
        arguments = [*prefix, GRAPEVINE, "run", path]
        if mesh is not None:
            arguments += ["--mesh", mesh]
        with open(self.log_path, "ab") as log:
            self.start = log.tell()
            self.process = subprocess.Popen(
                arguments + list(options), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
                env=dict(os.environ, **(env or {})))

    def log(self):
        with open(self.log_path, "rb") as log:
            log.seek(self.start)
            return log.read().decode("utf-8", "replace")

    def ready(self):
        """Wait for the ready line; self."""
        wait_until(lambda: "ready:" in self.log()
                   or self.process.poll() is not None,
                   "ready line of " + self.path)
        if self.process.poll() is not None:
            raise AssertionError("%s ended:\n%s" % (self.path, self.log()))
        return self

    def status(self):
        return status(self.path)

    def stop(self, sig=signal.SIGTERM):
        """Signal it and wait; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
        return self.process.wait(LIMIT_S)


def run(*arguments, cwd=None, limit=LIMIT_S):
    """Run the command; (exit code, stdout, stderr)."""
    done = subprocess.run([GRAPEVINE, *arguments], cwd=cwd,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=limit, check=False)
    return (done.returncode, done.stdout.decode(), done.stderr.decode())


def status(path):
    code, out, err = run("status", path, "--json")
    if code != 0:
        raise AssertionError("status of %s: %s" % (path, err))
    return json.loads(out)


def connect(path):
    """A connection as an application should have it."""
    return sqlite3.connect(path, timeout=LIMIT_S, isolation_level=None)


def execute(path, sql, parameters=()):
    """One statement on a connection of its own; its rows."""
    db = connect(path)
    try:
        return db.execute(sql, parameters).fetchall()
    finally:
        db.close()


def shell(path, sql):
    """What the plain sqlite3 shell prints."""
    done = subprocess.run(["sqlite3", "-batch", "-bail", "-cmd",
                           ".timeout %d000" % LIMIT_S, path],
                          input=sql, capture_output=True, text=True,
                          timeout=LIMIT_S, check=False)
    if done.returncode != 0:
        raise AssertionError("sqlite3 %s: %s" % (path, done.stderr))
    return done.stdout


def links_up(path):
    return sum(link["state"] == "up" for link in status(path)["links"])


def equal(paths):
    """Whether all running nodes hold the same, and nothing waits."""
    states = [status(path) for path in paths]
    first = states[0]
    return all(s["running"] and s["journal"] == 0 and s["vv"] == first["vv"]
               and s["fingerprint"] == first["fingerprint"] for s in states)


class Case(unittest.TestCase):
    TABLE = "CREATE TABLE notes(id TEXT PRIMARY KEY, a TEXT, b TEXT)"

    def setUp(self):
        self.directory = os.path.realpath(
            tempfile.mkdtemp(prefix="grapevine-"))
        self.nodes = []
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.addCleanup(self.end_all)

    def end_all(self):
        for node in self.nodes:
            if node.process.poll() is None:
                node.process.kill()
            node.process.wait()

    def file(self, name):
        return os.path.join(self.directory, name)

    def database(self, name, sql=TABLE, track="notes"):
        path = self.file(name)
        if sql:
            execute(path, sql)
        if track:
            self.assertEqual(run("track", path, track)[0], 0)
        return path

    def node(self, path, *options, **settings):
        node = Node(path, *options, **settings)
        self.nodes.append(node)
        return node

    def mesh(self, count, dials=lambda i, j: j < i, **settings):
        """Nodes with one tracked table each; node i dials j if dials(i, j),
        and nobody else."""
        ports = [free_port() for _ in range(count)]
        nodes = []
        for i in range(count):
            peers = []
            for j in range(count):
                if dials(i, j):
                    peers += ["--peer", "tcp://127.0.0.1:%d" % ports[j]]
            nodes.append(self.node(
                self.database("%d.db" % i), "--name", "n%d" % i, "--static",
                "--listen", "tcp://127.0.0.1:%d" % ports[i], *peers,
                **settings))
        for i, node in enumerate(nodes):
            degree = sum(dials(i, j) or dials(j, i) for j in range(count))
            node.ready()
            wait_until(lambda: links_up(node.path) >= degree,
                       "links of node %d" % i)
        return nodes

    def start(self, path, endpoint=None, peers=(), static=False, **settings):
        """A node that listens at @endpoint, dials @peers, and is ready."""
        options = ["--name", os.path.basename(path)]
        if static:
            options.append("--static")
        if endpoint is not None:
            options += ["--listen", endpoint]
        for peer in peers:
            options += ["--peer", peer]
        return self.node(path, *options, **settings).ready()

    def verify(self, path):
        code, out, err = run("verify", path)
        self.assertEqual(code, 0, out + err)

    def wait_equal(self, nodes):
        paths = [node.path for node in nodes]
        wait_until(lambda: equal(paths), "equality of all nodes")
