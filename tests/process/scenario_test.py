"""sim/partition: scenarios that pass, what it refuses, and that it leaves
nothing behind however it ends."""
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import unittest
import xml.dom.minidom

from lan import needs_namespaces
from mesh import GRAPEVINE, Case, wait_until

PARTITION = os.environ["PARTITION"]
PROGRAMS = ["--grapevine", GRAPEVINE, "--gvproxy", os.environ["GVPROXY"],
            "--clock", os.environ["GVCLOCK_LIBRARY"]]
SHORT = "nodes 2\nwrite 20\nsplit {1} {2} for 1s\n"
LONG = "nodes 2\nwrite 20\nwait 10m\n"
LIMIT_S = 240
NOBODY = 65534


def namespaces_of(pid):
    try:
        return [name for name in os.listdir("/run/netns")
                if name.startswith("gvlab-%d-" % pid)]
    except OSError:
        return []


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid),
              encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


def is_gone(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


class Lab(Case):
    def scenario(self, text, name="test.scenario"):
        path = self.file(name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def start(self, *arguments, python=sys.executable, **settings):
        """A run whose output is read as it comes."""
        return subprocess.Popen(
            [python, PARTITION, *arguments, *PROGRAMS, "--dir",
             self.file("runs")], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, **settings)

    def play(self, *arguments, **settings):
        """(exit code, what it said, its complaints); nothing is left."""
        process = self.start(*arguments, **settings)
        out, err = process.communicate(timeout=LIMIT_S)
        self.assertEqual(namespaces_of(process.pid), [])
        return process.returncode, out, err

    def until(self, process, words):
        """Read what `process` says until a line has `words`."""
        for line in process.stdout:
            if words in line:
                return
        self.fail("it never said '%s': %s" % (words, process.stderr.read()))

    def fake(self, program, script):
        """PATH with a `program` before the real one."""
        place = self.file("fake")
        os.makedirs(place, exist_ok=True)
        with open(os.path.join(place, program), "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\n%s\n" % script)
        os.chmod(f.name, 0o755)
        return dict(os.environ, PATH=place + ":" + os.environ["PATH"])

    def passes(self, *arguments):
        code, out, err = self.play(*arguments)
        self.assertEqual((code, err), (0, ""), out)
        self.assertIn("verify finds nothing wrong", out)
        self.assertEqual(os.listdir(self.file("runs")), [])
        return out


class Scenarios(Lab):
    def test_kill_in_the_middle_behind_the_proxy(self):
        out = self.passes("kill-in-the-middle", "--network", "proxy")
        self.assertIn("loopback, each link through gvproxy", out)
        self.assertIn("no row of the other groups crossed the cut", out)

    def test_a_backup_that_is_put_back_while_away(self):
        out = self.passes("restored-while-away")
        self.assertIn("more stood only in a file that was replaced", out)

    def test_a_clock_that_is_ahead(self):
        self.passes("clock-ahead")

    @needs_namespaces
    def test_a_cable_on_a_lan_without_lists(self):
        out = self.passes("cable-on-the-lan")
        self.assertIn("a network namespace a node, on a bridge", out)

    @needs_namespaces
    def test_slow_links_are_asked_of_netem(self):
        """What tc is told; kernels without netem are tested with this too,
        so it is not the real one that is told."""
        told = self.file("told")
        env = self.fake("tc", 'echo "tc $*" >> {0}\ncase "$*" in *-batch*)'
                        " cat >> {0};; esac".format(told))
        path = self.scenario("nodes 2\ndelay 1 2 50ms for 1s\n"
                             "at 500ms loss 1 2 5% for 500ms\n")
        self.assertEqual(self.play(path, "--network", "namespaces",
                                   env=env)[0], 0)
        with open(told, encoding="utf-8") as file:
            lines = file.read()
        for peer in (1, 2):
            self.assertIn("match ip dst 10.0.0.%d/32 flowid 1:2" % peer,
                          lines)
        for words in ("prio bands 2 priomap" + 16 * " 0" + "\n",
                      "parent 1:2 netem delay 50ms loss 0%\n",
                      "parent 1:2 netem delay 50ms loss 5%\n"):
            self.assertEqual(lines.count(words) % 2, 0)
            self.assertIn(words, lines)
        self.assertTrue(lines.endswith("qdisc del dev eth0 root\n"), lines)

    def test_a_short_one_is_drawn_and_has_figures(self):
        svg, figures = self.file("a.svg"), self.file("a.json")
        self.passes(self.scenario(SHORT), "--svg", svg, "--figures", figures)
        drawing = xml.dom.minidom.parse(svg)
        self.assertGreater(len(drawing.getElementsByTagName("circle")), 4)
        with open(figures, encoding="utf-8") as file:
            told = json.load(file)
        self.assertEqual(told["reasons"], [])
        self.assertGreater(told["writes"], 60)


class Clock(Lab):
    def test_the_wall_clock_of_a_process_is_moved_and_moved_back(self):
        """Python's, and SQLite's; not the one that waiting goes by."""
        offset = self.file("clock")
        with open(offset, "wb") as file:
            file.write(struct.pack("=q", 3600 * 1000))
        look = ("import sqlite3, time, sys\n"
                "for line in sys.stdin:\n"
                "    day = sqlite3.connect('').execute("
                "'SELECT julianday(\"now\")').fetchone()[0]\n"
                "    print(time.time(), (day - 2440587.5) * 86400,"
                " time.monotonic(), flush=True)\n")
        asan = "verify_asan_link_order=0"
        with subprocess.Popen(
                [sys.executable, "-c", look], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, text=True, env=dict(
                    os.environ, LD_PRELOAD=PROGRAMS[-1], GVCLOCK=offset,
                    ASAN_OPTIONS=asan)) as process:
            for ahead in (3600, 0, -60):
                with open(offset, "r+b") as file:
                    file.write(struct.pack("=q", ahead * 1000))
                process.stdin.write("now\n")
                process.stdin.flush()
                read = process.stdout.readline().split()
                # The machine may be slow between the two looks.
                for told, real in zip(map(float, read), (
                        time.time() + ahead, time.time() + ahead,
                        time.monotonic())):
                    self.assertAlmostEqual(told, real, delta=20)
            process.stdin.close()


class Refused(Lab):
    def refused(self, words, *arguments, **settings):
        code, out, err = self.play(*arguments, **settings)
        self.assertEqual((code, out), (2, ""))
        self.assertIn(words, err)
        self.assertNotIn("Traceback", err)
        self.assertFalse(os.path.exists(self.file("runs")))

    def test_an_unknown_word_is_named_with_its_line(self):
        path = self.scenario("nodes 2\nsplitt {1} {2}\n")
        self.refused(path + ":2: 'splitt': no statement begins so", path)

    def test_a_node_that_does_not_exist(self):
        path = self.scenario("nodes 2\nisolate 3 for 1s\n")
        self.refused(path + ":2: '3': the nodes are 1 to 2", path)

    def test_a_scenario_that_does_not_exist(self):
        self.refused("there are cable-on-the-lan", "no-such")

    def test_options_that_do_not_go_together(self):
        self.refused("is for one cut without", "paused-vm", "--nodes", "3")
        self.refused("--all takes no scenario", "paused-vm", "--all")

    def test_beacons_behind_the_proxy(self):
        self.refused("needs namespaces", "cable-on-the-lan", "--network",
                     "proxy")

    @needs_namespaces
    def test_namespaces_without_root(self):
        nobody = {"user": NOBODY, "group": NOBODY, "cwd": "/"}
        for python in (sys.executable, "/usr/bin/python3"):
            try:
                if subprocess.run([python, PARTITION, "--list"], check=False,
                                  capture_output=True, **nobody
                                  ).returncode == 0:
                    break
            except OSError:
                continue
        else:
            self.skipTest("without root neither python nor sources are read")
        self.refused("network namespaces need root", "paused-vm",
                     "--network", "namespaces", python=python, **nobody)

    @needs_namespaces
    def test_a_kernel_without_bridges(self):
        env = self.fake("ip", 'case "$*" in *"type bridge"*) echo'
                        ' "Error: Unknown device type." >&2; exit 2;; esac\n'
                        'exec %s "$@"' % shutil.which("ip"))
        self.refused("the kernel has no bridges", "paused-vm", "--network",
                     "namespaces", env=env)
        code, out, _ = self.play(self.scenario(SHORT), env=env)
        self.assertEqual(code, 0)
        self.assertIn("not in namespaces: the kernel has no bridges", out)
        self.assertIn("through gvproxy", out)

    @needs_namespaces
    def test_a_kernel_that_cannot_delay(self):
        env = self.fake("tc", "exit 2")
        self.refused("module sch_netem); try --network proxy", "slow-link",
                     "--network", "namespaces", env=env)


class Ended(Lab):
    def begin(self, network):
        run = self.start(self.scenario(LONG), "--network", network)
        self.addCleanup(run.communicate)
        self.addCleanup(run.kill)
        self.until(run, "write 20")
        mine = children(run.pid)
        self.assertGreaterEqual(len(mine), 4)
        return run, mine

    def terminated(self, network):
        run, mine = self.begin(network)
        run.send_signal(signal.SIGTERM)
        out, err = run.communicate(timeout=LIMIT_S)
        self.assertEqual((run.returncode, err), (1, ""))
        self.assertIn("verdict: FAILED: it was interrupted", out)
        self.assertTrue(all(is_gone(pid) for pid in mine))
        self.assertEqual(namespaces_of(run.pid), [])

    def test_kill_behind_the_proxy_leaves_nothing(self):
        self.terminated("proxy")

    @needs_namespaces
    def test_kill_in_namespaces_leaves_nothing(self):
        self.terminated("namespaces")

    @needs_namespaces
    def test_what_kill_9_leaves_the_next_run_removes(self):
        run, mine = self.begin("namespaces")
        run.kill()
        run.wait()
        wait_until(lambda: all(is_gone(pid) for pid in mine),
                   "nothing runs any more")
        self.assertEqual(len(namespaces_of(run.pid)), 3)
        out = self.play(self.scenario(SHORT, "next"))[1]
        self.assertIn("removed 3 namespaces of runs that were killed", out)
        self.assertEqual(namespaces_of(run.pid), [])

    def test_a_node_that_ends_by_itself_fails_the_run(self):
        run, mine = self.begin("proxy")
        for pid in mine:
            with open("/proc/%d/cmdline" % pid, "rb") as file:
                if b"node1" in file.read().split(b"\0"):
                    os.kill(pid, signal.SIGKILL)
        out, _ = run.communicate(timeout=LIMIT_S)
        self.assertEqual(run.returncode, 1)
        self.assertIn("node 1 ended by itself with code -9", out)


if __name__ == "__main__":
    unittest.main()
