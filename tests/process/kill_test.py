"""kill -9: nothing acknowledged is lost and nothing diverges.

Three nodes of one mesh are killed again and again, at seeded moments from
outside and at seeded passings of the places that the build's test hooks name
(see base/hook.h): in a seal, before the sync of what was sealed, at the nth
row of an apply, before an ACK.  Several are dead at once.  An application
beside each file goes on writing plain SQL through all of it, whether its node
lives or not, and keeps a ledger of what was acknowledged to it.  Every so
many kills all stop, converge, and are compared with one another and with the
ledgers.

A kill ends a process and not the machine: what the system's page cache holds
survives it.  So this says nothing about syncs; power cuts are another test.
"""
import argparse
import collections
import itertools
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

from mesh import (LIMIT_S, Node, connect, equal, execute, free_port, run,
                  status, wait_until)

NODES = 3
OUTSIDE = "outside"
# Place -> the range its nth passing is drawn from.
PLACES = {"seal": (1, 40), "before-sync": (1, 8), "apply-row": (1, 200),
          "before-ack": (1, 6)}
# An armed place that is not reached by then is given up.
REACH_S = 3
# To be cut at a late row of an apply, a node stays away until the others have
# written that many rows, so that it catches up by a long delta.
AWAY_S = 1.5
COMMIT_ROWS_MAX = 40

SCHEMA = """
CREATE TABLE events(site TEXT, seq INTEGER, payload BLOB,
                    PRIMARY KEY(site, seq)) WITHOUT ROWID;
CREATE TABLE contacts(id TEXT PRIMARY KEY, name TEXT, phone TEXT, email TEXT);
"""
COLUMNS = ("name", "phone", "email")
OWN_KEYS = 30
HOT_CHANGES = 3
SHARED_KEYS = 10
LOST_COMMIT = "an attempt that raised an error"


class Wrong(Exception):
    """What must hold does not."""


def payload_of(site, seq):
    """What the event holds; some are long enough to fill pages."""
    return b"%s/%d/" % (site.encode(), seq) * (1 + seq % 7 + seq % 97 // 96
                                               * 300)


class Ledger:
    """What one application knows of its own writes.

    own:    key -> the states its row may have.  One, or more where a commit
            raised an error and may have happened.  Only this site writes it.
    latest: (shared key, column) -> this site's last values, likewise.  An
            older value of the same site can stand nowhere: in the same life
            of the row the later one beats it, and lives only grow.
    """

    def __init__(self, site, path):
        self.site = site
        self.acknowledged = set()  # seq of events
        self.attempted = set()
        self.own = {}
        self.latest = {}
        self.commits = 0
        self.rows = 0
        self.errors = 0
        self.log = open(path, "w", buffering=1, encoding="utf-8")

    def note(self, operations, acknowledged, why=""):
        """Take over the operations of one transaction."""
        self.log.write(json.dumps([round(time.time() * 1000),
                                   acknowledged or why, operations]) + "\n")
        for operation in operations:
            getattr(self, "note_" + operation[0])(acknowledged, *operation[1:])
        if acknowledged:
            self.commits += 1
            self.rows += len(operations)
        else:
            self.errors += 1

    def note_event(self, acknowledged, seq):
        self.attempted.add(seq)
        if acknowledged:
            self.acknowledged.add(seq)

    def note_own(self, acknowledged, key, change):
        """change: None for a delete, else column -> value."""
        before = self.own.setdefault(key, {None})
        after = {changed(state, change) for state in before}
        self.own[key] = after if acknowledged else before | after

    def note_shared(self, acknowledged, key, change):
        if change is None:
            change = {column: None for column in COLUMNS}
        for column, value in change.items():
            after = {value} - {None}
            if not acknowledged:
                after |= self.latest.get((key, column), set())
            self.latest[key, column] = after


def changed(state, change):
    """The row after a change; all columns of a change make a row."""
    if change is None:
        return None
    if state is None and len(change) < len(COLUMNS):
        return None
    return tuple(change.get(column, None if state is None else state[i])
                 for i, column in enumerate(COLUMNS))


