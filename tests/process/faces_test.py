"""What people and scripts see of a running mesh: status, watch, wait."""
import json
import os
import signal
import socket
import subprocess
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor

from mesh import (GRAPEVINE, LIMIT_S, Case, execute, free_endpoint, run, status,
                  wait_until)


class Watch:
    """A `grapevine watch` process whose lines are kept."""

    def __init__(self, case, path, *options):
        self.process = subprocess.Popen(
            [GRAPEVINE, "watch", path, *options], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        case.addCleanup(self.end)
        self.lines = []
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        # Or its end: it may be one too many.
        wait_until(lambda: self.lines or self.process.poll() is not None,
                   "the first line of watch")

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def events(self, kind):
        events = [json.loads(line) for line in list(self.lines)]
        return [event for event in events if event.get("event") == kind]

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.reader.join()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


def site_of(path):
    return status(path)["site"]


def known(path, name):
    found = [site for site in status(path)["known"] if site["name"] == name]
    return found[0] if found else None


class Faces(Case):
    def wait(self, path, *options):
        return run("wait", path, "--converged", *options)

    def test_wait_ends_when_all_hold_the_same(self):
        nodes = self.mesh(3)
        for round_ in range(5):
            execute(nodes[round_ % 3].path,
                    "INSERT INTO notes VALUES(?, 'x', 'y')", ("r%d" % round_,))
            # A publication that is under way elsewhere is not waited for;
            # what this node wrote is.
            self.assertEqual(self.wait(nodes[round_ % 3].path, "--timeout",
                                       "200s"), (0, "", ""))
            for node in nodes:
                rows = execute(node.path, "SELECT count(*) FROM notes")
                self.assertEqual(rows, [(round_ + 1,)])
        self.assertEqual(self.wait(nodes[0].path, "--peers", "2")[0], 0)

    def test_wait_says_what_is_lacking(self):
        nodes = self.mesh(2)
        self.assertEqual(self.wait(nodes[1].path)[0], 0)
        code, _, err = self.wait(nodes[1].path, "--peers", "2", "--timeout",
                                 "200ms")
        self.assertEqual(code, 1)
        self.assertIn("Not level within 0.2 s.", err)
        self.assertIn("1 of 2 peers connected", err)
        nodes[0].stop(signal.SIGKILL)
        wait_until(lambda: self.wait(nodes[1].path, "--timeout", "0")[0] == 1,
                   "the link to be lost")
        _, _, err = self.wait(nodes[1].path, "--timeout", "0")
        self.assertIn("0 of 1 peers connected", err)
        self.assertRegex(err, r"n0|tcp://127\.0\.0\.1:\d+ is not connected")
        self.assertEqual(nodes[1].stop(), 0)
        self.assertEqual(self.wait(nodes[1].path, "--timeout", "0")[0], 3)

    def test_wait_may_begin_before_the_node(self):
        path, endpoint = self.database("a.db"), free_endpoint()
        other = self.start(self.database("b.db"), endpoint)
        execute(other.path, "INSERT INTO notes VALUES('a', 'x', 'y')")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(self.wait, path, "--timeout", "200s")
            self.assertRaises(TimeoutError, waiting.result, 0.2)
            self.start(path, None, [endpoint])
            self.assertEqual(waiting.result(), (0, "", ""))
        self.assertEqual(execute(path, "SELECT id FROM notes"), [("a",)])

    def test_a_schema_that_refuses_is_what_is_lacking(self):
        first, second = self.mesh(2)
        execute(first.path, "CREATE TABLE more(id TEXT PRIMARY KEY, v)")
        self.assertEqual(run("track", first.path, "more")[0], 0)
        execute(first.path, "INSERT INTO more VALUES('a', 1)")
        # The other file has no such table: it keeps the row, and is level.
        self.assertEqual(self.wait(first.path, "--timeout", "200s")[0], 0)
        self.assertEqual(status(second.path)["parked"], 1)

    def test_status_begins_with_a_sentence(self):
        path = self.database("a.db")
        _, out, _ = run("status", path)
        self.assertTrue(out.startswith("No node runs.\n\n"), out)
        endpoint = free_endpoint()
        alone = self.start(path, endpoint)
        self.assertEqual(alone.status()["summary"],
                         "On its own. No peer is named, and none is linked.")
        other = self.start(self.database("b.db"), None, [endpoint])
        wait_until(lambda: status(path)["summary"]
                   == "Up to date. 1 of 1 peer connected.", "both level")
        _, out, _ = run("status", path)
        self.assertIn("lacks nothing", out)
        self.assertEqual(alone.stop(), 0)
        wait_until(lambda: status(other.path)["summary"]
                   == "Cut off. 0 of 1 peer connected.", "the link to go")

    def test_status_says_what_each_side_lacks(self):
        """A peer that is stopped in its tracks lacks what is written."""
        nodes = self.mesh(2)
        self.assertEqual(self.wait(nodes[0].path)[0], 0)
        os.kill(nodes[1].process.pid, signal.SIGSTOP)
        try:
            for i in range(3):
                execute(nodes[0].path, "INSERT INTO notes VALUES(?, 1, 2)",
                        ("r%d" % i,))
            wait_until(lambda: status(nodes[0].path)["known"][0]["lacks"]
                       ["changes"] == 3, "three changes that are lacking")
            state = status(nodes[0].path)
        finally:
            os.kill(nodes[1].process.pid, signal.SIGCONT)
        lacks = state["known"][0]["lacks"]
        self.assertEqual(lacks["sites"], 1)
        self.assertFalse(lacks["more"])
        self.assertEqual(lacks["of"][0]["site"], state["site"])
        self.assertEqual(lacks["of"][0]["changes"], 3)
        self.assertGreater(lacks["oldest_ms"], 0)
        self.assertEqual(self.wait(nodes[0].path, "--timeout", "200s")[0], 0)
        link = status(nodes[0].path)["links"][0]
        self.assertEqual(link["peer_lacks"]["sites"], 0)
        self.assertEqual(link["we_lack"]["sites"], 0)
        self.assertGreater(link["sent_frames"], 0)
        self.assertGreater(link["received_frames"], 0)
        self.assertLess(link["heard_ms"], 30000)

    def test_what_a_peer_of_a_peer_holds_is_known(self):
        nodes = self.mesh(3, dials=lambda i, j: j == i - 1)
        execute(nodes[2].path, "INSERT INTO notes VALUES('x', 1, 2)")
        site = site_of(nodes[2].path)

        def passed_on():
            far = known(nodes[0].path, "n2")
            return (far is not None and not far["linked"] and far["exact"]
                    and far["lacks"]["sites"] == 0
                    and site in status(nodes[0].path)["vv"])
        wait_until(passed_on, "what n2 holds to come to n0")
        self.assertEqual(known(nodes[0].path, "n2")["site"], site)
        _, out, _ = run("status", nodes[0].path)
        self.assertRegex(out, r"known +n2 \(%s\), heard .* ago by way of "
                         r"others: lacks nothing\n" % site[:8])

    def test_watch_prints_rows_and_links_as_they_come(self):
        nodes = self.mesh(2)
        words = Watch(self, nodes[0].path)
        watch = Watch(self, nodes[0].path, "--json")
        self.assertEqual(json.loads(watch.lines[0])["watching"], True)
        execute(nodes[0].path, "INSERT INTO notes VALUES('here', 1, 2)")
        execute(nodes[1].path, "INSERT INTO notes VALUES('there', 1, 2)")
        wait_until(lambda: len(watch.events("row")) == 2, "two rows")
        execute(nodes[1].path, "DELETE FROM notes WHERE id = 'here'")
        wait_until(lambda: len(watch.events("row")) == 3, "a third row")
        rows = {event["key"]: event for event in watch.events("row")[:2]}
        self.assertTrue(rows["'here'"]["local"])
        self.assertFalse(rows["'there'"]["local"])
        self.assertEqual(rows["'there'"]["name"], "n1")
        self.assertEqual(rows["'there'"]["site"], site_of(nodes[1].path))
        self.assertEqual(rows["'there'"]["table"], "notes")
        last = watch.events("row")[2]
        self.assertEqual((last["key"], last["alive"], last["local"]),
                         ("'here'", False, False))
        self.assertEqual(nodes[1].stop(), 0)
        wait_until(lambda: watch.events("link"), "the link to go")
        self.assertEqual(watch.events("link")[0]["state"], "down")
        wait_until(lambda: any("lost the link with n1" in line
                               for line in words.lines), "words of it")
        self.assertTrue(any(line.endswith("notes 'there' written by n1")
                            for line in words.lines), words.lines)
        self.assertTrue(any(line.endswith("notes 'here' deleted by n1")
                            for line in words.lines), words.lines)
        self.assertEqual(nodes[0].stop(), 0)
        self.assertEqual(watch.process.wait(LIMIT_S), 3)
        self.assertEqual(run("watch", nodes[0].path)[0], 3)

    def test_a_commit_of_very_many_rows_is_cut_short(self):
        node = self.start(self.database("a.db"))
        watch = Watch(self, node.path, "--json")
        execute(node.path, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT"
                " i + 1 FROM n WHERE i < 3000) INSERT INTO notes"
                " SELECT i, 'a', 'b' FROM n")
        wait_until(lambda: watch.events("more rows"), "the end of the rows")
        self.assertEqual(len(watch.events("row")), 1000)

    def test_who_reads_too_slowly_misses_lines_and_is_told(self):
        node = self.start(self.database("a.db"))
        directory = os.open(node.path + "-gv", os.O_PATH)
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        client.settimeout(LIMIT_S)
        client.connect("/proc/self/fd/%d/control" % directory)
        os.close(directory)
        client.sendall(b'{"op":"watch"}\n')
        stream = client.makefile("rb")
        self.assertTrue(json.loads(stream.readline())["watching"])
        for round_ in range(20):
            execute(node.path, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
                    " SELECT i + 1 FROM n WHERE i < 900) INSERT INTO notes"
                    " SELECT %d || '-' || hex(zeroblob(100)) || i, 'a', 'b'"
                    " FROM n" % round_)
            wait_until(lambda: status(node.path)["journal"] == 0, "the seal")
        seen = lost = 0
        execute(node.path, "INSERT INTO notes VALUES('last', 1, 2)")
        while lost == 0:
            event = json.loads(stream.readline())
            seen += event["event"] == "row"
            if event["event"] == "lost":
                lost = event["count"]
            elif seen % 500 == 0:
                execute(node.path, "UPDATE notes SET a = ? WHERE id = 'last'",
                        ("%d" % seen,))
        self.assertLess(seen, 18000)
        self.assertGreater(lost, 1000)
        self.assertTrue(node.status()["running"])

    def test_eight_watch_and_the_ninth_is_told_so(self):
        node = self.start(self.database("a.db"))
        watches = [Watch(self, node.path) for _ in range(8)]
        code, _, err = run("watch", node.path)
        self.assertEqual(code, 1)
        self.assertIn("8 others watch this node already", err)
        watches[0].end()
        wait_until(lambda: Watch(self, node.path).process.poll() is None,
                   "room for another one")


if __name__ == "__main__":
    unittest.main()
