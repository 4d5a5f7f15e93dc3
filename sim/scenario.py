"""The language of scenarios: what happens to a mesh, and when.

One statement a line; from a # on it is a comment. Statements follow one
another: one with `for` holds for its time, and `wait` passes some. `at TIME`
in front of a statement says when, counted from the start, and lets nobody
wait. What is not over at the end is healed there.

    nodes 5
    write 20
    wait 2s
    split {1,2} {3,4,5} for 10s
    at 4s kill -9 4

sim/README.md lists the statements; so does TABLE below."""

import os
import re

TOPOLOGIES = ("full", "line", "ring", "star", "none")
NODES_MAX = 32
SECONDS_MAX = 3600
UNITS = {"ms": 0.001, "s": 1, "m": 60}
TIME = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)$")


class Problem(Exception):
    """What is wrong with a scenario: where, which word, what is allowed."""


class Statement:
    """One thing that begins at `at` seconds and, if `seconds` is not None,
    is over so many later."""

    def __init__(self, line, text, verb):
        self.line = line
        self.text = text
        self.verb = verb
        self.at = 0
        self.seconds = None
        self.groups = []
        self.every = None  # flap: seconds down, then up
        self.value = None  # a rate, percents, milliseconds, a clock's offset

    @property
    def nodes(self):
        return sorted(node for group in self.groups for node in group)


class Scenario:
    def __init__(self, name):
        self.name = name
        self.title = ""
        self.nodes = 3
        self.topology = "full"
        self.discover = False
        self.statements = []
        self.seconds = 0

    def verbs(self):
        return {statement.verb for statement in self.statements}

    def edges(self):
        """Pairs (dialler, target) of the topology; a node dials those after
        it, so that each pair is linked once."""
        count = self.nodes
        if self.discover or self.topology == "full":
            return [(a, b) for a in range(1, count + 1)
                    for b in range(a + 1, count + 1)]
        if self.topology == "star":
            return [(1, b) for b in range(2, count + 1)]
        if self.topology == "none":
            return []
        line = [(a, a + 1) for a in range(1, count)]
        if self.topology == "ring" and count > 2:
            line.append((1, count))
        return line

    def events(self):
        """What happens, in order: (seconds, what, statement). `what` is begin
        or end, and off and on in between where something flaps. At one time
        what ends comes before what begins."""
        events = []
        for place, statement in enumerate(self.statements):
            for at, what in moments(statement):
                begins = what in ("begin", "on")
                events.append((at, begins, place, what, statement))
        events.sort(key=lambda event: event[:3])
        return [(at, what, statement)
                for at, _, _, what, statement in events]


def moments(statement):
    start = statement.at
    if statement.seconds is None:
        return [(start, "begin")]
    end = start + statement.seconds
    result = [(start, "begin")]
    what = "off"
    while statement.every is not None and start + statement.every < end:
        start += statement.every
        result.append((start, what))
        what = "on" if what == "off" else "off"
    return result + [(end, "end")]