class Writer(threading.Thread):
    """The application of one file: it never stops for its node's sake."""

    def __init__(self, site, path, ledger_path, seed):
        super().__init__(daemon=True)
        self.site = site
        self.path = path
        self.random = random.Random(seed)
        self.ledger = Ledger(site, ledger_path)
        self.seq = itertools.count()
        self.toggles = itertools.count()
        self.hot = {}  # key -> its state
        self.undo = collections.deque(maxlen=5)  # key, state before
        self.take_back = False  # wanted
        self.burst = 0  # rows wanted at once
        self.go = threading.Event()
        self.idle = threading.Event()
        self.fault = None
        self.db = None

    def run(self):
        try:
            while True:
                if not self.go.is_set():
                    self.close()
                    self.idle.set()
                    self.go.wait()
                    self.idle.clear()
                self.turn()
        except Exception as fault:  # shown by the main thread
            self.fault = fault
            self.idle.set()

    def pause(self):
        self.go.clear()
        if not self.idle.wait(LIMIT_S) or self.fault:
            raise Wrong("the application of %s stopped: %r"
                        % (self.site, self.fault))

    def close(self):
        if self.db:
            self.db.close()
            self.db = None

    def turn(self):
        if self.db is None:
            self.db = connect(self.path)
        if self.take_back:
            self.take_back = False
            self.transaction(self.take_back_last)
        self.transaction(self.some)
        if self.random.random() < 0.02:
            # Nobody has the file open now unless its node does, so that
            # whoever comes next finds the log of a dead process.
            self.close()
            time.sleep(self.random.uniform(0, 0.3))
        elif self.random.random() < 0.6:
            time.sleep(self.random.uniform(0.01, 0.06))
        else:
            time.sleep(self.random.uniform(0, 0.003))

    def some(self, operations):
        for _ in range(self.size()):
            self.operation(operations)

    def size(self):
        burst, self.burst = self.burst, 0
        if burst:
            return burst
        draw = self.random.random()
        if draw < 0.6:
            return 1
        return self.random.randint(2, 6 if draw < 0.95 else COMMIT_ROWS_MAX)

    def transaction(self, write):
        operations = []
        why = LOST_COMMIT
        done = False
        try:
            self.db.execute("BEGIN IMMEDIATE")
            write(operations)
            self.db.execute("COMMIT")
            done = True
        except sqlite3.Error as error:
            why = "%s: %s" % (LOST_COMMIT, error)
            self.close()
        self.ledger.note(operations, done, why)

    def operation(self, operations):
        """Do one; it stands in the list before it is tried."""
        draw = self.random.random()
        if draw < 0.5:
            seq = next(self.seq)
            operations.append(["event", seq])
            self.db.execute("INSERT INTO events VALUES(?, ?, ?)",
                            (self.site, seq, payload_of(self.site, seq)))
        elif draw < 0.75:
            key = "%s-%02d" % (self.site, self.random.randrange(OWN_KEYS))
            self.change("own", key, operations)
        elif draw < 0.87:
            self.toggle(operations)
        else:
            key = "shared-%02d" % self.random.randrange(SHARED_KEYS)
            self.change("shared", key, operations)

    def toggle(self, operations):
        """A few changes of a row that is then left alone."""
        key = "%s-hot-%d" % (self.site, next(self.toggles) // HOT_CHANGES)
        state = self.random.choice((None, "on", "off"))
        self.undo.append((key, self.hot.get(key)))
        self.set_hot(key, state, operations)

    def set_hot(self, key, state, operations):
        self.hot[key] = state
        change = state and dict.fromkeys(COLUMNS, state)
        self.execute("own", key, change, operations)

    def take_back_last(self, operations):
        """What a node told of these and forgot would stay for ever."""
        while self.undo:
            self.set_hot(*self.undo.pop(), operations)

    def change(self, kind, key, operations):
        draw = self.random.random()
        mark = "%s:%d" % (self.site, next(self.seq))
        if draw < 0.2:
            change = None
        elif draw < 0.45:
            change = {column: mark + column for column in COLUMNS}
        else:
            column = self.random.choice(COLUMNS)
            change = {column: mark + column}
        self.execute(kind, key, change, operations)

    def execute(self, kind, key, change, operations):
        """Delete the row, write it whole, or update one column of it."""
        if change is None:
            sql, values = "DELETE FROM contacts WHERE id = ?", (key,)
        elif len(change) == len(COLUMNS):
            sql = "INSERT OR REPLACE INTO contacts VALUES(?, ?, ?, ?)"
            values = (key, *change.values())
        else:
            (column, value), = change.items()
            sql = "UPDATE contacts SET %s = ? WHERE id = ?" % column
            values = (value, key)
        operations.append([kind, key, change])
        if self.db.execute(sql, values).rowcount == 0:
            operations.pop()  # there is no such row


class Member:
    """One file, its application, and the lives of its node."""

    def __init__(self, number, directory, seed):
        self.name = "n%d" % number
        self.path = os.path.join(directory, self.name + ".db")
        self.endpoint = "tcp://127.0.0.1:%d" % free_port()
        self.random = random.Random("%s/%s" % (seed, self.name))
        db = connect(self.path)
        db.executescript(SCHEMA)
        db.close()
        for table in ("events", "contacts"):
            code, _, err = run("track", self.path, table)
            if code != 0:
                raise Wrong("track: " + err)
        self.writer = Writer(self.name, self.path,
                             os.path.join(directory, self.name + ".ledger"),
                             "%s/%s/writer" % (seed, self.name))
        self.node = None
        self.place = None
        self.passing = 0
        self.end = 0  # of this life, or of the time between two
        self.rows_away = 0
        self.site = None
        self.vv = {}

    def start(self, peers, place=None):
        options = []
        for peer in peers:
            options += ["--peer", peer.endpoint]
        env = {}
        if place not in (None, OUTSIDE):
            env["GRAPEVINE_HOOK"] = "%s:%d" % (place, self.passing)
        self.node = Node(self.path, "--name", self.name, "--listen",
                         self.endpoint, *options, env=env, mesh="kill")
        self.place = place

    def kill(self):
        self.node.process.kill()
        self.buried()

    def buried(self):
        """Take note of the death; anything but a kill is a fault."""
        code = self.node.process.wait()
        if code != -9:
            raise Wrong("node %s ended by itself with code %d:\n%s"
                        % (self.name, code, self.node.log()[-4000:]))
        was_ready = "ready:" in self.node.log()
        self.node = None
        return was_ready

    def look(self):
        """No entry of the vector goes down, and the identity stays."""
        seen = status(self.path)
        self.site = self.site or seen["site"]
        if seen["site"] != self.site:
            raise Wrong("node %s took the site id %s in place of %s"
                        % (self.name, seen["site"], self.site))
        vv = {site: int(version) for site, version in seen["vv"].items()}
        for site, version in self.vv.items():
            if vv.get(site, 0) < version:
                raise Wrong("node %s: its vector went back at site %s from %d "
                            "to %d" % (self.name, site, version,
                                       vv.get(site, 0)))
        self.vv = vv
        return seen


class Kills:
    """The schedule, and what came of it."""

    def __init__(self, total, seed):
        self.total = total
        self.quota = min(20, total // 8)
        self.random = random.Random("%s/schedule" % seed)
        self.count = dict.fromkeys([*PLACES, OUTSIDE], 0)
        self.passings = {place: [] for place in PLACES}
        self.missed = dict.fromkeys(PLACES, 0)
        self.early = 0

    def sum(self):
        return sum(self.count.values())

    def lacking(self):
        return [place for place in PLACES if self.count[place] < self.quota]

    def done(self):
        return self.sum() >= self.total and not self.lacking()

    def draw(self, draws):
        """The end of a life: the place and which passing of it."""
        lacking = self.lacking()
        if lacking and draws.random() < 0.85:
            place = draws.choice(lacking)
        else:
            place = draws.choice([*PLACES, OUTSIDE, OUTSIDE])
        if place == OUTSIDE:
            return place, 0
        low, high = PLACES[place]
        if draws.random() < 0.4:
            high = min(high, 5)
        return place, draws.randint(low, high)

    def add(self, place, passing, was_ready):
        self.count[place] += 1
        self.early += not was_ready
        if place != OUTSIDE:
            self.passings[place].append(passing)

    def table(self):
        yield "%-12s %5s   %s" % ("place", "kills", "at the nth passing")
        for place, count in self.count.items():
            nth = sorted(self.passings.get(place, []))
            text = "%d to %d, middle %d" % (
                nth[0], nth[-1], nth[len(nth) // 2]) if nth else ""
            if self.missed.get(place):
                text += "; %d not reached" % self.missed[place]
            yield "%-12s %5d   %s" % (place, count, text)
        yield "%-12s %5d   %d of them before the node was ready" % (
            "all", self.sum(), self.early)


class Test:
    def __init__(self, directory, kills, seed, each):
        self.kills = Kills(kills, seed)
        self.each = each  # kills between two checks
        self.members = [Member(i, directory, seed) for i in range(NODES)]
        self.began = time.monotonic()

    def peers(self, member):
        return [other for other in self.members if other is not member]

    def rows_of_others(self, member):
        return sum(other.writer.ledger.rows for other in self.peers(member))

    def kill_from_outside(self, member):
        member.node.process.kill()
        self.kills.add(OUTSIDE, 0, member.buried())

    def prepare(self, member):
        """After a death: decide on the next life, and when it begins."""
        if member.random.random() < 0.4:
            member.look()
        member.writer.take_back = member.random.random() < 0.5
        member.place, member.passing = self.kills.draw(member.random)
        member.rows_away = 0
        member.end = time.monotonic()
        if member.place == "apply-row" and member.passing > 5:
            member.rows_away = self.rows_of_others(member) + member.passing
            member.end += AWAY_S
            for other in self.peers(member):
                other.writer.burst = member.passing
        elif member.writer.take_back or member.random.random() < 0.2:
            member.end += member.random.uniform(0, 0.3)

    def begin(self, member):
        now = time.monotonic()
        away = (self.rows_of_others(member) < member.rows_away
                if member.rows_away else True)
        if now < member.end and away:
            return
        if member.place == OUTSIDE:
            member.end = now + member.random.choice(
                (member.random.uniform(0, 0.02),
                 member.random.uniform(0, 0.8)))
        else:
            member.end = now + REACH_S
        member.start(self.peers(member), member.place)

    def turn(self, member):
        if member.node is None:
            self.begin(member)
        elif member.node.process.poll() is not None:
            if member.place == OUTSIDE:
                member.buried()
                raise Wrong("node %s was killed by somebody else"
                            % member.name)
            self.kills.add(member.place, member.passing, member.buried())
            self.prepare(member)
        elif time.monotonic() >= member.end:
            if member.place != OUTSIDE:
                self.kills.missed[member.place] += 1
            self.kill_from_outside(member)
            self.prepare(member)

    def check_hooks(self):
        for place, missed in self.kills.missed.items():
            if missed >= 10 and self.kills.count[place] == 0:
                raise Wrong("%d nodes never came to %s: has this build the "
                            "test hooks?" % (missed, place))

    def kill_until(self, count):
        """Kill until so many are dead in all."""
        for member in self.members:
            if member.node:
                self.kill_from_outside(member)
            self.prepare(member)
            member.writer.idle.clear()
            member.writer.go.set()
        while self.kills.sum() < count:
            for member in self.members:
                self.turn(member)
                if member.writer.fault:
                    member.writer.pause()
            self.check_hooks()
            time.sleep(0.004)

    def check(self):
        for member in self.members:
            member.writer.pause()
        for member in self.members:
            if member.node:
                self.kill_from_outside(member)
            member.look()
            member.start(self.peers(member))
        began = time.monotonic()
        for member in self.members:
            member.node.ready()
        self.converge()
        took = time.monotonic() - began
        for member in self.members:
            member.look()
        rows = self.compare()
        for member in self.members:
            code, out, err = run("verify", member.path, limit=600)
            if code != 0:
                raise Wrong("verify of %s: exit code %d\n%s%s"
                            % (member.name, code, out, err))
        print("%4d kills, %5.1f s: %d commits, %d rows acknowledged; equal "
              "after %.2f s, %d rows on each node, verified"
              % (self.kills.sum(), time.monotonic() - self.began,
                 sum(m.writer.ledger.commits for m in self.members),
                 sum(m.writer.ledger.rows for m in self.members), took, rows),
              flush=True)

    def converge(self):
        try:
            wait_until(lambda: equal([m.path for m in self.members]),
                       "equal vectors and fingerprints")
        except AssertionError as late:
            for member in self.members:
                # What differs in the tables says more, if anything does.
                print("%s: %s" % (member.name, status(member.path)))
            self.compare()
            raise Wrong(str(late)) from late

    def compare(self):
        """The tables of all nodes, and the ledgers."""
        events = [rows_by_key(m.path, "events", ("site", "seq"), ("payload",))
                  for m in self.members]
        contacts = [rows_by_key(m.path, "contacts", ("id",), COLUMNS)
                    for m in self.members]
        # First what an application was promised: it tells more.
        for member, rows in zip(self.members, events):
            self.check_events(member, rows)
        for member, rows in zip(self.members, contacts):
            self.check_own(member, rows)
            self.check_shared(member, rows)
        for tables in (events, contacts):
            for member, rows in zip(self.members[1:], tables[1:]):
                self.check_same(member, tables[0], rows)
        return len(events[0]) + len(contacts[0])

    def check_events(self, member, rows):
        for writer in (m.writer for m in self.members):
            ledger, name = writer.ledger, writer.site
            for seq in sorted(ledger.acknowledged):
                found = rows.get((name, seq))
                if found is None:
                    raise Wrong("node %s lost event ('%s', %d)"
                                % (member.name, name, seq))
                if found != (quoted(payload_of(name, seq)),):
                    raise Wrong("node %s: event ('%s', %d) has another "
                                "payload" % (member.name, name, seq))
        known = {m.name: m.writer.ledger.attempted for m in self.members}
        for site, seq in rows:
            if seq not in known.get(site, ()):
                raise Wrong("node %s has event ('%s', %d), which nobody wrote"
                            % (member.name, site, seq))

    def check_own(self, member, rows):
        for writer in (m.writer for m in self.members):
            for key, states in writer.ledger.own.items():
                expected = {state and tuple(map(quoted, state))
                            for state in states}
                found = rows.get((key,))
                if found not in expected:
                    raise Wrong("node %s: contact '%s' is %s; the ledger of "
                                "its only writer says %s"
                                % (member.name, key, found, expected))

    def check_shared(self, member, rows):
        own = {key for m in self.members for key in m.writer.ledger.own}
        for (key,), row in rows.items():
            if key in own:
                continue
            for column, value in zip(COLUMNS, row):
                latest = {quoted(one) for m in self.members for one in
                          m.writer.ledger.latest.get((key, column), ())}
                if value not in latest:
                    raise Wrong("node %s: %s of contact '%s' is %s; the last "
                                "writes of the sites are %s"
                                % (member.name, column, key, value,
                                   sorted(latest)))

    def check_same(self, member, expected, rows):
        for key in sorted(expected.keys() | rows.keys()):
            if expected.get(key) != rows.get(key):
                raise Wrong("row %s is %s on node %s and %s on node %s"
                            % (key, expected.get(key), self.members[0].name,
                               rows.get(key), member.name))

    def run(self):
        for member in self.members:
            member.writer.start()
        limit = self.began + 5 * self.kills.total
        while not self.kills.done():
            if time.monotonic() > limit:
                raise Wrong("too few kills at %s"
                            % ", ".join(self.kills.lacking()))
            self.kill_until(self.kills.sum() + self.each)
            self.check()

    def end(self):
        for member in self.members:
            member.writer.go.clear()
        for member in self.members:
            if member.writer.is_alive():
                member.writer.idle.wait(LIMIT_S)
            if member.node:
                member.node.process.kill()
                member.node.process.wait()


def quoted(value):
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return "X'%s'" % value.hex().upper()
    return "'%s'" % value


def rows_by_key(path, table, keys, columns):
    """All rows; key -> values as SQL literals, so that types count too."""
    rows = execute(path, "SELECT %s, %s FROM %s" % (
        ", ".join(keys), ", ".join("quote(%s)" % c for c in columns), table))
    return {row[:len(keys)]: row[len(keys):] for row in rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int,
                        default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--each", type=int, default=25,
                        help="kills between two checks")
    parser.add_argument("--dir", help="keep everything in this directory")
    options = parser.parse_args()
    print("seed %d" % options.seed, flush=True)
    directory = options.dir or tempfile.mkdtemp(prefix="grapevine-kill-")
    os.makedirs(directory, exist_ok=True)
    # Who is told to end takes the nodes along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    test = Test(directory, options.kills, options.seed, options.each)
    try:
        test.run()
    except (Wrong, AssertionError, sqlite3.Error,
            subprocess.TimeoutExpired) as wrong:
        print("\n".join(test.kills.table()))
        print("WRONG with seed %d: %s\neverything is kept in %s"
              % (options.seed, wrong, directory))
        return 1
    finally:
        test.end()
    print("\n".join(test.kills.table()))
    errors = sum(m.writer.ledger.errors for m in test.members)
    print("%d attempts raised an error; %.0f s"
          % (errors, time.monotonic() - test.began))
    if not options.dir:
        shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
