#!/usr/bin/env python3
"""What two looks see is what is published.

Random schemas and random SQL run on tracked files, by the program `looks`,
which tells what each look publishes.  The oracle below knows nothing of
Grapevine's tables: it reads the application's own at each look, over a
connection of its own, and says what must have been published.

Some scripts have a second file, which is sent what the first publishes, with
the same tables or with others, or writes too.  For those there is a second
oracle, as far from the product: it keeps of each row the longest life and of
each cell the largest (version, site), out of the intervals alone, and says
what the tables must show.

usage: looks_test.py PROGRAM [--scripts N] [--seed S] [--processes N]"""
import argparse
import collections
import functools
import multiprocessing
import os
import random
import sqlite3
import subprocess
import sys
import tempfile

import schema
import wire

# What a script is about, and how often.
MODES = ["alone", "follow", "skewed", "merge"]
MODE_WEIGHTS = [46, 14, 16, 24]

# Scripts that one process does before it takes others.
PART = 250


class Difference(Exception):
    pass


class Log:
    """What a file must know of each row: the longest life, and of each cell
    in it the write with the largest version and site."""

    def __init__(self):
        self.rows = {}      # (table, key): (causal length, cells)
        self.version = 0

    def take(self, rows):
        for where, (length, cells) in rows.items():
            known, mine = self.rows.get(where, (0, {}))
            if length < known:
                continue
            mine = dict(mine) if length == known else {}
            for name, cell in cells.items():
                self.version = max(self.version, cell[0])
                if name not in mine or mine[name][:2] < cell[:2]:
                    mine[name] = cell
            self.rows[where] = (length, mine)

    def known(self, tables):
        """As an oracle keeps it."""
        found = {}
        for (name, key), (length, cells) in self.rows.items():
            table = tables[name]
            found[name, key] = [length, {
                c: cells[c][2] if c in cells else table.defaults[c]
                for c in table.columns}]
        return found


class Oracle:
    """What a row's life and its columns are known to be, from the looks."""

    def __init__(self, db, tables):
        self.db = db
        self.tables = tables
        self.known = {}     # (table, key): [causal length, {column: value}]

    def table_now(self, table, columns):
        """{key: {column: typed value}} of the rows that are shared."""
        names = table.keys + columns
        now = {}
        for row in self.db.execute("SELECT %s FROM %s" % (
                ",".join("typeof(%s), %s" % (q, schema.exact(q)) for q in
                         map(schema.quote, names)), schema.quote(table.name))):
            values = [schema.typed(row[2 * i], row[2 * i + 1])
                      for i in range(len(names))]
            key = tuple(schema.key_value(v)
                        for v in values[:len(table.keys)])
            if ("null",) not in key:
                now[key] = dict(zip(columns, values[len(table.keys):]))
        return now

    def look(self):
        """The rows that this look must publish."""
        expected = {}
        for table in self.tables:
            now = self.table_now(table, table.columns)
            for key, values in now.items():
                length, before = self.known.get((table.name, key), (0, None))
                born = length % 2 == 0
                if born:
                    before = table.defaults
                changed = {c: v for c, v in values.items()
                           if v != before.get(c, table.defaults[c])}
                if born or changed:
                    length += born
                    expected[table.name, key] = (length, born, changed)
                self.known[table.name, key] = [length, values]
            for (name, key), state in self.known.items():
                if name == table.name and state[0] % 2 == 1 and key not in now:
                    state[0] += 1
                    expected[name, key] = (state[0], True, {})
        return expected

    def check_shown(self, log, table, hidden):
        """The table shows what the log says, but for its hidden columns."""
        columns = [c for c in table.columns if c not in hidden]
        expected = {
            key: {c: values[c] for c in columns}
            for (name, key), (length, values) in
            log.known({t.name: t for t in self.tables}).items()
            if name == table.name and length % 2 == 1}
        found = self.table_now(table, columns)
        if found != expected:
            raise Difference("%s shows %r\nnot %r" % (
                table.name,
                sorted((k, v) for k, v in found.items()
                       if expected.get(k) != v),
                sorted((k, v) for k, v in expected.items()
                       if found.get(k) != v)))


