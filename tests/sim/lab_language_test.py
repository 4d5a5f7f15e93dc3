"""The language of the partition lab's scenarios, and what is wrong in one."""
import unittest

import scenario
from scenario import Problem, parse


def read(*lines):
    return parse("\n".join(lines), "test", "test")


class Language(unittest.TestCase):
    def refused(self, *lines):
        with self.assertRaises(Problem) as caught:
            read(*lines)
        return str(caught.exception)

    def events(self, *lines):
        return [(at, what, statement.verb)
                for at, what, statement in read(*lines).events()]

    def test_statements_follow_one_another_but_those_at_a_time(self):
        self.assertEqual(
            self.events("wait 2s", "split {1} {2,3} for 500ms",
                        "at 1s kill -9 2", "pause 1 for 1m"),
            [(0, "begin", "wait"), (1, "begin", "kill"), (2, "end", "wait"),
             (2, "begin", "split"), (2.5, "end", "split"),
             (2.5, "begin", "pause"), (62.5, "end", "pause")])

    def test_a_flapping_link_goes_off_and_on(self):
        self.assertEqual(
            self.events("flap 1 {2,3} every 1s for 3500ms"),
            [(0, "begin", "flap"), (1, "off", "flap"), (2, "on", "flap"),
             (3, "off", "flap"), (3.5, "end", "flap")])

    def test_the_heading_is_the_title(self):
        found = read("# A laptop", "# goes away.", "", "wait 1s # a second")
        self.assertEqual(found.title, "A laptop goes away.")

    def test_topologies(self):
        for name, edges in (("full", [(1, 2), (1, 3), (1, 4), (2, 3), (2, 4),
                                      (3, 4)]),
                            ("line", [(1, 2), (2, 3), (3, 4)]),
                            ("ring", [(1, 2), (2, 3), (3, 4), (1, 4)]),
                            ("star", [(1, 2), (1, 3), (1, 4)])):
            found = read("nodes 4", "topology " + name, "wait 1s")
            self.assertEqual(found.edges(), edges)

    def test_an_unknown_word_is_named_with_what_is_allowed(self):
        said = self.refused("nodes 3", "", "splitt {1} {2}")
        self.assertIn("test:3: 'splitt': ", said)
        for word in ("split", "isolate", "one-way", "at"):
            self.assertIn(word, said)

    def test_each_wrong_word_is_named(self):
        for line, word, why in (
                ("split {1} {4}", "4", "the nodes are 1 to 3"),
                ("isolate 0", "0", "the nodes are 1 to 3"),
                ("kill two", "two", "the nodes are 1 to 3"),
                ("split {1,2} {2,3}", "{2,3}", "node 2 is named twice"),
                ("split {1,2} {3", "{3", "there is no }"),
                ("split {1,,2} {3}", "{1,,2}", "the nodes are"),
                ("split {1} {2} for", "for", "after it comes a time"),
                ("split {1} {2} for 10", "10", "a time, as in 10s"),
                ("split {1} {2} to 10s", "to", "is one of for"),
                ("split {1} {2} for 10s now", "now", "over before"),
                ("split {1}", "{1}", "after it comes nodes"),
                ("flap 1 2 every 1s", "1s", "after it comes what follows"),
                ("loss 1 2 5", "5", "as in 5%"),
                ("loss 1 2 95%", "95%", "0% to 90%"),
                ("delay 1 2 61s", "61s", "at most 60s"),
                ("clock 2 90s", "90s", "+90s or -5s"),
                ("kill -15 2", "-15", "is one of -9"),
                ("write many", "many", "0 to 1000"),
                ("wait 0s", "0s", "above 0"),
                ("wait 2h", "2h", "as in 10s"),
                ("at 3s wait 1s", "wait", "says nothing"),
                ("at 3s nodes 3", "nodes", "no statement begins so"),
                ("at 3s", "3s", "after it comes a statement"),
                ("nodes 1", "1", "2 to 32"),
                ("nodes 33", "33", "2 to 32"),
                ("topology tree", "tree", "full, line, ring, star, none"),
                ("start 1", "start", "node 1 runs already"),
                ("restore 1", "restore", "has no backup")):
            said = self.refused(line, "wait 1s")
            self.assertTrue(said.startswith("test:1: '%s': " % word), said)
            self.assertIn(why, said)

    def test_what_cannot_be_in_its_order_is_refused(self):
        for lines, why in (
                (("kill 2", "wait 1s", "kill 2"), "node 2 does not run"),
                (("pause 2 for 5s", "at 2s kill 2"), "node 2 is paused"),
                (("pause 2 for 5s", "at 2s write 5"), "node 2 is paused"),
                (("kill 2", "pause 2 for 1s"), "node 2 does not run"),
                (("wait 1s", "nodes 4"), "before everything that happens"),
                (("topology none", "wait 1s"), "nobody would ever meet"),
                (("topology line", "discover", "wait 1s"), "no topology"),
                (("nodes 3",), "nothing happens"),
                (("wait 50m", "wait 11m"), "over an hour")):
            self.assertIn(why, self.refused(*lines))

    def test_all_that_come_with_it_are_right(self):
        names = scenario.names()
        self.assertGreaterEqual(len(names), 10)
        for name in names:
            found = scenario.find(name)
            self.assertTrue(found.title)
            self.assertLessEqual(found.seconds, 30)


if __name__ == "__main__":
    unittest.main()
