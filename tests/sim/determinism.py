"""One seed is one run, whatever compiled it: the traces of gcc and clang, with
and without optimization and sanitizers, are equal.

Takes one seed in twenty of a campaign of 2,000, shortened so that the slowest
build is done in time."""
import concurrent.futures
import os
import re
import subprocess
import sys

BUILDS = os.environ["BUILDS"]
PRESETS = ("release", "debug", "clang", "asan")
SEEDS = range(20, 2001, 20)


def trace(preset, seed):
    gvsim = os.path.join(BUILDS, preset, "sim", "gvsim")
    done = subprocess.run(
        [gvsim, "--seed", str(seed), "--ops", "40", "--minutes", "0.3"],
        capture_output=True, text=True, errors="replace", check=False)
    found = re.search(r"^  trace ([0-9a-f]{16})$", done.stdout, re.M)
    return found[1] if found else "none: " + done.stderr[-200:]


def differing(seed):
    traces = {preset: trace(preset, seed) for preset in present}
    return seed, traces if len(set(traces.values())) > 1 else None


present = [preset for preset in PRESETS
           if os.path.exists(os.path.join(BUILDS, preset, "sim", "gvsim"))]
if len(present) < 2:
    sys.exit("build at least two of %s first: tools/build PRESET"
             % ", ".join(PRESETS))
with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    failed = [(seed, traces) for seed, traces in pool.map(differing, SEEDS)
              if traces]
for seed, traces in failed:
    print("seed %d: %s" % (seed, traces))
print("%d seeds in %s: %d differ" % (len(SEEDS), ", ".join(present),
                                     len(failed)))
sys.exit(1 if failed else 0)
