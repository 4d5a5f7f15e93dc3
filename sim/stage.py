"""Plays a scenario: starts the machines, breaks what the script says at its
time, watches what arrives where, heals, and judges."""

import contextlib
import time

from cuts import CutReport, cut_line
from equality import owners, statuses, wait_equal
from hosts import Host
from network import State
from nodes import Failure, wait_until
from reach import Mark, Reach
from timeline import show_nodes
from verdict import Verdict, read_ledger

SHARED_ROWS = 30     # a node, before anything happens
MARK_SECONDS = 1     # between a node's marks
POLL_SECONDS = 0.02
CUTS = ("split", "isolate", "one-way", "flap")
# From here on versions of a node may be refused (core/clock.h: 60 s ahead),
# and nothing about when they arrive is promised.
AHEAD_MAX = 50


class Stage:
    def __init__(self, scenario, network, options, directory, timeline):
        self.scenario = scenario
        self.network = network
        self.options = options
        self.timeline = timeline
        self.say = timeline.say
        clock = options.clock if "clock" in scenario.verbs() else None
        self.hosts = {number: Host(number, options.grapevine, directory,
                                   network, clock)
                      for number in range(1, scenario.nodes + 1)}
        self.reach = Reach(scenario.edges())
        self.active = []      # statements that are in force
        self.began = {}       # statement: when
        self.heals = []       # (time, what) that are not made good yet
        self.backups = {}     # node: (its last write published, and in all)
        self.doubtful = []    # (node, first, last) writes of replaced files
        self.repeated = []    # and those that their copies publish again
        self.next_marks = {}  # node: when it is asked
        self.slipped = 0
        self.writing = False
        self.last_heal = 0
        self.caught_up = []   # seconds each took
        self.converged = None
        self.verdict = Verdict()

    # The start

    def start(self):
        self.say("starting %d nodes, each with a file of its own: %s"
                 % (len(self.hosts), self.network.described))
        self.network.start()
        for host in self.hosts.values():
            host.prepare()
            host.launch()
        for host in self.hosts.values():
            host.wait_ready(self.options.wait)
        self.wait_linked()
        for host in self.hosts.values():
            host.launch_writer(self.options.seed * 1000 + host.number)
            host.tell_writer("fill", str(SHARED_ROWS))
        for host in self.hosts.values():
            self.hear(host, "fill")
        count = SHARED_ROWS * len(self.hosts)
        # Equal vectors of too few rows are not what we wait for.
        for host in self.hosts.values():
            wait_until(lambda: len(host.rows()) == count, self.options.wait,
                       "node %d has all rows" % host.number)
        self.cut_report = CutReport(
            self.hosts, self.reach, {row[0] for row in self.wait_equal()},
            self.say, self.options.writes_min)
        self.say("each node wrote %d contacts; all files are equal: %d rows"
                 % (SHARED_ROWS, count))

    def wait_linked(self):
        edges = self.scenario.edges()
        for number, host in self.hosts.items():
            degree = sum(number in edge for edge in edges)
            wait_until(lambda: host.links_up() >= degree, self.options.wait,
                       "node %d has its %d links" % (number, degree))
        full = len(edges) == len(self.hosts) * (len(self.hosts) - 1) / 2
        self.say("%s (%d links)" % (
            "everybody is linked with everybody" if full
            else "the links of the %s stand" % self.scenario.topology,
            len(edges)))

    # The script

    def play(self):
        self.origin = self.timeline.origin = time.monotonic()
        self.note_change(State(), self.origin)
        self.set_rate(self.options.rate)
        for at, what, statement in self.scenario.events():
            # What is not over when the script is, heal() ends.
            if what == "end" and at >= self.scenario.seconds:
                continue
            self.watch_until(at)
            if what == "end" and statement.every is None:
                self.await_inside(statement)
            self.perform(statement, what)
        self.watch_until(self.scenario.seconds)

    def watch_until(self, at):
        while True:
            self.watch()
            left = self.origin + self.slipped + at - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, POLL_SECONDS))

    def watch(self):
        """One look at everything."""
        now = time.monotonic()
        if self.writing:
            self.ask_marks(now)
        for host in self.hosts.values():
            host.check_alive()
            for answer in host.answers():
                self.heed(host, answer)
        self.look_for_marks()
        self.note_catching_up()

    def ask_marks(self, now):
        """Of each node in its turn."""
        for number, host in self.hosts.items():
            due = self.next_marks.get(
                number, now + MARK_SECONDS * number / len(self.hosts))
            if now >= due and not host.paused:
                host.tell_writer("mark")
                due = now + MARK_SECONDS
            self.next_marks[number] = due

    def heed(self, host, answer):
        if answer[0] == "mark":
            mark = Mark(answer[1], host.number, float(answer[2]),
                        int(answer[3]))
            self.reach.marks[mark.name] = mark
            self.timeline.marks.append(mark)

    def hear(self, host, command):
        """Wait until the application has done `command`."""
        def done():
            found = False
            for answer in host.answers():
                found |= answer == ["done", command]
                self.heed(host, answer)
            return found
        wait_until(done, self.options.wait, "the application on node %d: %s"
                   % (host.number, command), every=0.005)

    def look_for_marks(self):
        marks = self.reach.marks.values()
        for number, host in self.hosts.items():
            open_marks = [m for m in marks if number not in m.arrived]
            if not open_marks:
                continue
            seen = host.marks()
            now = time.monotonic()
            for mark in open_marks:
                if mark.name in seen \
                        and not self.reach.arrive(mark, number, now):
                    raise Failure("a row of node %d crossed the cut to node"
                                  " %d" % (mark.node, number))

    def note_catching_up(self):
        for heal in list(self.heals):
            healed, what = heal
            if not self.reach.missing(healed, self.hosts):
                now = time.monotonic()
                self.heals.remove(heal)
                # What still was broken meanwhile does not count.
                self.caught_up.append(now - self.last_heal)
                self.say("what was written before `%s` was over is everywhere"
                         " %.2f s later" % (what, now - healed))

    def note_heals(self, texts):
        self.last_heal = time.monotonic()
        self.heals += [(self.last_heal, text) for text in texts]

    def perform(self, statement, what):
        verb = statement.verb
        if verb in CUTS or verb in ("delay", "loss"):
            self.perform_fault(statement, what)
        elif verb == "heal":
            self.say("HEAL")
            self.heal_all()
        elif verb == "write":
            self.say(statement.text)
            self.set_rate(statement.value)
        elif verb != "wait":
            self.tell(statement, what)
            getattr(self, "perform_" + verb)(
                statement, self.hosts[statement.nodes[0]], what)
            self.apply()
            if what == "end" or verb in ("start", "restore"):
                self.note_heals([statement.text])
            self.say_vectors()

    def tell(self, statement, what):
        shown = cut_line(statement) if statement.verb in CUTS[:3] \
            else statement.text
        if what == "end":
            shown = "over: " + statement.text
        self.say(shown)
        self.timeline.caption(shown)

    def perform_fault(self, statement, what):
        if what in ("begin", "on"):
            self.active.append(statement)
        elif statement in self.active:
            self.active.remove(statement)
        if what in ("begin", "end"):
            self.tell(statement, what)
        self.apply()
        now = time.monotonic()
        if what == "begin":
            self.began[statement] = now
            self.next_marks = dict.fromkeys(self.hosts, 0)
        elif what == "end" and statement.verb in CUTS:
            self.note_heals([statement.text])
        if what in ("begin", "end"):
            self.say_vectors()

    def state(self):
        state = State()
        for statement in self.active:
            groups = statement.groups
            if statement.verb == "isolate":
                state.down |= set(groups[0])
            for i, group in enumerate(groups):
                for other in groups[i + 1:]:
                    if statement.verb == "delay":
                        state.lag_between(group, other, statement.value, 0)
                    elif statement.verb == "loss":
                        state.lag_between(group, other, 0, statement.value)
                    else:
                        state.cut_between(group, other)
                        if statement.verb != "one-way":
                            state.cut_between(other, group)
        return state

    def apply(self):
        before, state = time.monotonic(), self.state()
        self.network.apply(state)
        self.note_change(state, before)
        self.timeline.note_state(state, self.hosts, before)

    def note_change(self, state, before):
        unfit = {number for number, host in self.hosts.items()
                 if host.dead or host.paused or host.was_ahead > AHEAD_MAX}
        self.reach.change(before, time.monotonic(), state, unfit)

    def perform_kill(self, statement, host, _what):
        host.kill(statement.value)

    def perform_start(self, _statement, host, _what):
        host.launch()

    def perform_pause(self, _statement, host, what):
        host.pause(what == "begin")

    def perform_clock(self, statement, host, what):
        host.set_clock(statement.value if what == "begin" else 0)

    @contextlib.contextmanager
    def resting(self, host):
        """With the application's hands off the file; yields how many
        transactions it made."""
        host.tell_writer("close")
        self.hear(host, "close")
        yield len(read_ledger(host))
        host.tell_writer("open")
        self.hear(host, "open")

    def perform_backup(self, _statement, host, _what):
        with self.resting(host) as count:
            self.look_for_marks()
            self.backups[host.number] = (self.last_published(host), count)
            host.back_up()

    def last_published(self, host):
        """The number of the application's last write that is known to be
        published: nodes publish in order, and a mark has arrived."""
        return max([0] + [mark.seq for mark in self.reach.marks.values()
                          if mark.node == host.number
                          and len(mark.arrived) > 1])

    def perform_restore(self, _statement, host, _what):
        statuses(self.hosts)  # keeps the site's id that ends here
        with self.resting(host) as count:
            if not host.dead:
                host.kill("TERM")
            self.look_for_marks()
            kept = self.last_published(host)
            host.put_back()
            host.launch()
        published, copied = self.backups[host.number]
        self.doubtful.append((host.number, max(copied, kept) + 1, count))
        self.repeated.append((host.number, published + 1, copied))
        for mark in list(self.reach.marks.values()):
            if not self.is_sure({"node": mark.node, "seq": mark.seq}):
                del self.reach.marks[mark.name]

    def is_sure(self, entry):
        return not within(entry, self.doubtful)

    def repeats(self, entry):
        return within(entry, self.repeated)

    def set_rate(self, rate):
        self.writing = rate > 0
        for host in self.hosts.values():
            host.tell_writer("rate", str(rate))

    # Cuts that end

    def await_inside(self, statement):
        """Before a cut ends, what could go round inside its parts has done
        so. Time stands still meanwhile."""
        if statement.verb not in CUTS or statement not in self.active:
            return
        begin, end = self.began[statement], time.monotonic()

        def gossiped():
            self.watch()
            return not self.reach.awaited(begin, end, time.monotonic())
        wait_until(gossiped, self.options.wait, "rows written during `%s` go"
                   " round where they can" % statement.text)
        self.slipped += time.monotonic() - end
        if statement.verb in ("split", "one-way"):
            self.cut_report.report(statement, begin)

    # The end

    def heal(self):
        self.set_rate_where_awake(0)
        for statement in self.active:
            if statement.every is None:
                self.await_inside(statement)
        self.say("HEAL")
        self.timeline.caption("HEAL")
        healed = time.monotonic()
        self.heal_all()
        self.writing = False
        for host in self.hosts.values():
            host.tell_writer("rate", "0")
            self.hear(host, "rate")
            host.wait_ready(self.options.wait)
        rows = self.wait_equal()
        self.converged = time.monotonic() - healed
        self.timeline.caption("equal")
        self.say("equal again after %.2f s: %d rows; same vector, fingerprint"
                 " and table on all %d nodes"
                 % (self.converged, len(rows), len(self.hosts)))
        self.watch()
        self.say_vectors()
        return rows

    def set_rate_where_awake(self, rate):
        """Who is paused is told when it wakes up."""
        self.writing = rate > 0
        for host in self.hosts.values():
            if not host.paused:
                host.tell_writer("rate", str(rate))
                self.hear(host, "rate")

    def heal_all(self):
        """Nothing is broken any more: cuts, clocks, pauses, deaths."""
        cuts = [s.text for s in self.active if s.verb in CUTS]
        self.active.clear()
        for host in self.hosts.values():
            if host.paused:
                host.pause(False)
            if host.clock_ahead:
                host.set_clock(0)
            if host.dead:
                host.launch()
        self.apply()
        self.note_heals(cuts)

    def say_vectors(self):
        self.timeline.say_vectors(statuses(self.hosts), owners(self.hosts))

    def wait_equal(self):
        return wait_equal(self.hosts, self.options.wait)

    def judge(self, rows):
        ledger = [entry for host in self.hosts.values()
                  for entry in read_ledger(host)]
        for entry in ledger:
            self.timeline.writes.setdefault(entry["node"], []).append(
                entry["time"])
        self.verdict.check(rows, ledger, self.is_sure, self.repeats)
        self.say(str(self.verdict))
        wrong = self.verdict.wrong
        if wrong:
            raise Failure("%s%s" % ("; ".join(wrong[:3]), "; and %d more"
                          % (len(wrong) - 3) if len(wrong) > 3 else ""))
        for host in self.hosts.values():
            complaint = host.verify()
            if complaint:
                raise Failure(complaint)
        self.say("verify finds nothing wrong on any of the %d nodes"
                 % len(self.hosts))
        again = [n for n, host in self.hosts.items() if len(host.starts) > 1]
        if len(again) == len(self.hosts):
            self.say("every node was started again")
        elif again:
            self.say("every node but %s is the process that was started"
                     % show_nodes(again))
        else:
            self.say("every node is the process that was started: %s"
                     % ", ".join(str(host.starts[0])
                                 for host in self.hosts.values()))

    def run(self):
        self.start()
        self.play()
        self.judge(self.heal())

    def stop(self):
        """Undo all of it; returns a line for each node that did not stop
        cleanly."""
        complaints = []
        for number, host in self.hosts.items():
            code = host.end()
            if code != 0:
                complaints.append("node %d stopped with code %d (see %s)"
                                  % (number, code, host.log))
        self.network.stop()
        return complaints


def within(entry, ranges):
    """In how many ranges (node, first, last) of writes `entry` is."""
    return sum(node == entry["node"] and first <= entry["seq"] <= last
               for node, first, last in ranges)
