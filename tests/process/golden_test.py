"""Every help text and every error, as a transcript that is reviewed as a
difference.  `golden_test.py --update` writes the transcripts anew."""
import os
import re
import shutil
import signal
import socket
import sys
import time
import unittest

from mesh import (Case, execute, free_endpoint, free_port, run, status,
                  wait_until)

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden")
UPDATE = "--update" in sys.argv


class Golden(Case):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.lines = []
        self.hidden = {}  # texts that differ from run to run

    def say(self, text):
        for secret, name in self.hidden.items():
            text = text.replace(secret, name)
        text = text.replace(self.directory, "DIR")
        text = re.sub(r"(?m)^\d\d:\d\d:\d\d\.\d{3}", "TIME", text)
        text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", "DAY", text)
        self.lines.append(text)

    def command(self, *arguments):
        """Run it in the test's directory and write down what it says."""
        code, out, err = run(*arguments, cwd=self.directory)
        self.say("$ grapevine " + " ".join(
            "'%s'" % a if " " in a else a for a in arguments) + "\n")
        self.say(out + err)
        self.say("[%d]\n\n" % code)
        return code

    def compare(self, name):
        path = os.path.join(HERE, name + ".txt")
        transcript = "".join(self.lines)
        if UPDATE:
            with open(path, "w", encoding="utf-8") as golden:
                golden.write(transcript)
        with open(path, encoding="utf-8") as golden:
            self.assertEqual(golden.read(), transcript)

    def test_help(self):
        self.command("help")
        for name in ("track", "untrack", "run", "status", "verify", "blame",
                     "backup", "discover", "lab", "watch", "wait", "help"):
            self.command("help", name)
            self.assertEqual(run("help", name), run(name, "--help"))
        self.assertEqual(run("help"), run("--help"))
        self.compare("help")

    def test_version(self):
        code, out, err = run("--version")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"^grapevine \d+\.\d+\.\d+\n$")

    def test_usage(self):
        for arguments in (
                (), ("dance",), ("--dance",), ("help", "dance"),
                ("help", "run", "lab"), ("track",), ("track", "a.db"),
                ("track", "a.db", "t", "u"), ("track", "--all", "a.db", "t"),
                ("track", "a.db", "-dash"),
                ("untrack",), ("untrack", "a.db"),
                ("untrack", "--all", "a.db", "t"),
                ("run",), ("run", "a.db", "b.db"), ("run", "a.db", "--mesh"),
                ("run", "a.db", "--http", "x"), ("status",),
                ("status", "--xml", "a.db"), ("verify",),
                ("verify", "a.db", "b.db"), ("blame",), ("blame", "a.db", "t"),
                ("blame", "--who", "a.db", "t", "k"), ("backup", "a.db"),
                ("backup", "a.db", "b.db", "c.db"), ("lab",), ("lab", "dance"),
                ("lab", "up"), ("lab", "up", "none"), ("lab", "up", "0"),
                ("lab", "up", "65"), ("lab", "up", "2", "--topology", "x"),
                ("lab", "up", "2", "--dir"), ("lab", "down", "now"),
                ("lab", "status", "--topology", "line"), ("watch",),
                ("watch", "--xml", "a.db"), ("wait", "a.db"),
                ("wait", "--converged"),
                ("wait", "a.db", "--converged", "--peers", "0"),
                ("wait", "a.db", "--converged", "--timeout", "soon"),
                ("wait", "a.db", "--converged", "--timeout", "2d")):
            self.assertEqual(self.command(*arguments), 2, arguments)
        self.compare("usage")

    def test_files(self):
        os.mkdir(self.file("folder"))
        with open(self.file("text.db"), "w", encoding="utf-8") as text:
            text.write("This is not a database, as anyone can read.\n")
        for command in (("run",), ("status",), ("verify",), ("track",),
                        ("blame",), ("untrack",), ("watch",)):
            for name in ("none.db", "folder", "text.db"):
                table = {"track": ("t",), "blame": ("t", "k"),
                         "untrack": ("t",)}.get(
                    command[0], ())
                self.assertEqual(self.command(*command, name, *table), 1)
        self.compare("files")

    def test_tables(self):
        execute(self.file("a.db"), "CREATE TABLE plain(x)")
        for sql in ("CREATE TABLE good(id TEXT PRIMARY KEY, x)",
                    "CREATE TABLE numbered(id INTEGER PRIMARY KEY, x)",
                    "CREATE TABLE pair(id TEXT PRIMARY KEY, x UNIQUE)",
                    "CREATE TABLE indexed(id TEXT PRIMARY KEY, x)",
                    "CREATE UNIQUE INDEX indexed_x ON indexed(x)",
                    "CREATE TABLE nocase(id TEXT COLLATE NOCASE PRIMARY KEY)",
                    "CREATE VIRTUAL TABLE words USING fts5(word)",
                    "CREATE VIEW seen AS SELECT * FROM good"):
            execute(self.file("a.db"), sql)
        for table in ("none", "plain", "pair", "indexed", "nocase", "words",
                      "seen", "gv_meta", "sqlite_schema"):
            self.assertEqual(self.command("track", "a.db", table), 1)
        self.assertEqual(
            execute(self.file("a.db"), "SELECT count(*) FROM sqlite_schema "
                                       "WHERE name GLOB 'gv_*'"), [(0,)])
        for table in ("good", "good", "numbered"):
            self.assertEqual(self.command("track", "a.db", table), 0)
        for arguments in (("none",), ("none", "--purge"), ("plain",)):
            self.assertEqual(self.command("untrack", "a.db", *arguments), 1)
        for arguments in (("good",), ("good", "--purge"),
                          ("numbered", "--purge")):
            self.assertEqual(self.command("untrack", "a.db", *arguments), 0)
        self.compare("tables")

    def test_run(self):
        self.database("a.db")
        port = free_port()
        self.hidden[str(port)] = "PORT"
        with open(self.file("peers"), "w", encoding="utf-8") as peers:
            peers.write("# our peers\ntcp://127.0.0.1:7401\nlocalhost\n")
        with socket.socket() as taken:
            # Connections of another test may not have been forgotten yet.
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", port))
            taken.listen()
            for arguments in (
                    (), ("--mesh", ""), ("--mesh", "m", "--name", "x" * 256),
                    ("--mesh", "m", "--listen", "127.0.0.1:7401"),
                    ("--mesh", "m", "--listen", "tcp://127.0.0.1"),
                    ("--mesh", "m", "--listen", "tcp://127.0.0.1:99999"),
                    ("--mesh", "m", "--listen", "tcp://0.0.0.0:7401"),
                    ("--mesh", "m", "--listen", "tcp://*:7401"),
                    ("--mesh", "m", "--peer", "udp://127.0.0.1:7401"),
                    ("--mesh", "m", "--peer", "tcp://192.0.2.1:7401"),
                    ("--mesh", "m", "--advertise", "tcp://192.0.2.1:7401"),
                    ("--mesh", "m", "--peers", "peers")):
                self.assertEqual(self.command("run", "a.db", *arguments), 2)
            for arguments in (
                    ("--mesh", "m", "--peers", "none"),
                    ("--mesh", "m", "--listen",
                     "tcp://127.0.0.1:%d" % port)):
                self.assertEqual(self.command("run", "a.db", *arguments), 1)
        self.compare("run")

    def test_mesh(self):
        self.database("a.db")
        node = self.node(self.file("a.db"), mesh="first").ready()
        self.command("run", "a.db", "--mesh", "first")
        self.assertEqual(node.stop(), 0)
        self.command("run", "a.db", "--mesh", "second")
        # The mesh's name is kept, so it needs not be said again.
        self.node(self.file("a.db"), mesh=None).ready()
        self.compare("mesh")

    def test_other_mesh(self):
        endpoint = "tcp://127.0.0.1:%d" % free_port()
        a = self.node(self.database("a.db"), "--listen", endpoint, "--name",
                      "a", mesh="first").ready()
        b = self.node(self.database("b.db"), "--peer", endpoint, "--name",
                      "b", mesh="second").ready()
        wait_until(lambda: b.status()["links"][0]["state"] == "refused",
                   "the refusal")
        self.hidden[endpoint] = "ENDPOINT"
        self.say(b.status()["links"][0]["reason"] + "\n")
        self.assertEqual([l for l in a.status()["links"]
                          if l["state"] == "up"], [])
        self.compare("other_mesh")

    def test_lab(self):
        self.assertEqual(self.command("lab", "status"), 3)
        self.assertEqual(self.command("lab", "down"), 3)
        os.mkdir(self.file("odd"))
        with open(self.file("odd/lab.json"), "w", encoding="utf-8") as odd:
            odd.write("[]")
        self.assertEqual(self.command("lab", "status", "--dir", "odd"), 1)
        self.assertEqual(
            self.command("lab", "up", "2", "--dir", "none/such"), 1)
        self.compare("lab")

    def test_create(self):
        node = self.node(self.file("new.db"), "--create", "--name", "me")
        node.ready()
        self.hidden[node.status()["site"][:8]] = "SITE"
        self.say(node.log())
        self.assertEqual(node.stop(), 0)
        self.compare("create")

    def hide_site(self, path, name):
        self.hidden[status(path)["site"]] = name

    def test_blame(self):
        a, b = (self.database(name) for name in ("a.db", "b.db"))
        endpoint = free_endpoint()
        options = {a: ("--name", "kiosk", "--listen", endpoint),
                   b: ("--name", "van", "--peer", endpoint)}
        execute(a, "INSERT INTO notes VALUES('x', 'one', 1)")
        nodes = [self.node(path, *options[path]) for path in (a, b)]
        self.wait_equal([node.ready() for node in nodes])
        # The second does not hear of the first's edit before its own.
        nodes[1].process.send_signal(signal.SIGSTOP)
        execute(a, "UPDATE notes SET a = 'two'")
        edited = time.time()
        # Of two edits in one millisecond either may win.
        wait_until(lambda: time.time() > edited + 0.01, "a tick")
        execute(b, "UPDATE notes SET a = char(246) || 'ne', b = NULL")
        nodes[1].process.send_signal(signal.SIGCONT)
        self.wait_equal(nodes)
        self.hide_site(a, "SITE-A")
        self.hide_site(b, "SITE-B")
        self.assertEqual(self.command("blame", "b.db", "notes", "x"), 0)
        execute(a, "DELETE FROM notes")
        self.wait_equal(nodes)
        self.command("blame", "b.db", "notes", "x")
        self.command("blame", "a.db", "notes", "y")
        self.command("blame", "a.db", "notes", "x", "y")
        self.command("blame", "a.db", "none", "x")
        self.assertEqual([node.stop() for node in nodes], [0, 0])
        execute(a, "INSERT INTO notes(id) VALUES('new')")
        self.command("blame", "a.db", "notes", "new")
        self.compare("blame")

    def test_status(self):
        path = self.database("a.db")
        execute(path, "INSERT INTO notes VALUES('x', '', '')")
        state = run("status", path)[1]
        self.hidden[re.search("site +([0-9a-f]{32})", state).group(1)] = "SITE"
        self.command("status", "a.db")
        shutil.copy(path, self.file("b.db"))
        self.command("verify", "a.db")
        self.compare("status")


if __name__ == "__main__":
    unittest.main(argv=[a for a in sys.argv if a != "--update"])
