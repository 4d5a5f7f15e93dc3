"""Real nodes on this machine, with a proxy between every two of them.

Uses only sockets, the grapevine command and gvproxy. Nothing here waits
without a limit."""

import json
import os
import socket
import sqlite3
import subprocess
import time

CREATE_TABLE = """CREATE TABLE IF NOT EXISTS contacts(
    id TEXT PRIMARY KEY, name TEXT, phone TEXT, email TEXT)"""
MESH = "partition"
COMMAND_SECONDS = 120


class Failure(Exception):
    """Something that the verdict must tell."""


def wait_until(condition, seconds, what, every=0.02):
    """Wait until `condition()`, asked `every` so many seconds, is true and
    return it; a Failure that names `what` after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise Failure("%s: not within %g s" % (what, seconds))
        time.sleep(every)


class Ports:
    """Free ports below those that the system gives away."""

    def __init__(self):
        self.next = 20000 + os.getpid() * 37 % 10000

    def take(self):
        while self.next < 32000:
            port = self.next
            self.next += 1
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    continue
        raise Failure("there is no free port left below 32000")


class Proxy:
    """A gvproxy and its routes, known by (dialler, target)."""

    def __init__(self, command, routes):
        arguments = [command]
        for (dialler, target), (listen_port, target_port) in routes.items():
            arguments += ["--route", "%d-%d" % (dialler, target),
                          str(listen_port), str(target_port)]
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise Failure("the proxy did not start")

    def command(self, *words):
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer.startswith("ok"):
            raise Failure("the proxy answers '%s' to '%s'"
                          % (answer, " ".join(words)))
        return answer

    def stop(self):
        # Not close(): a proxy that is gone already would make it fail.
        self.process.terminate()
        self.process.wait(COMMAND_SECONDS)
        self.process.stdout.close()


class Node:
    """One `grapevine run` process and its file."""

    def __init__(self, number, command, directory, port):
        self.number = number
        self.command = command
        self.port = port
        self.directory = os.path.join(directory, "node%d" % number)
        self.file = os.path.join(self.directory, "contacts.db")
        self.log = os.path.join(self.directory, "log")
        self.process = None

    def prepare(self):
        os.makedirs(self.directory)
        with sqlite3.connect(self.file) as db:
            db.execute(CREATE_TABLE)
        db.close()
        done = subprocess.run([self.command, "track", self.file, "contacts"],
                              capture_output=True, text=True,
                              timeout=COMMAND_SECONDS)
        if done.returncode != 0:
            raise Failure("track failed on node %d: %s"
                          % (self.number, done.stderr.strip()))

    def start(self, peer_ports):
        arguments = [self.command, "run", self.file,
                     "--listen", "tcp://127.0.0.1:%d" % self.port,
                     "--static", "--mesh", MESH,
                     "--name", "node%d" % self.number]
        for port in peer_ports:
            arguments += ["--peer", "tcp://127.0.0.1:%d" % port]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(arguments, stderr=log, stdout=log,
                                            stdin=subprocess.DEVNULL)

    def is_ready(self):
        self.check_alive()
        with open(self.log) as log:
            return "ready" in log.read()

    def check_alive(self):
        code = self.process.poll()
        if code is not None:
            raise Failure("node %d ended by itself with code %d (see %s)"
                          % (self.number, code, self.log))

    def status(self):
        done = subprocess.run([self.command, "status", self.file, "--json"],
                              capture_output=True, text=True,
                              timeout=COMMAND_SECONDS)
        if done.returncode != 0:
            raise Failure("status failed on node %d: %s"
                          % (self.number, done.stderr.strip()))
        return json.loads(done.stdout)

    def links_up(self):
        self.check_alive()
        return sum(link["state"] == "up"
                   for link in self.status().get("links", []))

    def rows(self, where="1"):
        """What an application reads, in key order."""
        db = sqlite3.connect(self.file, timeout=5)
        try:
            return db.execute("SELECT id, name, phone, email FROM contacts"
                              " WHERE %s ORDER BY id" % where).fetchall()
        finally:
            db.close()

    def has(self, row_id):
        return bool(self.rows("id = '%s'" % row_id))

    def stop(self):
        """Returns the exit code of a clean stop."""
        if self.process is None:
            return 0
        self.process.terminate()
        try:
            return self.process.wait(COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Mesh:
    """Nodes 1 to `count`, everybody linked with everybody: for i < j, node i
    dials node j through the proxy's route (i, j)."""

    def __init__(self, count, grapevine, gvproxy, directory, patience):
        ports = Ports()
        self.patience = patience
        self.nodes = [Node(i, grapevine, directory, ports.take())
                      for i in range(1, count + 1)]
        self.routes = {(a.number, b.number): (ports.take(), b.port)
                       for a in self.nodes for b in self.nodes
                       if a.number < b.number}
        self.gvproxy = gvproxy
        self.proxy = None

    def start(self):
        if self.routes:
            self.proxy = Proxy(self.gvproxy, self.routes)
        for node in self.nodes:
            node.prepare()
            node.start([ports[0] for (dialler, _), ports
                        in self.routes.items() if dialler == node.number])
        for node in self.nodes:
            wait_until(node.is_ready, self.patience,
                       "node %d is ready" % node.number)

    def wait_linked(self):
        for node in self.nodes:
            wait_until(lambda: node.links_up() >= len(self.nodes) - 1,
                       self.patience,
                       "node %d is linked with all others" % node.number)

    def wait_equal(self):
        """Equal vectors, fingerprints and tables, and nothing unsealed."""
        wait_until(lambda: not self.difference(), self.patience,
                   "all nodes are equal")
        tables = [node.rows() for node in self.nodes]
        for node, table in zip(self.nodes, tables):
            if table != tables[0]:
                raise Failure("node %d has the vector and fingerprint of node"
                              " 1, but other rows" % node.number)
        return tables[0]

    def difference(self):
        """Why the nodes are not equal yet, or None."""
        first = None
        for node in self.nodes:
            node.check_alive()
            status = node.status()
            if not status["running"]:
                return "node %d does not answer" % node.number
            if status["journal"] != 0:
                return "node %d has %d rows to seal" % (node.number,
                                                        status["journal"])
            first = first or status
            for what in ("vv", "fingerprint"):
                if status[what] != first[what]:
                    return "node 1 and node %d differ in %s" % (node.number,
                                                                what)
        return None

    def stop(self):
        """Returns a line for each node that did not stop cleanly."""
        complaints = []
        for node in self.nodes:
            code = node.stop()
            if code != 0:
                complaints.append("node %d stopped with code %d (see %s)"
                                  % (node.number, code, node.log))
        if self.proxy:
            self.proxy.stop()
        return complaints
