"""The story that tools/demo tells: three nodes, one of them cut off while
both sides go on writing; then everything is equal again.

It writes plain SQL into the nodes' files, reads them with the sqlite3 shell,
and ends with 1 if anything is not so."""

import argparse
import json
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "sim"))

from nodes import Failure, Mesh, wait_until  # noqa: E402

PATIENCE_SECONDS = 120
TOGETHER_SECONDS = 2
APART_SECONDS = 4
RATE = 60  # writes a second on each node
APART_WRITES_MIN = 100  # a side
WATCHED_ROWS = 20
DIFFERENCES_SHOWN = 10
# Versions count milliseconds: two edits this far apart have an order.  And a
# commit that comes alone, this long after the last one, is sealed at once.
LATER_SECONDS = 0.02


def count(number, what):
    return "%d %s%s" % (number, what, "" if number == 1 else "s")


def shell(node, sql):
    """What the sqlite3 shell answers, as a list of rows."""
    done = subprocess.run(
        ["sqlite3", "-batch", "-json", "-cmd", ".timeout 5000", node.file,
         sql],
        capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    if done.returncode != 0:
        raise Failure("the sqlite3 shell failed on node %d: %s"
                      % (node.number, done.stderr.strip()))
    return json.loads(done.stdout) if done.stdout.strip() else []


def read_table(node):
    rows = shell(node, "SELECT * FROM contacts ORDER BY id")
    return {row["id"]: row for row in rows}


def are_level(nodes):
    """Whether all run, with nothing unsealed, an equal vector and an equal
    fingerprint."""
    for node in nodes:
        node.check_alive()
    states = [node.status() for node in nodes]
    return all(state["running"] and state["journal"] == 0
               and state["vv"] == states[0]["vv"]
               and state["fingerprint"] == states[0]["fingerprint"]
               for state in states)


def describe_differences(node, table, other, reference):
    """Each row and column in which `node` differs from `other`."""
    lines = []
    for row_id in sorted(table.keys() | reference.keys()):
        place = "node %d, contacts '%s'" % (node.number, row_id)
        here, there = table.get(row_id), reference.get(row_id)
        if here is None or there is None:
            lines.append("%s: the row is %s here, %s on node %d" % (
                place, "missing" if here is None else "present",
                "missing" if there is None else "present", other.number))
            continue
        for column in here.keys() | there.keys():
            if here.get(column) != there.get(column):
                lines.append("%s, column %s: %r here, %r on node %d" % (
                    place, column, here.get(column), there.get(column),
                    other.number))
    return lines


class Generators:
    """tools/contacts on several nodes at once, as applications beside them;
    counts what was acknowledged."""

    def __init__(self, nodes, seconds, seed):
        self.runs = []
        for node in nodes:
            ledger = os.path.join(node.directory, "ledger-%d" % seed)
            self.runs.append((node, ledger, subprocess.Popen(
                [sys.executable, os.path.join(HERE, "contacts"), node.file,
                 "--rate", str(RATE), "--seconds", str(seconds), "--seed",
                 str(seed * 100 + node.number), "--ledger", ledger],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                text=True)))
        self.by_node = {}

    def wait(self):
        for node, ledger, process in self.runs:
            _, complaint = process.communicate(timeout=PATIENCE_SECONDS)
            if process.returncode != 0:
                raise Failure("the generator failed on node %d: %s"
                              % (node.number, complaint.strip()))
            with open(ledger, encoding="utf-8") as lines:
                self.by_node[node.number] = [json.loads(line)["op"]
                                             for line in lines]

    def total(self, *numbers):
        return sum(len(self.by_node[number]) for number in numbers)

    def kinds(self):
        """As in "212 creates, 110 edits, 38 deletes"."""
        ops = sum(self.by_node.values(), [])
        return ", ".join(count(ops.count(op), op)
                         for op in ("create", "edit", "delete"))

    def stop(self):
        for _, _, process in self.runs:
            if process.poll() is None:
                process.kill()
                process.communicate()


class Demo:
    def __init__(self, grapevine, gvproxy, directory):
        self.grapevine = grapevine
        self.mesh = Mesh(3, grapevine, gvproxy, directory, PATIENCE_SECONDS)
        self.start_time = time.monotonic()
        self.generators = None
        self.heal_ms = 0

    # ---- telling ----

    def chapter(self, title):
        print("\n%s" % title, flush=True)

    def say(self, line):
        print("%6.2f s  %s" % (time.monotonic() - self.start_time, line),
              flush=True)

    def add(self, line):
        print("          %s" % line, flush=True)

    # ---- seeing ----

    def wait_equal(self, nodes):
        """Wait until the vectors and fingerprints of `nodes` are equal and
        nothing is unsealed; then their tables must be equal too, at once.
        Returns the table."""
        wait_until(lambda: are_level(nodes), PATIENCE_SECONDS,
                   "equal vectors and fingerprints")
        tables = [read_table(node) for node in nodes]
        lines = []
        for node, table in zip(nodes[1:], tables[1:]):
            lines += describe_differences(node, table, nodes[0], tables[0])
        if lines:
            raise Failure("\n  ".join(
                ["equal vectors and fingerprints, but not equal tables:"]
                + lines[:DIFFERENCES_SHOWN]
                + ["and %d more" % (len(lines) - DIFFERENCES_SHOWN)]
                * (len(lines) > DIFFERENCES_SHOWN)))
        return tables[0]

    def watch_commits(self):
        """Commit rows on node 1, one by one, and see how long each takes to
        be readable in the files of nodes 2 and 3: medians, in ms."""
        db = sqlite3.connect(self.mesh.nodes[0].file, timeout=5,
                             isolation_level=None)
        readers = {node.number: sqlite3.connect(node.file, timeout=5)
                   for node in self.mesh.nodes[1:]}
        times = {number: [] for number in readers}
        for i in range(WATCHED_ROWS):
            row_id = "watched-%02d" % (i + 1)
            time.sleep(LATER_SECONDS)
            db.execute("INSERT INTO contacts VALUES (?, ?, ?, ?)",
                       (row_id, "Watched %d" % (i + 1), "+31 612345678",
                        "%s@example.org" % row_id))
            self.see_row(row_id, readers, times)
        for connection in [db, *readers.values()]:
            connection.close()
        return {number: statistics.median(seen) * 1000
                for number, seen in times.items()}

    def see_row(self, row_id, readers, times):
        committed = time.monotonic()
        waiting = dict(readers)
        while waiting:
            for number, reader in list(waiting.items()):
                if reader.execute("SELECT 1 FROM contacts WHERE id = ?",
                                  (row_id,)).fetchone():
                    times[number].append(time.monotonic() - committed)
                    del waiting[number]
            if time.monotonic() - committed > PATIENCE_SECONDS:
                raise Failure("node %d, contacts '%s': not there after %d s"
                              % (min(waiting), row_id, PATIENCE_SECONDS))
            time.sleep(0.0002)

    # ---- the story ----

    def run(self):
        self.begin()
        self.together()
        self.apart()
        self.write_by_hand()
        self.heal()
        self.check()

    def begin(self):
        self.chapter("Three files, three nodes")
        self.mesh.start()
        self.say("each node has a file of its own with a tracked table"
                 " contacts, and a")
        self.add("list of its peers; every link runs through a small proxy")
        self.mesh.wait_linked()
        self.say("all are linked")

    def together(self):
        self.chapter("Together")
        seen = self.watch_commits()
        rows = self.wait_equal(self.mesh.nodes)
        self.say("%d commits on node 1, one by one: readable in node 2's file"
                 " %.1f ms later," % (WATCHED_ROWS, seen[2]))
        self.add("in node 3's %.1f ms later (medians)" % seen[3])
        self.write(self.mesh.nodes, TOGETHER_SECONDS, seed=1)
        written = time.monotonic()
        before, rows = len(rows), self.wait_equal(self.mesh.nodes)
        self.say("all three wrote at once: %s"
                 % self.generators.kinds())
        self.add("equal %.0f ms later: %d rows, %d before"
                 % ((time.monotonic() - written) * 1000, len(rows), before))

    def write(self, nodes, seconds, seed):
        self.generators = Generators(nodes, seconds, seed)
        self.generators.wait()
        for node in nodes:
            node.check_alive()

    def links_of_node_3(self):
        return ["%d-%d" % route for route in self.mesh.routes if 3 in route]

    def apart(self):
        self.chapter("Apart")
        for link in self.links_of_node_3():
            self.mesh.proxy.command("cut", link)
        self.say("CUT: nothing passes between node 3 and the other two")
        self.write(self.mesh.nodes, APART_SECONDS, seed=2)
        near = self.wait_equal(self.mesh.nodes[:2])
        far = read_table(self.mesh.nodes[2])
        sides = self.generators.total(1, 2), self.generators.total(3)
        self.say("both sides went on: %s on nodes 1 and 2, %s on node 3"
                 % (count(sides[0], "write"), count(sides[1], "write")))
        self.add("nodes 1 and 2 are equal: %d rows; node 3 has %d"
                 % (len(near), len(far)))
        self.show_gap(near, far)
        if min(sides) < APART_WRITES_MIN:
            raise Failure("fewer than %d writes on one side while apart"
                          % APART_WRITES_MIN)

    def show_gap(self, near, far):
        missing_far = len(near.keys() - far.keys())
        missing_near = len(far.keys() - near.keys())
        unlike = sum(near[row_id] != far[row_id]
                     for row_id in near.keys() & far.keys())
        self.add("%d rows are only on nodes 1 and 2, %d only on node 3, %d on"
                 " both but unlike" % (missing_far, missing_near, unlike))
        if not missing_far or not missing_near:
            raise Failure("the cut let something through, or nothing was"
                          " written")

    def write_by_hand(self):
        """Three rows that both sides hold alike get the three conflicts that
        people ask about."""
        first, third = self.mesh.nodes[0], self.mesh.nodes[2]
        near, far = read_table(first), read_table(third)
        alike = sorted(row_id for row_id in near if near[row_id] ==
                       far.get(row_id) and not row_id.startswith("watched"))
        if len(alike) < 3:
            raise Failure("no three rows were left alone on both sides")
        self.both, self.later, self.dead = (near[row_id]
                                            for row_id in alike[:3])
        edit = "UPDATE contacts SET %s = '%s' WHERE id = '%s'"
        shell(first, edit % ("phone", "+31 101010101", self.both["id"]))
        shell(first, edit % ("phone", "+31 100000001", self.later["id"]))
        shell(first, "DELETE FROM contacts WHERE id = '%s'"
              % self.dead["id"])
        time.sleep(LATER_SECONDS)
        shell(third, edit % ("email", "new@example.org", self.both["id"]))
        shell(third, edit % ("phone", "+31 300000003", self.later["id"]))
        shell(third, edit % ("phone", "+31 333333333", self.dead["id"]))
        self.say("with the sqlite3 shell, on node 1 first, then on node 3:")
        self.add("%-22s node 1 sets the phone, node 3 the email"
                 % self.both["name"])
        self.add("%-22s node 1 sets the phone, node 3 sets it otherwise"
                 % self.later["name"])
        self.add("%-22s node 1 deletes the row, node 3 sets the phone"
                 % self.dead["name"])

    def heal(self):
        self.chapter("Together again")
        for link in self.links_of_node_3():
            self.mesh.proxy.command("heal", link)
        healed = time.monotonic()
        self.say("HEAL")
        self.rows = self.wait_equal(self.mesh.nodes)
        self.heal_ms = (time.monotonic() - healed) * 1000
        self.say("equal %.0f ms after the heal: %d rows" % (self.heal_ms,
                                                         len(self.rows)))
        status = self.mesh.nodes[0].status()
        self.add("one vector (%d sites), one fingerprint (%s…),"
                 % (len(status["vv"]), status["fingerprint"][:8]))
        self.add("one table, row by row as the sqlite3 shell reads it")

    def check(self):
        self.expect(self.both, "both edits live",
                    phone="+31 101010101", email="new@example.org")
        self.expect(self.later, "the later edit won", phone="+31 300000003")
        if self.dead["id"] in self.rows:
            raise Failure("contacts '%s': the delete did not win"
                          % self.dead["id"])
        self.add("%-22s gone: a delete beats a concurrent edit"
                 % self.dead["name"])
        for node in self.mesh.nodes:
            done = subprocess.run([self.grapevine, "verify", node.file],
                                  capture_output=True, text=True,
                                  timeout=PATIENCE_SECONDS)
            if done.returncode != 0:
                raise Failure("grapevine verify on node %d: %s" % (
                    node.number, (done.stdout + done.stderr).strip()))
        self.say("grapevine verify found nothing wrong on any node")

    def expect(self, row, meaning, **columns):
        found = self.rows.get(row["id"])
        if found is None:
            raise Failure("contacts '%s': the row is lost" % row["id"])
        for column, value in columns.items():
            if found[column] != value:
                raise Failure("contacts '%s', column %s: %r, not %r" % (
                    row["id"], column, found[column], value))
        self.add("%-22s %s  (%s)" % (found["name"],
                                     ", ".join(columns.values()), meaning))

    def stop(self):
        if self.generators:
            self.generators.stop()
        return self.mesh.stop()


def play(demo):
    """Tell the story; returns why it went wrong, nothing if it did not."""
    reasons = []
    try:
        demo.run()
    except (Failure, OSError, sqlite3.Error, ValueError, KeyError,
            subprocess.TimeoutExpired) as error:
        reasons.append(str(error))
    finally:
        reasons += demo.stop()
    return reasons


def parse(arguments):
    parser = argparse.ArgumentParser(prog="tools/demo")
    parser.add_argument("--build", metavar="DIR", required=True,
                        help="the build to run (default: build/release,"
                        " which is built first)")
    parser.add_argument("--keep", action="store_true",
                        help="leave the nodes' files and logs")
    options = parser.parse_args(arguments)
    options.grapevine = os.path.join(options.build, "src", "cmd", "grapevine")
    options.gvproxy = os.path.join(options.build, "sim", "gvproxy")
    for program in (options.grapevine, options.gvproxy):
        if not os.access(program, os.X_OK):
            parser.error("there is no %s; without --build, tools/demo builds"
                         " it" % program)
    return options


def interrupt(number, _):
    raise KeyboardInterrupt("signal %d" % number)


def main(arguments):
    options = parse(arguments)
    signal.signal(signal.SIGTERM, interrupt)
    directory = tempfile.mkdtemp(prefix="grapevine-demo-")
    demo = Demo(os.path.abspath(options.grapevine),
                os.path.abspath(options.gvproxy), directory)
    reasons = ["interrupted"]
    try:
        reasons = play(demo)
    except KeyboardInterrupt:
        pass
    finally:
        if not reasons and not options.keep:
            shutil.rmtree(directory)
    if reasons:
        print("\nFAILED: %s" % "\n".join(reasons))
        print("The nodes' files and logs are in %s" % directory)
        return 1
    if options.keep:
        print("\nThe nodes' files and logs are in %s" % directory)
    print("\nDone: three files, written on both sides of a cut, equal %.0f ms"
          " after it healed." % demo.heal_ms)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
