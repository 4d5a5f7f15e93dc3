#!/usr/bin/env python3
"""Judge a run by its ledger alone: oracle.py FILE (or - for standard input).

The ledger (gvsim --ledger FILE) has what was published, with the vector that
each publication had seen; which transactions of programs returned; and what
the machines hold and show at the end.  This program works out what they must
show, cell by cell, as the largest over all that was written, and knows nothing
of how the nodes, or the simulator, get there.

Exit code 0: all is as it must be; 1: something is not, named on the first
line; 2: this is no ledger.
"""

import collections
import json
import sys


class Wrong(Exception):
    """The first difference."""


class NoLedger(Exception):
    """What is read is not a ledger."""


def read(lines):
    """The objects of a ledger by kind."""
    ledger = collections.defaultdict(list)
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            ledger[entry["kind"]].append(entry)
        except (ValueError, KeyError, TypeError) as error:
            raise NoLedger(f"line {number}: {error}") from error
    if not ledger["table"] or not ledger["machine"]:
        raise NoLedger("it names no table or no machine")
    return ledger


def versions(vector):
    return {site: int(version) for site, version in vector.items()}


def check_publications(publications):
    """One site and version is one content, above all that was seen."""
    ends = collections.defaultdict(list)
    for publication in publications:
        first, last = int(publication["from"]), int(publication["to"])
        site, seen = publication["site"], versions(publication["seen"])
        name = f"publication {last} of {site}"
        if seen.get(site, 0) != first:
            raise Wrong(f"{name} does not follow what its site had")
        for change in publication["changes"]:
            version = int(change["version"])
            if version <= max(seen.values(), default=0) or version > last:
                raise Wrong(f"{name}: version {version} is not above all"
                            " that was seen")
        ends[site].append((first, last))
    for site, intervals in ends.items():
        intervals.sort()
        for before, after in zip(intervals, intervals[1:]):
            if after[0] < before[1]:
                raise Wrong(f"{site} published over its own"
                            f" {before[1]} from {after[0]}")


def check_vector(machine, publications):
    """A vector stands at ends of publications and holds their causes."""
    vector, name = versions(machine["vv"]), f"n{machine['index']}"
    ends = {(p["site"], int(p["to"])) for p in publications}
    for site, version in vector.items():
        if (site, version) not in ends:
            raise Wrong(f"{name} holds {site} up to {version}, where no"
                        " publication ends")
    for publication in publications:
        if vector.get(publication["site"], 0) < int(publication["to"]):
            continue
        for site, version in versions(publication["seen"]).items():
            if vector.get(site, 0) < version:
                raise Wrong(f"{name} holds {publication['to']} of"
                            f" {publication['site']} without its cause"
                            f" {version} of {site}")


def operations(machine, publications):
    """All that the machine's vector covers, by row."""
    vector = versions(machine["vv"])
    rows = collections.defaultdict(list)
    for publication in publications:
        if vector.get(publication["site"], 0) < int(publication["to"]):
            continue
        for change in publication["changes"]:
            stamp = int(change["version"]), publication["site"]
            rows[change["table"], change["key"]].append(
                (change["length"], stamp, change["cells"]))
    return rows


def total(before, added):
    """Integers as the ledger writes them: i5."""
    return f"i{int(before[1:]) + sum(int(cell[1:]) for cell in added)}"


def row_of(writes, defaults, sums):
    """What a row must show, None if it is deleted."""
    life = max(length for length, _, _ in writes)
    if life % 2 == 0:
        return None
    row = {}
    for column, default in defaults.items():
        of_this = [(stamp, cells[column]) for length, stamp, cells in writes
                   if length == life and column in cells]
        row[column] = max(of_this)[1] if of_this else default
        if column in sums:
            row[column] = total(default, [cell for _, cell in of_this])
    return row


def check_tables(machine, publications, tables, sums):
    name = f"n{machine['index']}"
    expected = {table: {} for table in tables}
    for (table, key), writes in operations(machine, publications).items():
        row = row_of(writes, tables[table], sums[table])
        if row is not None:
            expected[table][key] = row
    for table in tables:
        shown = machine["tables"].get(table, {})
        for key in sorted(set(shown) | set(expected[table])):
            if key not in shown:
                raise Wrong(f"{name}: row {key} of {table} is alive, and is"
                            " not there")
            if key not in expected[table]:
                raise Wrong(f"{name}: row {key} of {table} is there, and"
                            " nothing that is held says so")
            for column, value in expected[table][key].items():
                if shown[key].get(column) != value:
                    raise Wrong(f"{name}: column {column} of row {key} of"
                                f" {table} is {shown[key].get(column)}, not"
                                f" {value}")


def check_forbidden(machine):
    """What needs no ledger to be wrong."""
    name = f"n{machine['index']}"
    for key, row in machine["tables"].get("pair", {}).items():
        if row["x"] != row["y"]:
            raise Wrong(f"{name}: row {key} of pair is torn: {row['x']},"
                        f" {row['y']}")
    for key in machine["tables"].get("log", {}):
        if key.startswith("tnever"):
            raise Wrong(f"{name}: row {key} of log was rolled back")


def check_transaction(transaction, machines):
    if not transaction["required"]:
        return
    name = (f"transaction #{transaction['number']} of program"
            f" {transaction['program']}")
    if "to" not in transaction:
        raise Wrong(f"{name} was never sealed")
    for machine in machines:
        held = versions(machine["vv"]).get(transaction["site"], 0)
        if held < int(transaction["to"]):
            raise Wrong(f"{name} is not held by n{machine['index']}")
        log = f"tp{transaction['program']}-{transaction['number']}"
        if (transaction["number"] % 3 == 0
                and log not in machine["tables"].get("log", {})):
            raise Wrong(f"{name} has no row in the log of"
                        f" n{machine['index']}")


def judge(ledger):
    tables = {table["name"]: table["defaults"] for table in ledger["table"]}
    sums = {table["name"]: table["sums"] for table in ledger["table"]}
    publications, machines = ledger["publication"], ledger["machine"]
    check_publications(publications)
    for machine in machines:
        if machine["vv"] != machines[0]["vv"]:
            raise Wrong(f"n{machine['index']} and n{machines[0]['index']}"
                        " do not hold the same")
        check_vector(machine, publications)
        check_tables(machine, publications, tables, sums)
        check_forbidden(machine)
    for transaction in ledger["transaction"]:
        check_transaction(transaction, machines)
    return (f"{len(machines)} machines show what {len(publications)}"
            f" publications say; {len(ledger['transaction'])} transactions"
            " are accounted for")


def main(arguments):
    if arguments in (["-h"], ["--help"]):
        print(__doc__.strip())
        return 0
    if len(arguments) != 1:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    try:
        if arguments[0] == "-":
            ledger = read(sys.stdin)
        else:
            with open(arguments[0], encoding="utf-8") as lines:
                ledger = read(lines)
        print(judge(ledger))
        return 0
    except Wrong as wrong:
        print(wrong)
        return 1
    except (NoLedger, OSError, KeyError, AttributeError) as error:
        print(f"{arguments[0]} is no ledger: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
