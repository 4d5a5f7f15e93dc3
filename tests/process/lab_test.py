"""The lab: every topology, its state, its end."""
import os
import signal
import unittest

from mesh import Case, execute, run, status, wait_until

SELECT = "SELECT id, name FROM contacts ORDER BY id"


class Lab(Case):
    def setUp(self):
        super().setUp()
        self.lab = self.file("lab")
        # Runs before the directory goes.
        self.addCleanup(run, "lab", "down", "--dir", self.lab)

    def up(self, count, *options):
        code, out, err = run("lab", "up", str(count), "--dir", self.lab,
                             *options)
        self.assertEqual(code, 0, err)
        return out

    def path(self, number):
        return os.path.join(self.lab, "%d.db" % number)

    def down(self):
        return run("lab", "down", "--dir", self.lab)[0]

    def check(self, topology, degrees):
        count = len(degrees)
        self.up(count, "--topology", topology)
        for i, degree in enumerate(degrees):
            links = status(self.path(i + 1))["links"]
            self.assertEqual(sum(l["state"] == "up" for l in links), degree)
        execute(self.path(1),
                "INSERT INTO contacts(id, name) VALUES('ann', 'Ann')")
        for i in range(count):
            wait_until(lambda: execute(self.path(i + 1), SELECT)
                       == [("ann", "Ann")], "the row in %d.db" % (i + 1))
        wait_until(lambda: "All nodes are equal." in run(
            "lab", "status", "--dir", self.lab)[1], "equality")
        self.assertEqual(self.down(), 0)

    def test_full(self):
        self.check("full", [3, 3, 3, 3])

    def test_line(self):
        self.check("line", [1, 2, 2, 1])

    def test_ring(self):
        self.check("ring", [2, 2, 2, 2])

    def test_star(self):
        self.check("star", [3, 1, 1, 1])

    def test_a_ring_of_two_and_a_lab_of_one(self):
        self.check("ring", [1, 1])
        self.lab = self.file("one")
        self.addCleanup(run, "lab", "down", "--dir", self.lab)
        self.check("full", [0])

    def test_a_lab_that_is_down_comes_up_with_its_data(self):
        self.up(2)
        execute(self.path(1), "INSERT INTO contacts(id) VALUES('ann')")
        self.assertEqual(self.down(), 0)
        self.assertEqual(run("lab", "status", "--dir", self.lab)[0], 3)
        self.assertEqual(self.down(), 3)
        execute(self.path(2), "INSERT INTO contacts(id) VALUES('bob')")
        self.up(2)
        wait_until(lambda: execute(self.path(1), SELECT)
                   == [("ann", None), ("bob", None)], "both rows")

    def test_a_running_lab_is_not_started_again(self):
        self.up(2)
        code, _, err = run("lab", "up", "2", "--dir", self.lab)
        self.assertEqual(code, 1)
        self.assertIn("runs already", err)
        self.assertEqual(run("lab", "status", "--dir", self.lab)[0], 0)

    def test_another_shape_is_refused(self):
        self.up(2)
        self.assertEqual(self.down(), 0)
        code, _, err = run("lab", "up", "3", "--dir", self.lab)
        self.assertEqual(code, 1)
        self.assertIn("lab up 2", err)

    def test_status_names_a_node_that_is_gone(self):
        self.up(3)
        os.kill(status(self.path(2))["pid"], signal.SIGKILL)
        wait_until(lambda: "does not answer" in run(
            "lab", "status", "--dir", self.lab)[1], "the missing node")
        code, out, _ = run("lab", "status", "--dir", self.lab)
        self.assertEqual(code, 0)
        self.assertIn("The nodes are not equal.", out)


if __name__ == "__main__":
    unittest.main()