class Program:
    """The tracked side."""

    def __init__(self, path, database):
        self.process = subprocess.Popen([path, database], text=True,
                                        stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        # Bit n: what file n does for many rows at once, or in slices, it does
        # for two.
        self.small = 0

    def tell(self, line):
        assert "\n" not in line and "\0" not in line
        self.process.stdin.write(line + "\n")

    def ask(self, line):
        self.tell(line)
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise Difference("the program ended")
        return answer.rstrip("\n")

    def end(self):
        self.process.stdin.close()
        return self.process.wait()


class File:
    """One of the two files: its application, and what it must know."""

    def __init__(self, program, paths, number, tables, script):
        self.program = program
        self.number = number
        self.script = script
        self.tables = tables
        self.log = Log()
        self.published = False  # by its last look
        self.behind = False     # the other file lacks more than that
        # Columns of which the log says something else; None: all of it.
        self.hidden = {t.name: set() for t in tables}
        program.tell("U %d" % number)
        program.tell("M %d" % (program.small >> number & 1))
        self.ask("N")
        self.db = sqlite3.connect(paths[number], isolation_level=None)
        self.oracle = Oracle(self.db, tables)

    def ask(self, line):
        self.program.tell("U %d" % self.number)
        return self.program.ask(line)

    def tell(self, sql):
        self.script.append("%d: %s" % (self.number, sql))
        self.program.tell("U %d" % self.number)
        self.program.tell("S " + sql)

    def track(self, table):
        self.script.append("%d: track %s" % (self.number, table.name))
        self.ask("T " + table.name)

    def look(self):
        """Look, and judge what is published."""
        self.script.append("%d: look" % self.number)
        self.behind |= self.published
        interval = self.ask("L")
        if interval == "long":
            raise Difference("an interval too long for this test")
        found = ({} if interval == "-" else
                 wire.fragments(bytes.fromhex(interval)))
        expected = self.oracle.look()
        if wire.rows(found) != expected:
            raise Difference("expected %r\nfound %r" % (
                sorted(set_of(expected) - set_of(wire.rows(found))),
                sorted(set_of(wire.rows(found)) - set_of(expected))))
        for where, (_, cells) in found.items():
            if any(cell[0] <= self.log.version for cell in cells.values()):
                raise Difference("%r has an old version" % (where,))
        self.published = interval != "-"
        self.log.take(found)

    def must_be_silent(self):
        self.script.append("%d: look" % self.number)
        if self.ask("L") != "-":
            raise Difference("file %d publishes what it was sent" %
                             self.number)

    def send(self, other, chance):
        """All that the other file lacks; both have looked."""
        way = "I" if (self.published and not self.behind and
                      chance.random() < 0.6) else "D"
        if not self.published and not self.behind:
            return
        self.script.append("%d: send %s" % (self.number, way))
        answer = self.ask(way)
        if answer != "ok":
            raise Difference(answer)
        self.published = self.behind = False
        other.log.take(self.log.rows)
        other.oracle.known = other.log.known(
            {t.name: t for t in self.tables})
        other.check()

    def check(self):
        """The tables show what the log says."""
        for table in self.tables:
            if self.hidden[table.name] is not None:
                self.oracle.check_shown(self.log, table,
                                        self.hidden[table.name])

    def verify(self):
        answer = self.ask("V")
        if answer != "0":
            raise Difference("verify finds %s things" % answer)


def set_of(rows):
    return {repr((where, length, born, sorted(values.items())))
            for where, (length, born, values) in rows.items()}


def write(file, made, chance):
    for _ in range(chance.randint(1, 8)):
        for sql in made.statements(chance):
            file.tell(sql)


def make(program, paths, number, made, script):
    file = File(program, paths, number, made.tables, script)
    for sql in made.create:
        file.tell(sql)
    for table in made.tables:
        file.track(table)
    return file


def make_skewed(program, paths, made, script, chance):
    """A file of which every table may lack columns or be away."""
    file = File(program, paths, 1, made.tables, script)
    file.later = []
    for table in made.tables:
        skew = table.skewed(chance)
        file.later += [(sql, table, skew) for sql in skew.later]
        if skew.create is None:
            file.hidden[table.name] = None
        else:
            file.hidden[table.name] = skew.absent | skew.other
            file.tell(skew.create)
            file.track(table)
    return file


def catch_up(file):
    """The tables and columns come; nobody sends anything."""
    for sql, table, skew in file.later:
        file.tell(sql)
        if skew.create is None:
            file.track(table)
        file.must_be_silent()
        file.hidden[table.name] = skew.other
    file.check()


def must_be_equal(first, second, chance):
    if first.ask("E") != "equal":
        raise Difference("vectors or fingerprints differ")
    if chance.random() < 0.3:
        first.verify()
        second.verify()


def follow(first, second, made, chance):
    """One file writes, the other is sent what it publishes."""
    for _ in range(chance.randint(2, 5)):
        write(first, made, chance)
        first.look()
        if chance.random() < 0.8:
            first.send(second, chance)
            second.must_be_silent()
    first.send(second, chance)
    second.must_be_silent()
    must_be_equal(first, second, chance)


def merge(first, second, made, chance):
    """Both write; what they publish crosses, or waits."""
    for _ in range(chance.randint(2, 5)):
        for file in (first, second):
            if chance.random() < 0.8:
                write(file, made, chance)
            file.look()
        if chance.random() < 0.6:
            first.send(second, chance)
        if chance.random() < 0.6:
            second.send(first, chance)
    first.send(second, chance)
    second.send(first, chance)
    must_be_equal(first, second, chance)


def play(program, paths, chance, script):
    made = schema.Schema(chance)
    mode = chance.choices(MODES, MODE_WEIGHTS)[0]
    script.append("-- " + mode)
    first = make(program, paths, 0, made, script)
    second = None
    try:
        for table in made.tables:
            table.find_defaults(first.db)
        if mode == "alone":
            for _ in range(chance.randint(2, 5)):
                write(first, made, chance)
                first.look()
        elif mode == "skewed":
            second = make_skewed(program, paths, made, script, chance)
            follow(first, second, made, chance)
            catch_up(second)
            must_be_equal(first, second, chance)
        else:
            second = make(program, paths, 1, made, script)
            {"follow": follow, "merge": merge}[mode](first, second, made,
                                                     chance)
        return mode
    finally:
        first.db.close()
        if second is not None:
            second.db.close()


def run_script(program, paths, seed, counts):
    script = []
    program.small = seed % 4
    try:
        counts[play(program, paths, random.Random(seed), script)] += 1
        return True
    except Difference as difference:
        print("seed %d\n%s\n%s" % (
            seed, "\n".join("  " + sql for sql in script), difference))
        return False


def run(path, seeds):
    """How many scripts of each mode there were, and how many differences."""
    counts = collections.Counter()
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=shared) as directory:
        first = os.path.join(directory, "looks.db")
        paths = [first, first + ".other"]
        program = Program(path, first)
        for seed in seeds:
            if not run_script(program, paths, seed, counts):
                counts["differences"] += 1
                program.end()
                program = Program(path, first)
        if program.end() != 0:
            counts["differences"] += 1
    return counts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--scripts", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    end = arguments.seed + arguments.scripts
    counts = collections.Counter()
    with multiprocessing.Pool(arguments.processes) as pool:
        for part in pool.imap(functools.partial(run, arguments.program), [
                range(first, min(first + PART, end))
                for first in range(arguments.seed, end, PART)]):
            counts += part
            done = sum(counts[mode] for mode in MODES)
            if done % (20 * PART) == 0:
                print("%d scripts, %d differences" % (
                    done, counts["differences"]), file=sys.stderr)
    print("seeds %d to %d: %d scripts (%s), %d differences" % (
        arguments.seed, end - 1, arguments.scripts,
        ", ".join("%s %d" % (mode, counts[mode]) for mode in MODES),
        counts["differences"]))
    return 1 if counts["differences"] else 0


if __name__ == "__main__":
    sys.exit(main())
