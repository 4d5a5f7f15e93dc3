"""What the partition lab's verdict takes for right and wrong, and what it
knows of who can reach whom."""
import types
import unittest
import xml.dom.minidom

import scenario
from drawing import draw
from network import State
from reach import Mark, Reach
from timeline import Timeline
from verdict import Verdict


def create(row, name, node=1, seq=1):
    return {"op": "create", "id": row, "node": node, "seq": seq,
            "columns": {"name": [None, name], "phone": [None, "p" + name],
                        "email": [None, "e" + name]}}


def edit(row, over, name, node=1, seq=2):
    return {"op": "edit", "id": row, "node": node, "seq": seq,
            "columns": {"name": [over, name]}}


def call(row, calls, node=1, seq=3):
    return {"op": "call", "id": row, "node": node, "seq": seq,
            "calls": calls}


def delete(row, node=1, seq=4):
    return {"op": "delete", "id": row, "node": node, "seq": seq}


def shown(row, name, calls=0, first="a"):
    return (row, name, "p" + first, "e" + first, calls)


class Verdicts(unittest.TestCase):
    def wrong(self, table, *ledger, doubtful=(), repeated=()):
        verdict = Verdict()
        verdict.check(table, ledger, lambda e: (e["node"], e["seq"])
                      not in doubtful, lambda e: (e["node"], e["seq"])
                      in repeated)
        self.verdict = verdict
        return "; ".join(verdict.wrong)

    def test_the_last_of_a_chain_is_right(self):
        self.assertEqual(self.wrong(
            [shown("r", "c")], create("r", "a"), edit("r", "a", "b"),
            edit("r", "b", "c", node=2)), "")
        self.assertEqual((self.verdict.found, self.verdict.beaten), (3, 2))

    def test_of_two_at_once_either_may_win(self):
        for name in ("b", "c"):
            self.assertEqual(self.wrong(
                [shown("r", name)], create("r", "a"), edit("r", "a", "b"),
                edit("r", "a", "c", node=2)), "")

    def test_what_was_replaced_must_not_come_back(self):
        for name in ("a", "b"):
            self.assertIn("a later write had replaced", self.wrong(
                [shown("r", name)], create("r", "a"), edit("r", "a", "b"),
                edit("r", "b", "c", node=2)))

    def test_a_lost_row_a_strange_row_and_a_strange_value(self):
        self.assertIn("row 'r' is lost", self.wrong([], create("r", "a")))
        self.assertIn("by nobody", self.wrong([shown("r", "a")]))
        self.assertIn("which nobody wrote", self.wrong(
            [shown("r", "x")], create("r", "a")))

    def test_a_delete_beats_an_edit(self):
        ledger = create("r", "a"), edit("r", "a", "b"), delete("r", node=2)
        self.assertEqual(self.wrong([], *ledger), "")
        self.assertIn("was deleted, and shows",
                      self.wrong([shown("r", "b")], *ledger))

    def test_additions_add_up(self):
        ledger = create("r", "a"), call("r", 3), call("r", 4, node=2)
        self.assertEqual(self.wrong([shown("r", "a", 7)], *ledger), "")
        for calls in (3, 4, 8):
            self.assertIn("counts %d calls, not 7" % calls, self.wrong(
                [shown("r", "a", calls)], *ledger))

    def test_what_a_copy_had_unpublished_may_count_again(self):
        ledger = create("r", "a"), call("r", 3), call("r", 4, node=2)
        for calls in (7, 10):
            self.assertEqual(self.wrong([shown("r", "a", calls)], *ledger,
                                        repeated={(1, 3)}), "")
        self.assertIn("counts 11 calls, not 7 to 10", self.wrong(
            [shown("r", "a", 11)], *ledger, repeated={(1, 3)}))

    def test_what_stood_only_in_a_replaced_file_may_be_missing(self):
        ledger = (create("r", "a"), edit("r", "a", "b"), call("r", 3),
                  create("s", "z", node=2))
        for table in ([shown("r", "a")], [shown("r", "b", 3)]):
            self.assertEqual(self.wrong(
                table, *ledger, doubtful={(1, 2), (1, 3), (2, 1)}), "")
        self.assertIn("row 'r' is lost", self.wrong(
            [], *ledger, doubtful={(1, 2), (1, 3), (2, 1)}))

    def test_a_write_over_a_doubtful_one_replaces_all_before(self):
        ledger = (create("r", "a"), edit("r", "a", "b"),
                  edit("r", "b", "c", node=2))
        self.assertIn("replaced", self.wrong([shown("r", "a")], *ledger,
                                             doubtful={(1, 2)}))


