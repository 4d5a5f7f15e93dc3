#!/usr/bin/env python3
"""An application beside a node: it writes plain SQL at a rate, and knows
nothing of Grapevine.

    writer.py FILE NODE SEED LEDGER

Reads commands from its standard input, a line each: `rate R` (writes a second,
0 to rest), `fill N` (N contacts at once), `mark` (a row that tells who wrote
it), `close` and `open` the file. Answers `mark ID TIME` and `done COMMAND`,
the time by CLOCK_MONOTONIC. Ends when its input does.

Each transaction that SQLite acknowledged stands in LEDGER, a JSON line each:
what it wrote, and over which value. A value is written once only, so that
each tells whose it is."""

import json
import os
import random
import select
import sqlite3
import sys
import time

BUSY_SECONDS = 5
COLUMNS = ("name", "phone", "email")
# The ids of marks sort before all others; only those from here on are drawn.
FIRST_ID = "!"


class Writer:
    def __init__(self, path, node, seed, ledger):
        self.path = path
        self.node = node
        self.random = random.Random(seed)
        self.ledger = open(ledger, "a", encoding="utf-8")
        self.count = self.marks = 0
        self.open()

    def open(self):
        # No hidden BEGIN: what is one transaction is said below.
        self.db = sqlite3.connect(self.path, timeout=BUSY_SECONDS,
                                  isolation_level=None)

    def close(self):
        self.db.close()
        self.db = None

    def transact(self, change):
        """Carry out `change`, as often as the file is busy; write down what
        it returns once it is acknowledged."""
        self.count += 1
        busy = 0
        while True:
            try:
                self.db.execute("BEGIN IMMEDIATE")
                entry = change()
                self.db.execute("COMMIT")
                break
            except sqlite3.OperationalError as error:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                if "locked" not in str(error) and "busy" not in str(error):
                    raise
                busy += 1
        entry.update(node=self.node, seq=self.count, time=time.monotonic(),
                     busy=busy)
        self.ledger.write(json.dumps(entry) + "\n")
        self.ledger.flush()
        return entry

    def value(self, column):
        """Like no other value of this column, of any node."""
        number = "%d.%d" % (self.node, self.count)
        return {"name": "Contact " + number,
                "phone": "+31 " + number.replace(".", " "),
                "email": "contact.%s@example.com" % number}[column]

    def create(self, row_id=None):
        if row_id is None:
            row_id = "%016x-%d.%d" % (self.random.getrandbits(64), self.node,
                                      self.count)
        values = {column: self.value(column) for column in COLUMNS}
        self.db.execute("INSERT INTO contacts(id, name, phone, email, calls)"
                        " VALUES (?, ?, ?, ?, 0)",
                        (row_id, *values.values()))
        return {"op": "create", "id": row_id,
                "columns": {c: [None, v] for c, v in values.items()}}

    def pick(self):
        """The row at or after a random id, or the first one of all."""
        for point in ("%016x" % self.random.getrandbits(64), FIRST_ID):
            row = self.db.execute(
                "SELECT id, name, phone, email FROM contacts WHERE id >= ?"
                " ORDER BY id LIMIT 1", (point,)).fetchone()
            if row:
                return row
        return None

    def change(self):
        row = self.pick()
        dice = self.random.random()
        if row is None or dice < 0.4:
            return self.create()
        if dice < 0.5:
            self.db.execute("DELETE FROM contacts WHERE id = ?", (row[0],))
            return {"op": "delete", "id": row[0]}
        if dice < 0.75:
            calls = self.random.randrange(1, 10)
            self.db.execute("UPDATE contacts SET calls = calls + ?"
                            " WHERE id = ?", (calls, row[0]))
            return {"op": "call", "id": row[0], "calls": calls}
        return self.edit(row)

    def edit(self, row):
        place = self.random.randrange(len(COLUMNS))
        column = COLUMNS[place]
        value = self.value(column)
        self.db.execute("UPDATE contacts SET %s = ? WHERE id = ?" % column,
                        (value, row[0]))
        return {"op": "edit", "id": row[0],
                "columns": {column: [row[1 + place], value]}}

    def mark(self):
        self.marks += 1
        row_id = " %d.%d" % (self.node, self.marks)
        entry = self.transact(lambda: self.create(row_id))
        print("mark %s %r %d" % (row_id[1:], entry["time"], entry["seq"]),
              flush=True)


def serve(writer, line):
    """Obey one command; returns the new rate, or None."""
    verb, _, argument = line.strip().partition(" ")
    rate = None
    if verb == "rate":
        rate = float(argument)
    elif verb == "fill":
        for _ in range(int(argument)):
            writer.transact(writer.create)
    else:
        {"mark": writer.mark, "open": writer.open,
         "close": writer.close}[verb]()
    if verb != "mark":
        print("done " + verb, flush=True)
    return rate


class Commands:
    """Lines of the standard input, which is never read beyond what is
    there: a line that waits in a buffer would wake nobody."""

    def __init__(self):
        self.lines = []
        self.rest = b""

    def next(self, seconds):
        """The next one, None if none comes in time; ends with the input."""
        while not self.lines:
            if not select.select([0], [], [], seconds)[0]:
                return None
            read = os.read(0, 4096)
            if not read:
                sys.exit(0)
            *self.lines, self.rest = (self.rest + read).split(b"\n")
        return self.lines.pop(0).decode()


def main(path, node, seed, ledger):
    writer, commands = Writer(path, int(node), int(seed), ledger), Commands()
    rate, due = 0, 0
    while True:
        busy = rate and writer.db
        line = commands.next(max(0, due - time.monotonic()) if busy else None)
        if line is not None:
            told = serve(writer, line)
            if told is not None:
                rate, due = told, time.monotonic()
        elif busy:
            writer.transact(writer.change)
            # Who was held up does not hurry afterwards.
            due = max(due, time.monotonic() - 1) + 1 / rate


if __name__ == "__main__":
    main(*sys.argv[1:])
