"""Who can hear whom, at each moment of a run: what a row may have crossed,
and where it has to be.

Marks are rows that tell who wrote them and when. Between a mark's writing and
now the network was in some states one after another. A mark that is seen on a
node to which no chain of links led in any of them has crossed a cut. Where a
chain of links stood all the while, both ways, the mark has to arrive."""


class Mark:
    def __init__(self, name, node, time, seq):
        self.name = name
        self.node = node
        self.time = time
        self.seq = seq        # of its writer's transactions
        self.arrived = {node: time}


def follow(start, links):
    """All that a chain of links (a, b) leads to from `start`."""
    reached, fresh = {start}, [start]
    while fresh:
        a = fresh.pop()
        for b in [b for x, b in links if x == a and b not in reached]:
            reached.add(b)
            fresh.append(b)
    return reached


class Reach:
    def __init__(self, edges):
        self.pairs = {pair for a, b in edges for pair in ((a, b), (b, a))}
        self.nodes = {node for pair in self.pairs for node in pair}
        self.history = []  # [from, until, links that may pass, that must]
        self.marks = {}

    def change(self, before, after, state, unfit):
        """From some moment between `before` and `after` on the network is
        in `state`. `unfit` nodes do not run or are not heeded."""
        may = {(a, b) for a, b in self.pairs if state.passes(a, b)}
        must = {(a, b) for a, b in may if (b, a) in may
                and not {a, b} & unfit}
        if self.history:
            self.history[-1][1] = after
        self.history.append([before, float("inf"), may, must])

    def span(self, start, end):
        return [entry for entry in self.history
                if entry[1] > start and entry[0] <= end]

    def may_reach(self, mark, now):
        links = set().union(*(e[2] for e in self.span(mark.time, now)))
        return follow(mark.node, links)

    def must_reach(self, mark, now):
        links = self.pairs.intersection(
            *(e[3] for e in self.span(mark.time, now)))
        return follow(mark.node, links)

    def arrive(self, mark, node, now):
        """Whether the mark may be on `node` by now."""
        mark.arrived[node] = now
        return node in self.may_reach(mark, now)

    def awaited(self, since, until, now):
        """(mark, node) of the marks written between that should have
        arrived by now, and have not."""
        return [(mark, node) for mark in self.marks.values()
                if since <= mark.time <= until
                for node in self.must_reach(mark, now)
                if node not in mark.arrived]

    def missing(self, before, nodes):
        """(mark, node) of the marks written before that moment that are not
        everywhere yet."""
        return [(mark, node) for mark in self.marks.values()
                if mark.time < before for node in nodes
                if node not in mark.arrived]
