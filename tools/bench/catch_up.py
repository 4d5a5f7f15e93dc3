#!/usr/bin/env python3
"""How fast a new node catches up: rows a second from its start until it holds
what its peer does, and the peak of resident memory of both.

    tools/bench/catch_up.py build/release/src/cmd/grapevine
    tools/bench/catch_up.py GRAPEVINE --rows 1000000 --write 1

Beside it stands the floor in the same run: plain SQLite copies the same rows
from one file into another, in transactions of 1,000 rows, with nothing that
logs or checks.  Processor seconds say more than rows a second on a machine
that does other work too.
"""
import argparse
import json
import multiprocessing
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

TABLE = ("CREATE TABLE contacts(id TEXT PRIMARY KEY, name TEXT, phone TEXT, "
         "email TEXT)")
ROWS = ("INSERT INTO contacts WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
        "SELECT i + 1 FROM n WHERE i < %d) SELECT lower(hex(randomblob(16))), "
        "'First' || (i %% 97) || ' Last' || i, '+49 ' || (i * 7919 %% "
        "100000000), 'first.last' || i || '@example.org' FROM n")
FLOOR_ROWS = 1000


def connect(path):
    return sqlite3.connect(path, timeout=30, isolation_level=None)


def make(path, rows):
    db = connect(path)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute(TABLE)
    if rows:
        db.execute(ROWS % rows)
    db.close()


def floor(source, target):
    """Seconds that plain SQLite takes for the copy."""
    make(target, 0)
    db = connect(target)
    db.execute("ATTACH ? AS source", (source,))
    began = time.monotonic()
    last = 0
    while True:
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO main.contacts SELECT * FROM source.contacts "
                   "WHERE rowid > ? ORDER BY rowid LIMIT ?",
                   (last, FLOOR_ROWS))
        done = db.execute("SELECT changes()").fetchone()[0]
        db.execute("COMMIT")
        last += FLOOR_ROWS
        if done == 0:
            break
    seconds = time.monotonic() - began
    db.close()
    return seconds


class Node:
    def __init__(self, command, path, *options):
        self.command = command
        self.path = path
        self.log = open(path + ".log", "wb")
        self.process = subprocess.Popen(
            [command, "run", path, "--mesh", "bench", "--static", *options],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def status(self):
        done = subprocess.run([self.command, "status", self.path, "--json"],
                              capture_output=True, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def peak_kib(self):
        with open("/proc/%d/status" % self.process.pid) as lines:
            for line in lines:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1])
        return 0

    def cpu_s(self):
        with open("/proc/%d/stat" % self.process.pid) as line:
            fields = line.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.log.close()


def write(path, pause, ended, said):
    """An application in a process of its own: it reads a row and changes it in
    one transaction, with pauses between them.  No timeout helps where another
    program commits in between: those are refused."""
    db = connect(path)
    db.execute("INSERT INTO contacts VALUES('written', '0', NULL, NULL)")
    written = refused = 0
    while not ended.wait(pause):
        try:
            db.execute("BEGIN")
            db.execute("SELECT * FROM contacts WHERE id = 'written'")
            db.execute("UPDATE contacts SET name = name + 1 "
                       "WHERE id = 'written'")
            db.execute("COMMIT")
            written += 1
        except sqlite3.OperationalError:
            if db.in_transaction:
                db.execute("ROLLBACK")
            refused += 1
    db.close()
    said.put((written, refused))


class Writer:
    def __init__(self, path, pause):
        self.ended = multiprocessing.Event()
        self.said = multiprocessing.Queue()
        self.process = multiprocessing.Process(
            target=write, args=(path, pause, self.ended, self.said),
            daemon=True)

    def start(self):
        self.process.start()

    def stop(self):
        self.ended.set()
        self.written, self.refused = self.said.get()
        self.process.join()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, limit_s):
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            sys.exit("it did not end within %d s" % limit_s)
        time.sleep(0.05)


def holds(node, site, version):
    return int(node.status().get("vv", {}).get(site, 0)) >= version


def measure(options, directory):
    source = os.path.join(directory, "a.db")
    target = os.path.join(directory, "b.db")
    make(source, options.rows)
    make(target, 0)
    floor_s = floor(source, os.path.join(directory, "floor.db"))
    for path in (source, target):
        subprocess.run([options.grapevine, "track", path, "contacts"],
                       check=True, stdout=subprocess.DEVNULL)
    endpoint = "tcp://127.0.0.1:%d" % free_port()
    first = Node(options.grapevine, source, "--listen", endpoint)
    wait_for(lambda: first.status().get("running") and
             first.status()["journal"] == 0 and first.status()["vv"], 600)
    before = first.status()
    site, version = before["site"], int(before["vv"][before["site"]])
    cpu = first.cpu_s()
    writers = []
    began = time.monotonic()
    second = Node(options.grapevine, target, "--peer", endpoint)
    if options.write:
        writers = [Writer(path, options.write / 1000)
                   for path in (source, target)]
        for writer in writers:
            writer.start()
    wait_for(lambda: holds(second, site, version), 1200)
    seconds = time.monotonic() - began
    for writer in writers:
        writer.stop()
    figures = {
        "rows": options.rows, "seconds": round(seconds, 2),
        "rows/s": round(options.rows / seconds),
        "floor rows/s": round(options.rows / floor_s),
        "provider: peak MiB": round(first.peak_kib() / 1024, 1),
        "provider: processor s": round(first.cpu_s() - cpu, 2),
        "receiver: peak MiB": round(second.peak_kib() / 1024, 1),
        "receiver: processor s": round(second.cpu_s(), 2),
        "bytes a row": round(first.status()["counters"]["delta_bytes_sent"]
                             / options.rows, 1)}
    for writer, who in zip(writers, ("provider", "receiver")):
        tries = writer.written + writer.refused
        figures["%s: transactions beside" % who] = tries
        figures["%s: refused, %%" % who] = round(
            100 * writer.refused / max(tries, 1), 2)
    second.stop()
    first.stop()
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("grapevine")
    parser.add_argument("--rows", type=int, default=1000000)
    parser.add_argument("--write", type=float, default=0,
                        help="an application writes on both sides meanwhile, "
                        "with pauses of so many milliseconds")
    parser.add_argument("--directory", default=None)
    options = parser.parse_args()
    options.grapevine = os.path.abspath(options.grapevine)
    directory = tempfile.mkdtemp(prefix="catch-up-", dir=options.directory)
    try:
        figures = measure(options, directory)
    finally:
        shutil.rmtree(directory, True)
    for name, figure in figures.items():
        print("%-32s %12s" % (name, figure))


if __name__ == "__main__":
    main()
