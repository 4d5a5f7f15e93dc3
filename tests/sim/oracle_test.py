"""The oracle finds what is wrong with a ledger, and nothing in a right one."""

import copy
import json
import os
import subprocess
import sys
import tempfile
import unittest

ORACLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..",
                      "sim", "ledger", "oracle.py")
A, B = "a" * 32, "b" * 32


def change(table, key, version, length, **cells):
    return {"table": table, "key": key, "version": str(version),
            "length": length, "cells": cells}


def publication(site, first, last, seen, *changes):
    return {"kind": "publication", "site": site, "from": str(first),
            "to": str(last), "seen": {s: str(v) for s, v in seen.items()},
            "changes": list(changes)}


def right():
    """Two machines wrote one cell apart (equal versions: the larger site
    wins), then one deleted a row and brought it back."""
    tables = {"t": {"tk": {"a": "i2", "b": "i7"}, "tl": {"a": "null",
                                                         "b": "i1"}},
              "pair": {"i1": {"x": "i5", "y": "i5"}},
              "log": {"tp0-3": {}}}
    vector = {A: "40", B: "20"}
    return [
        {"kind": "table", "name": "t", "defaults": {"a": "null", "b": "i7"},
         "sums": []},
        {"kind": "table", "name": "pair",
         "defaults": {"x": "null", "y": "null"}, "sums": []},
        {"kind": "table", "name": "log", "defaults": {}, "sums": []},
        publication(A, 0, 20, {}, change("t", "tk", 20, 1, a="i1"),
                    change("t", "tl", 10, 1, a="i9")),
        publication(B, 0, 20, {}, change("t", "tk", 20, 1, a="i2"),
                    change("pair", "i1", 20, 1, x="i5", y="i5")),
        publication(A, 20, 30, {A: 20, B: 20}, change("t", "tl", 30, 2)),
        publication(A, 30, 40, {A: 30, B: 20},
                    change("t", "tl", 40, 3, b="i1"),
                    change("log", "tp0-3", 40, 1)),
        {"kind": "transaction", "machine": 0, "program": 0, "number": 3,
         "durable": True, "required": True, "site": A, "to": "40"},
        {"kind": "machine", "index": 0, "vv": vector, "tables": tables},
        {"kind": "machine", "index": 1, "vv": dict(vector),
         "tables": copy.deepcopy(tables)},
    ]