class Line:
    """The words of one statement, read from the left."""

    def __init__(self, scenario, place, number, text):
        self.scenario = scenario
        self.place = "%s:%d" % (place, number)
        self.number = number
        self.words = re.findall(r"\{[^}]*\}?|\S+", text)
        self.next = 0

    def fail(self, word, allowed):
        raise Problem("%s: '%s': %s" % (self.place, word, allowed))

    def peek(self):
        return self.words[self.next] if self.next < len(self.words) else None

    def word(self, allowed):
        word = self.peek()
        if word is None:
            self.fail(self.words[-1], "after it comes %s" % allowed)
        self.next += 1
        return word

    def end(self):
        if self.peek() is not None:
            self.fail(self.peek(), "the statement is over before this word")

    def choice(self, words, what):
        word = self.word(what)
        if word not in words:
            self.fail(word, "%s is one of %s" % (what, ", ".join(words)))
        return word

    def node_number(self, text, shown):
        if not text.isdecimal() or not 1 <= int(text) <= self.scenario.nodes:
            self.fail(shown, "the nodes are 1 to %d" % self.scenario.nodes)
        return int(text)

    def node(self):
        word = self.word("a node, as in 2")
        return self.node_number(word, word)

    def group(self):
        word = self.word("nodes, as in 2 or {1,2}")
        if not word.startswith("{"):
            return [self.node_number(word, word)]
        if not word.endswith("}"):
            self.fail(word, "there is no } that ends it")
        return [self.node_number(part.strip(), part.strip() or word)
                for part in word[1:-1].split(",")]

    def groups(self, least, most):
        """So many groups, which have no node in common."""
        groups = []
        while len(groups) < least or (len(groups) < most and self.peek()
                                      and re.match(r"[{\d]", self.peek())
                                      and not TIME.match(self.peek())):
            shown = self.peek()
            group = self.group()
            for node in group:
                if node in sum(groups, []) or group.count(node) > 1:
                    self.fail(shown, "node %d is named twice" % node)
            groups.append(group)
        return groups

    def time(self, sign=False):
        word = self.word("a time, as in 10s, 500ms or 1m")
        found = TIME.match(word[1:] if sign and word[0] in "+-" else word)
        if not found or (sign and word[0] not in "+-"):
            self.fail(word, "expected a time, as in %s" % (
                "+90s or -5s" if sign else "10s, 500ms or 1m"))
        seconds = float(found[1]) * UNITS[found[2]]
        if not 0 < seconds <= SECONDS_MAX:
            self.fail(word, "a time is above 0 and at most an hour")
        return -seconds if sign and word[0] == "-" else seconds

    def duration(self, needed=False):
        """The seconds of `for TIME`; None if it is not said."""
        if self.peek() is None and not needed:
            return None
        self.choice(("for",), "what follows")
        return self.time()


# How the rest of each statement is read; what it is told by the reader's
# name. They stand in the order in which errors list them.

def read_wait(line, statement):
    statement.seconds = line.time()


def read_write(line, statement):
    word = line.word("writes a second on each node, as in 20")
    if not re.match(r"\d+(\.\d+)?$", word) or float(word) > 1000:
        line.fail(word, "the writes a second on each node are 0 to 1000")
    statement.value = float(word)


def read_cut(line, statement):
    statement.groups = line.groups(2, NODES_MAX)
    statement.seconds = line.duration()


def read_isolate(line, statement):
    statement.groups = line.groups(1, 1)
    statement.seconds = line.duration()


def read_flap(line, statement):
    statement.groups = line.groups(2, 2)
    line.choice(("every",), "what follows")
    statement.every = line.time()
    statement.seconds = line.duration(needed=True)
    if statement.seconds / statement.every > 10000:
        line.fail(line.words[-1], "that is over 10000 changes")


def read_delay(line, statement):
    statement.groups = line.groups(2, 2)
    statement.value = line.time() * 1000
    if statement.value > 60000:
        line.fail(line.words[line.next - 1], "a delay is at most 60s")
    statement.seconds = line.duration()


def read_loss(line, statement):
    statement.groups = line.groups(2, 2)
    word = line.word("the share that is lost, as in 5%")
    if not re.match(r"\d+(\.\d+)?%$", word) or float(word[:-1]) > 90:
        line.fail(word, "expected a share of 0% to 90%, as in 5%")
    statement.value = float(word[:-1])
    statement.seconds = line.duration()


def read_kill(line, statement):
    statement.value = "TERM"
    if line.peek() and line.peek().startswith("-"):
        line.choice(("-9",), "the signal")
        statement.value = "KILL"
    statement.groups = [[line.node()]]


def read_node(line, statement):
    statement.groups = [[line.node()]]


def read_pause(line, statement):
    statement.groups = [[line.node()]]
    statement.seconds = line.duration()


def read_clock(line, statement):
    statement.groups = [[line.node()]]
    statement.value = line.time(sign=True)
    statement.seconds = line.duration()


def read_heal(_line, _statement):
    pass


TABLE = {
    "write": read_write, "wait": read_wait, "split": read_cut,
    "isolate": read_isolate, "one-way": read_cut, "flap": read_flap,
    "delay": read_delay, "loss": read_loss, "kill": read_kill,
    "start": read_node, "pause": read_pause, "clock": read_clock,
    "backup": read_node, "restore": read_node, "heal": read_heal,
}
LIVES = ("kill", "start", "pause", "backup", "restore")
SETTINGS = ("nodes", "topology", "discover")


