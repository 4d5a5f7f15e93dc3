"""Scenarios, several times each, and a table of how it went."""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import scenario as scenarios
from hosts import libc, SET_PARENT_DEATH_SIGNAL


def die_politely():
    """Runs in the child: it is to clean up when the campaign is gone."""
    libc.prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)


class Run:
    def __init__(self, command, name, time_number, options, directory):
        self.name = name
        stem = os.path.join(directory, "%s-%d" % (os.path.basename(name),
                                                  time_number))
        self.figures_file, self.output = stem + ".json", stem + ".log"
        arguments = [sys.executable, command, name, "--figures",
                     self.figures_file, "--seed",
                     str(options.seed + time_number), "--wait",
                     str(options.wait), "--rate", str(options.rate),
                     "--grapevine", options.grapevine, "--gvproxy",
                     options.gvproxy, "--clock", options.clock]
        if options.network:
            arguments += ["--network", options.network]
        with open(self.output, "w", encoding="utf-8") as output:
            self.process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, preexec_fn=die_politely)

    def is_over(self):
        return self.process.poll() is not None

    def finish(self):
        """Its figures; what it said if it failed."""
        with open(self.output, encoding="utf-8") as file:
            said = file.read()
        if self.process.returncode == 0:
            with open(self.figures_file, encoding="utf-8") as file:
                return json.load(file)
        print("%s FAILED:\n%s" % (self.name, said), flush=True)
        name = os.path.basename(self.name).removesuffix(".scenario")
        return {"scenario": name, "network": "-", "writes": 0,
                "reasons": [said.strip().splitlines()[-1] if said else "?"]}


def play_all(names, options, command, directory):
    waiting = [(name, number) for number in range(options.times)
               for name in names]
    running, outcomes = [], []
    try:
        while waiting or running:
            while waiting and len(running) < options.jobs:
                running.append(Run(command, *waiting.pop(0), options,
                                   directory))
            for run in [run for run in running if run.is_over()]:
                running.remove(run)
                outcomes.append(run.finish())
                if not outcomes[-1]["reasons"]:
                    print("%-20s passed, equal after %.2f s"
                          % (run.name, outcomes[-1]["converged"]), flush=True)
            time.sleep(0.05)
    finally:
        for run in running:
            run.process.terminate()
        for run in running:
            run.process.wait()
    return outcomes


def table(outcomes):
    """The rows of a Markdown table, a line a scenario."""
    lines = ["| scenario | network | runs passed | writes | caught up, s:"
             " median / most | equal, s: median / most |",
             "| --- | --- | --- | --- | --- | --- |"]
    for name in sorted({outcome["scenario"] for outcome in outcomes}):
        mine = [o for o in outcomes if o["scenario"] == name]
        good = [o for o in mine if not o["reasons"]]
        lines.append("| %s | %s | %d of %d | %d | %s | %s |" % (
            name, ", ".join(sorted({o["network"] for o in good})) or "-",
            len(good), len(mine), sum(o["writes"] for o in good),
            figure([t for o in good for t in o["caught_up"]]),
            figure([o["converged"] for o in good])))
    return lines


def figure(times):
    return "%.2f / %.2f" % (statistics.median(times), max(times)) \
        if times else "-"


def campaign(options, command):
    """Play the one that is named or all; the exit code."""
    names = [options.scenario] if options.scenario else scenarios.names()
    with tempfile.TemporaryDirectory(prefix="grapevine-partition-") as place:
        outcomes = play_all(names, options, command, place)
    print("\n" + "\n".join(table(outcomes)))
    failed = sum(bool(outcome["reasons"]) for outcome in outcomes)
    print("verdict: %d of %d runs passed" % (len(outcomes) - failed,
                                             len(outcomes)))
    return 1 if failed else 0