def judge(text):
    done = subprocess.run([sys.executable, ORACLE, "-"], input=text,
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def judge_ledger(ledger):
    return judge("".join(json.dumps(entry) + "\n" for entry in ledger))


class OracleTest(unittest.TestCase):
    def assert_wrong(self, ledger, says):
        code, output = judge_ledger(ledger)
        self.assertIn(says, output)
        self.assertEqual(code, 1)

    def with_row(self, table, key, row):
        ledger = right()
        if row is None:
            del ledger[9]["tables"][table][key]
        else:
            ledger[9]["tables"][table][key] = row
        return ledger

    def test_a_right_ledger_passes(self):
        code, output = judge_ledger(right())
        self.assertEqual((code, output[:31]),
                         (0, "2 machines show what 4 publicati"[:31]))

    def test_the_order_of_publications_does_not_matter(self):
        ledger = right()
        ledger[3:7] = reversed(ledger[3:7])
        self.assertEqual(judge_ledger(ledger)[0], 0)

    def test_a_wrong_cell(self):
        ledger = self.with_row("t", "tk", {"a": "i1", "b": "i7"})
        self.assert_wrong(ledger, "column a of row tk of t is i1, not i2")

    def test_a_cell_of_an_old_life(self):
        ledger = self.with_row("t", "tl", {"a": "i9", "b": "i1"})
        self.assert_wrong(ledger, "column a of row tl of t is i9, not null")

    def test_a_lost_row(self):
        self.assert_wrong(self.with_row("t", "tk", None),
                          "n1: row tk of t is alive, and is not there")

    def test_a_resurrected_row(self):
        ledger = right()
        ledger[6]["changes"][0] = change("t", "tx", 40, 1)
        self.assert_wrong(ledger, "n0: row tl of t is there, and nothing")

    def test_a_torn_pair(self):
        ledger = right()
        ledger[4]["changes"][1]["cells"]["y"] = "i6"
        for machine in ledger[8:]:
            machine["tables"]["pair"]["i1"]["y"] = "i6"
        self.assert_wrong(ledger, "row i1 of pair is torn: i5, i6")

    def test_a_row_that_was_rolled_back(self):
        ledger = right()
        ledger[6]["changes"].append(change("log", "tneverp0-1", 40, 1))
        for machine in ledger[8:]:
            machine["tables"]["log"]["tneverp0-1"] = {}
        self.assert_wrong(ledger, "was rolled back")

    def test_machines_that_hold_different_things(self):
        ledger = right()
        ledger[9]["vv"][A] = "30"
        self.assert_wrong(ledger, "n1 and n0 do not hold the same")

    def test_a_claim_of_what_was_never_published(self):
        ledger = right()
        for machine in ledger[8:]:
            machine["vv"][A] = "41"
        self.assert_wrong(ledger, "where no publication ends")

    def test_an_effect_without_its_cause(self):
        ledger = right()
        for machine in ledger[8:]:
            machine["vv"] = {A: "40"}
            machine["tables"] = {}
        self.assert_wrong(ledger, "without its cause")

    def test_a_version_not_above_what_was_seen(self):
        ledger = right()
        ledger[5]["changes"][0]["version"] = "20"
        self.assert_wrong(ledger, "version 20 is not above all")

    def test_a_version_issued_twice(self):
        ledger = right()
        ledger.insert(4, publication(A, 0, 25, {},
                                     change("t", "tk", 25, 1, a="i3")))
        self.assert_wrong(ledger, "published over its own")

    def test_a_transaction_that_nobody_holds(self):
        ledger = right()
        ledger[7]["to"] = "50"
        self.assert_wrong(ledger, "#3 of program 0 is not held by n0")

    def test_a_transaction_that_was_never_sealed(self):
        ledger = right()
        del ledger[7]["to"]
        self.assert_wrong(ledger, "#3 of program 0 was never sealed")

    def test_a_transaction_without_its_row_in_the_log(self):
        ledger = right()
        ledger[7]["number"] = 6
        self.assert_wrong(ledger, "has no row in the log")

    def test_one_that_need_not_be_held_is_not_asked_for(self):
        ledger = right()
        ledger[7].update(to="50", required=False)
        self.assertEqual(judge_ledger(ledger)[0], 0)

    def test_no_ledger(self):
        for text in ("", "what?\n", "[]\n", '{"kind":"table"}\n'):
            self.assertEqual(judge(text)[0], 2)


@unittest.skipUnless("GVSIM" in os.environ, "GVSIM names no program")
class RunTest(unittest.TestCase):
    """Ledgers as the simulator writes them."""

    def run_seed(self, seed):
        with tempfile.NamedTemporaryFile("r", suffix=".json") as ledger:
            subprocess.run([os.environ["GVSIM"], "--seed", str(seed),
                            "--only", "partition,kill,power,program,hot",
                            "--ops", "150", "--minutes", "1",
                            "--ledger", ledger.name],
                           capture_output=True, check=True)
            return [json.loads(line) for line in ledger]

    def test_what_the_simulator_accepts_the_oracle_accepts(self):
        for seed in range(1, 4):
            code, output = judge_ledger(self.run_seed(seed))
            self.assertEqual(code, 0, output)

    def test_one_publication_less_is_found(self):
        ledger = self.run_seed(4)
        last = [entry for entry in ledger if entry["kind"] == "publication"
                and entry["changes"]][-1]
        ledger.remove(last)
        self.assertEqual(judge_ledger(ledger)[0], 1)


if __name__ == "__main__":
    unittest.main()