def read_setting(line, verb):
    scenario = line.scenario
    if scenario.statements:
        line.fail(verb, "it stands before everything that happens")
    if verb == "nodes":
        word = line.word("how many, as in 5")
        if not word.isdecimal() or not 2 <= int(word) <= NODES_MAX:
            line.fail(word, "the nodes are 2 to %d" % NODES_MAX)
        scenario.nodes = int(word)
    elif verb == "topology":
        scenario.topology = line.choice(TOPOLOGIES, "the topology")
    else:
        scenario.discover = True
    line.end()


def read_line(line, cursor):
    """Add the line's statement; returns when the next one begins."""
    at = None
    if line.peek() == "at":
        line.word("")
        at = line.time()
    verb = line.word("a statement")
    if verb in SETTINGS and at is None:
        read_setting(line, verb)
        return cursor
    if verb not in TABLE:
        line.fail(verb, "no statement begins so; allowed are %s" % ", ".join(
            list(TABLE) + ["at"] + ([] if at else list(SETTINGS))))
    if verb == "wait" and at is not None:
        line.fail(verb, "`at` in front of it says nothing")
    words = line.words[2:] if at is not None else line.words
    statement = Statement(line.number, " ".join(words), verb)
    TABLE[verb](line, statement)
    line.end()
    statement.at = cursor if at is None else at
    line.scenario.statements.append(statement)
    end = statement.at + (statement.seconds or 0)
    line.scenario.seconds = max(line.scenario.seconds, end)
    if line.scenario.seconds > SECONDS_MAX:
        line.fail(line.words[-1], "the scenario takes over an hour")
    return end if at is None else cursor


def check_lives(scenario, place):
    """Nobody is killed twice, or started, paused and put back in a way that
    the order of things makes impossible."""
    dead, paused, kept = set(), set(), set()
    for _, what, statement in scenario.events():
        verb = statement.verb
        if verb == "heal":
            dead.clear()
            paused.clear()
        if verb == "write" and paused:
            raise Problem("%s:%d: 'write': node %d is paused then and cannot"
                          " be told" % (place, statement.line, min(paused)))
        if verb not in LIVES:
            continue
        node = statement.nodes[0]
        why = None
        if verb == "pause" and what == "end":
            paused.discard(node)
            continue
        if node in paused:
            why = "is paused"
        elif verb in ("kill", "pause") and node in dead:
            why = "does not run"
        elif verb == "start" and node not in dead:
            why = "runs already"
        elif verb == "restore" and node not in kept:
            why = "has no backup (`backup %d` makes one)" % node
        if why:
            raise Problem("%s:%d: '%s': node %d %s then" % (
                place, statement.line, verb, node, why))
        if verb == "kill":
            dead.add(node)
        elif verb in ("start", "restore"):
            dead.discard(node)
        {"pause": paused, "backup": kept}.get(verb, set()).add(node)


def parse(text, place, name):
    """The scenario in `text`, which errors call `place`."""
    scenario = Scenario(name)
    cursor = heading = 0  # so many lines of comment stand at the top
    for number, raw in enumerate(text.splitlines(), 1):
        words, _, comment = raw.partition("#")
        if number == 1 + heading and not words.strip() and comment:
            heading = number
            scenario.title = (scenario.title + " " + comment.strip()).strip()
        line = Line(scenario, place, number, words.strip())
        if line.words:
            cursor = read_line(line, cursor)
    if not scenario.statements:
        raise Problem("%s: nothing happens in it" % place)
    if scenario.discover and scenario.topology not in ("full", "none"):
        raise Problem("%s: 'discover': nodes that find each other have no"
                      " topology" % place)
    if scenario.topology == "none" and not scenario.discover:
        raise Problem("%s: 'none': without `discover` nobody would ever meet"
                      % place)
    check_lives(scenario, place)
    return scenario


def directory():
    return os.path.join(os.path.dirname(os.path.abspath(__file__)),
                        "scenarios")


def names():
    return sorted(entry[:-len(".scenario")] for entry
                  in os.listdir(directory()) if entry.endswith(".scenario"))


def find(word):
    """The scenario in the file `word`, or the one of that name."""
    path = word
    if not os.path.exists(path) and os.sep not in word:
        path = os.path.join(directory(), word + ".scenario")
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        if path == word:
            raise Problem("%s: %s" % (word, error)) from error
        raise Problem("%s: there is no such file, and no scenario of that"
                      " name; there are %s" % (word, ", ".join(names()))
                      ) from error
    name = os.path.basename(path)
    return parse(text, path if path == word else name,
                 name.removesuffix(".scenario"))
