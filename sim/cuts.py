"""What is told of a cut: its parts when it begins, and when it is over what
went on inside them."""

from nodes import Failure
from verdict import read_ledger


def named_groups(statement):
    return [(chr(ord("A") + i), group)
            for i, group in enumerate(statement.groups)]


def cut_line(statement):
    if statement.verb == "isolate":
        return "CUT: %s" % statement.text
    return "CUT%s: %s" % (
        " (one way: nothing goes rightwards)"
        if statement.verb == "one-way" else "",
        "  |  ".join("%s = {%s}" % (name, ", ".join(map(str, group)))
                     for name, group in named_groups(statement)))


class CutReport:
    def __init__(self, hosts, reach, shared, say, writes_min):
        self.hosts = hosts
        self.reach = reach
        self.shared = shared
        self.say = say
        self.writes_min = writes_min

    def report(self, statement, begin):
        for name, group in named_groups(statement):
            first = next((mark for mark in self.reach.marks.values()
                          if mark.node in group and mark.time > begin
                          and set(group) <= set(mark.arrived)), None)
            if first and len(group) > 1:
                self.say("group %s gossips inside: a row of node %d is on all"
                         " its %d nodes after %.0f ms" % (
                             name, first.node, len(group),
                             (max(first.arrived[n] for n in group)
                              - first.time) * 1000))
        self.report_crossing(statement, begin)
        for name, group in named_groups(statement):
            self.count_writes(name, group, begin)

    def report_crossing(self, statement, begin):
        """Each arrival was judged as it was seen: what is here went around
        the cut, by nodes that are in none of its groups."""
        place = {node: i for i, group in enumerate(statement.groups)
                 for node in group}
        around = sum(
            place[mark.node] < place[node] or statement.verb == "split"
            for mark in self.reach.marks.values()
            if mark.time > begin and mark.node in place
            for node in mark.arrived if node in place
            and place[node] != place[mark.node])
        if around:
            self.say("%d times a row got around the cut by other nodes"
                     % around)
        else:
            self.say("no row of the %s crossed the cut" % (
                "earlier groups" if statement.verb == "one-way"
                else "other groups"))

    def count_writes(self, name, group, begin):
        entries = [entry for node in group
                   for entry in read_ledger(self.hosts[node])
                   if entry["time"] >= begin]
        busy = sum(entry["busy"] for entry in entries)
        self.say("group %s: %d writes acknowledged during the cut, %d of them"
                 " on rows that all had before%s" % (
                     name, len(entries),
                     sum(e["id"] in self.shared for e in entries),
                     "; SQLITE_BUSY seen %d times" % busy if busy else ""))
        if len(entries) < self.writes_min:
            raise Failure("group %s had fewer than %d writes during the cut"
                          % (name, self.writes_min))