class Reached(unittest.TestCase):
    def setUp(self):
        self.reach = Reach([(1, 2), (2, 3), (1, 3)])
        self.reach.change(0, 0, State(), set())

    def cut(self, time, *pairs, down=(), unfit=()):
        state = State()
        state.down |= set(down)
        for some, others in pairs:
            state.cut_between(some, others)
        self.reach.change(time, time + 0.1, state, set(unfit))

    def mark(self, node, time):
        mark = Mark("%d@%g" % (node, time), node, time, 1)
        self.reach.marks[mark.name] = mark
        return mark

    def test_a_mark_written_inside_a_cut_does_not_cross_it(self):
        self.cut(10, ([1], [2, 3]), ([2, 3], [1]))
        mark = self.mark(1, 11)
        self.assertFalse(self.reach.arrive(mark, 2, 12))
        early = self.mark(1, 9.9)
        self.assertTrue(self.reach.arrive(early, 2, 12))

    def test_one_way_is_one_way_and_may_be_gone_around(self):
        self.cut(10, ([1], [3]))
        self.assertTrue(self.reach.arrive(self.mark(3, 11), 1, 12))
        self.assertTrue(self.reach.arrive(self.mark(1, 11), 3, 12))
        self.cut(20, ([1, 2], [3]))
        self.assertFalse(self.reach.arrive(self.mark(1, 21), 3, 22))

    def test_a_mark_is_awaited_where_links_stood_all_the_while(self):
        self.cut(10, ([1], [2, 3]), ([2, 3], [1]))
        self.mark(2, 11)
        awaited = {(mark.node, node)
                   for mark, node in self.reach.awaited(10, 12, 12)}
        self.assertEqual(awaited, {(2, 3)})
        self.reach.arrive(self.reach.marks["2@11"], 3, 12)
        self.assertEqual(self.reach.awaited(10, 12, 12), [])

    def test_nothing_is_awaited_of_the_dead_and_the_unplugged(self):
        self.cut(10, unfit={3})
        self.cut(20, down={2})
        self.mark(1, 21)
        self.assertEqual(
            {node for _, node in self.reach.awaited(20, 22, 22)}, {3})
        self.reach.marks.clear()
        self.mark(1, 11)
        self.assertEqual(self.reach.awaited(10, 22, 22), [])


class Drawn(unittest.TestCase):
    def test_a_drawing_is_well_formed_and_shows_all_marks(self):
        timeline = Timeline()
        timeline.origin = timeline.start
        mark = Mark("1.1", 1, timeline.start + 1, 1)
        mark.arrived[2] = timeline.start + 2
        timeline.marks.append(mark)
        timeline.writes[1] = [timeline.start + 1]
        timeline.caption("CUT: <&>")
        state = State()
        state.cut_between([1], [2])
        host = types.SimpleNamespace(dead=True, paused=False, clock_ahead=5)
        timeline.note_state(state, {1: host}, timeline.start)
        text = draw(timeline, scenario.parse("nodes 2\nwait 1s", "t", "t"),
                    [])
        drawing = xml.dom.minidom.parseString(text)
        said = " ".join(node.firstChild.data for node
                        in drawing.getElementsByTagName("text"))
        for word in ("node 2", "CUT: <&>", "down", "clock +5s", "equal"):
            self.assertIn(word, said)
        # The arrival, the mark, and the caption's number.
        self.assertEqual(len(drawing.getElementsByTagName("circle")), 3)


if __name__ == "__main__":
    unittest.main()
