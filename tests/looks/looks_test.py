#!/usr/bin/env python3
"""What two looks see is what is published.

Random schemas and random SQL run on tracked files, by the program `looks`,
which tells what each look publishes.  The oracle below knows nothing of
Grapevine's tables: it reads the application's own at each look, over a
connection of its own, and says what must have been published.

usage: looks_test.py PROGRAM [--scripts N] [--seed S]"""
import argparse
import os
import random
import sqlite3
import subprocess
import sys
import tempfile

import schema
import wire


class Difference(Exception):
    pass


class Oracle:
    """What a row's life and its columns are known to be, from the looks."""

    def __init__(self, db, tables):
        self.db = db
        self.tables = tables
        self.known = {}     # (table, key): [causal length, {column: value}]

    def table_now(self, table):
        """{key: {column: typed value}} of the rows that are shared."""
        names = table.keys + table.columns
        now = {}
        for row in self.db.execute("SELECT %s FROM %s" % (
                ",".join("typeof(%s), %s" % (q, schema.exact(q)) for q in
                         map(schema.quote, names)), schema.quote(table.name))):
            values = [schema.typed(row[2 * i], row[2 * i + 1])
                      for i in range(len(names))]
            key = tuple(schema.key_value(v)
                        for v in values[:len(table.keys)])
            if ("null",) not in key:
                now[key] = dict(zip(table.columns, values[len(table.keys):]))
        return now

    def look(self):
        """The rows that this look must publish."""
        expected = {}
        for table in self.tables:
            now = self.table_now(table)
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


class Program:
    """The tracked side."""

    def __init__(self, path, database):
        self.process = subprocess.Popen([path, database], text=True,
                                        stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

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


def check_look(program, oracle):
    interval = program.ask("L")
    if interval == "long":
        raise Difference("an interval too long for this test")
    found = {} if interval == "-" else wire.rows(bytes.fromhex(interval))
    expected = oracle.look()
    if found != expected:
        raise Difference("expected %r\nfound %r" % (
            sorted(set_of(expected) - set_of(found)),
            sorted(set_of(found) - set_of(expected))))


def set_of(rows):
    return {repr((where, length, born, sorted(values.items())))
            for where, (length, born, values) in rows.items()}


def play(program, path, chance, script):
    made = schema.Schema(chance)

    def tell(sql):
        script.append(sql)
        program.tell("S " + sql)

    program.ask("N")
    for sql in made.create:
        tell(sql)
    for table in made.tables:
        program.ask("T " + table.name)
    db = sqlite3.connect(path, isolation_level=None)
    try:
        oracle = Oracle(db, made.tables)
        for table in made.tables:
            table.find_defaults(db)
        for _ in range(chance.randint(2, 5)):
            for _ in range(chance.randint(1, 8)):
                for sql in made.statements(chance):
                    tell(sql)
            check_look(program, oracle)
            script.append("-- look")
    finally:
        db.close()


def run_script(program, path, seed):
    script = []
    try:
        play(program, path, random.Random(seed), script)
        return True
    except Difference as difference:
        print("seed %d" % seed)
        for sql in script:
            print("  %s;" % sql)
        print(difference)
        return False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--scripts", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    failed = 0
    with tempfile.TemporaryDirectory(dir=shared) as directory:
        path = os.path.join(directory, "looks.db")
        program = Program(arguments.program, path)
        for seed in range(arguments.seed,
                          arguments.seed + arguments.scripts):
            if not run_script(program, path, seed):
                failed += 1
                break
        program.process.stdin.close()
        program.process.wait()
    print("%d scripts from seed %d: %s" % (
        arguments.scripts, arguments.seed,
        "a difference" if failed else "all as the oracle says"))
    return 1 if failed or program.process.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
