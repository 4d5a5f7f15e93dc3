"""gvsim from outside: what it prints first, how it ends, that a seed is one
run and one run only."""
import os
import re
import subprocess
import tempfile
import unittest

GVSIM = os.environ["GVSIM"]


def gvsim(*arguments):
    done = subprocess.run([GVSIM, *map(str, arguments)], capture_output=True,
                          text=True, errors="replace", check=False)
    return done.returncode, done.stdout, done.stderr


def trace_of(out):
    return re.search(r"^  trace ([0-9a-f]{16})$", out, re.M)[1]


class Gvsim(unittest.TestCase):
    maxDiff = None

    def test_help_teaches(self):
        code, out, err = gvsim("--help")
        self.assertEqual((code, err), (0, ""))
        for word in ("--seed", "--seeds", "--shrink", "--script", "--with",
                     "Exit codes: 0"):
            self.assertIn(word, out)
        self.assertLessEqual(max(map(len, out.splitlines())), 79)

    def test_the_list_names_classes_and_what_they_wait_for(self):
        code, out, err = gvsim("--list")
        self.assertEqual((code, err), (0, ""))
        classes = re.findall(r"^  ?(?: |\d)\d ([a-z-]+) ", out, re.M)
        self.assertGreaterEqual(len(classes), 34)
        self.assertGreaterEqual(len(classes) - out.count("waits for"), 16)
        self.assertGreaterEqual(
            len(set(re.findall(r"^ *(I\d+b?)\b", out, re.M))), 20)
        for heading in ("Invariants:", "Scenarios", "Planted bugs"):
            self.assertIn(heading, out)

    def test_wrong_usage_ends_with_2_and_says_why(self):
        for arguments, words in [
                (["--nonsense"], "nonsense"),
                (["extra"], "'extra' is not an option"),
                (["--seed", "x"], "--seed takes a number"),
                (["--seed", "-1"], "--seed takes a number"),
                (["--seeds", "5..4"], "A not above B"),
                (["--seeds", "0"], "how many"),
                (["--nodes", "2"], "from 3 to 1000"),
                (["--nodes", "1001"], "from 3 to 1000"),
                (["--minutes", "0"], "above 0"),
                (["--with", "sabotage"], "no class of faults 'sabotage'"),
                (["--with", "malice"], "wait for"),
                (["--with", "kill", "--without", "kill"], "both on and off"),
                (["--seeds", "3", "--trace"], "one run"),
                (["--plant", "sabotage"], "no plant 'sabotage'"),
                (["--script", "/nonexistent"], "/nonexistent"),
                (["--scenario", "sabotage"], "sabotage")]:
            with self.subTest(arguments=arguments):
                code, out, err = gvsim(*arguments)
                self.assertEqual(code, 2)
                self.assertIn(words, out + err)

    def test_the_first_line_is_the_seed(self):
        code, out, _ = gvsim("--seed", 3)
        self.assertEqual(code, 0, out)
        self.assertEqual(out.splitlines()[0], "seed 3")
        self.assertIn("all holds", out)
        out = gvsim("--seed", 3, "--only", "none", "--ops", 5)[1]
        self.assertEqual(out.splitlines()[0], "seed 3")

    def test_without_a_seed_one_is_drawn_and_can_be_used_again(self):
        shape = ["--ops", 20, "--minutes", 0.2]
        first = gvsim(*shape)[1]
        seed = re.match(r"seed (\d+)\n", first)[1]
        self.assertEqual(gvsim("--seed", seed, *shape)[1], first)

    def test_one_seed_is_one_trace_and_another_seed_another(self):
        shape = ["--ops", 60, "--minutes", 0.5]
        traces = [trace_of(gvsim("--seed", seed, *shape)[1])
                  for seed in (11, 11, 12)]
        self.assertEqual(traces[0], traces[1])
        self.assertNotEqual(traces[0], traces[2])
        code, out, _ = gvsim("--seed", 11, "--twice", *shape)
        self.assertEqual(code, 0, out)
        self.assertEqual(trace_of(out), traces[0])

    def test_following_a_run_does_not_change_it(self):
        shape = ["--seed", 11, "--ops", 60, "--minutes", 0.5]
        plain, followed = gvsim(*shape)[1], gvsim("--trace", *shape)[1]
        self.assertEqual(trace_of(plain), trace_of(followed))
        self.assertGreater(len(followed.splitlines()),
                           len(plain.splitlines()) + 60)

    def test_a_saved_script_is_the_same_run(self):
        with tempfile.TemporaryDirectory() as directory:
            saved = os.path.join(directory, "saved")
            again = os.path.join(directory, "again")
            first = gvsim("--seed", 12, "--minutes", 0.5, "--save", saved)[1]
            second = gvsim("--script", saved, "--save", again)[1]
            self.assertEqual(first, second)
            with open(saved, encoding="utf-8") as a, \
                    open(again, encoding="utf-8") as b:
                self.assertEqual(a.read(), b.read())

    def test_a_script_that_is_wrong_names_its_line(self):
        with tempfile.NamedTemporaryFile("w") as script:
            script.write("seed 1\nmesh nodes=3 sector=512\n1.0 sing\n")
            script.flush()
            code, _, err = gvsim("--script", script.name)
        self.assertEqual(code, 2)
        self.assertIn("line 3: there is no action 'sing'", err)

    def test_twenty_seeds_hold_and_are_reported_in_their_order(self):
        code, out, _ = gvsim("--seeds", "1..20", "--jobs", 2, "--ops", 100,
                             "--minutes", 0.5)
        self.assertEqual(code, 0, out)
        lines = out.splitlines()
        self.assertEqual(lines[0], "seeds 1..20")
        self.assertEqual([line.split(":")[0] for line in lines[1:21]],
                         ["seed %d" % seed for seed in range(1, 21)])
        self.assertRegex(out, r"20 seeds in .* 0 failures")
        self.assertRegex(out, r"a minute of real time: .* node-hours")
        quiet = gvsim("--seeds", "1..2", "--quiet", "--ops", 20, "--minutes",
                      0.1)[1]
        self.assertNotIn("holds", quiet)

    def test_many_seeds_are_the_runs_of_each_one(self):
        shape = ["--ops", 60, "--minutes", 0.5]
        out = gvsim("--seeds", "40..42", *shape)[1]
        for seed in range(40, 43):
            trace = re.search(r"seed %d: holds, .* trace (\w+)" % seed, out)[1]
            self.assertEqual(trace_of(gvsim("--seed", seed, *shape)[1]), trace)

    def test_over_fifty_nodes_the_model_is_used_and_named(self):
        code, out, _ = gvsim("--seed", 1, "--nodes", 60, "--minutes", 0.1,
                             "--only", "frames")
        self.assertEqual(code, 0, out)
        self.assertIn("model of a store", out)


if __name__ == "__main__":
    unittest.main()
