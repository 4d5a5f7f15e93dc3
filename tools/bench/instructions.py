#!/usr/bin/env python3
"""Instructions that a seal, an extract and an apply take, a row.

    tools/bench/instructions.py build/release/tools/bench/bench-store [--rows 2000]

Runs bench-store under Callgrind, which counts what each call of the three
executes in this process.  The kernel's part is not in it, but no other work
of the machine is either: the same build gives the same figures within
half a percent."""

import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile

# The calls of one round, as measure_round() of store_figures.c makes them,
# and what part of the rows each is about.
CALLS = [("seal, new rows", 1), ("extract all", 1),
         ("apply into an empty file", 1), ("re-apply", 1),
         ("seal, a column of every 2nd row", 2),
         ("extract, a column of every 2nd row", 2),
         ("apply, a column of every 2nd row", 2)]
SHAPES = ["5 columns", "5, ascending", "20 columns", "integer key"]
FUNCTIONS = ["tracked_seal", "tracked_extract", "tracked_apply"]


def dumps(directory):
    """The counts of the calls, in order."""
    found = {}
    for path in glob.glob(os.path.join(directory, "counts.*")):
        number = path.rsplit(".", 1)[1]
        with open(path, encoding="utf-8") as file:
            text = file.read()
        called = re.search(r"^desc: Trigger: --dump-after=(\w+)", text, re.M)
        total = re.search(r"^(?:totals|summary): (\d+)", text, re.M)
        if called and total:
            found[int(number)] = int(total.group(1))
    return [found[number] for number in sorted(found)]


def count(program, shape, rows):
    with tempfile.TemporaryDirectory() as directory:
        command = ["valgrind", "--tool=callgrind",
                   "--callgrind-out-file=" + os.path.join(directory, "counts")]
        for function in FUNCTIONS:
            # What lies between the two is the call and nothing else.
            command += ["--dump-before=" + function,
                        "--dump-after=" + function]
        command += [program, "--dir", directory, "--rows", str(rows),
                    "--rounds", "1", "--only", shape]
        done = subprocess.run(command, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True, check=False)
        counts = dumps(directory)
    if done.returncode != 0 or len(counts) < len(CALLS):
        sys.exit("valgrind gave no counts:\n" + done.stderr)
    return [found * part / rows
            for found, (_, part) in zip(counts, CALLS)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("program", help="bench-store, of a release build")
    parser.add_argument("--rows", type=int, default=2000)
    options = parser.parse_args()
    columns = [count(options.program, shape, options.rows) for shape in SHAPES]
    print("%-36s" % ("instructions a row, %d rows" % options.rows)
          + "".join("%14s" % shape for shape in SHAPES))
    for i, (name, _) in enumerate(CALLS):
        print("%-36s" % name
              + "".join("%14.0f" % column[i] for column in columns))


if __name__ == "__main__":
    main()
