"""One machine of a scenario: a file, a node, an application, and a clock that
may be wrong."""

import ctypes
import os
import signal
import sqlite3
import struct
import subprocess
import sys

from nodes import COMMAND_SECONDS, MESH, Failure, Node, wait_until

CREATE_TABLE = """CREATE TABLE contacts(id TEXT PRIMARY KEY, name TEXT,
    phone TEXT, email TEXT, calls INTEGER)"""
HERE = os.path.dirname(os.path.abspath(__file__))
SET_PARENT_DEATH_SIGNAL = 1
libc = ctypes.CDLL(None)


def die_with_parent():
    """Runs in the child. However the lab ends, nothing goes on running."""
    libc.prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


class Host(Node):
    def __init__(self, number, grapevine, directory, network, clock):
        super().__init__(number, grapevine, directory, None)
        self.network = network
        self.ledger = os.path.join(self.directory, "ledger")
        self.clock_library = clock
        self.clock_file = os.path.join(self.directory, "clock")
        self.clock_ahead = 0
        self.writer = None
        self.unread = b""
        self.paused = False
        self.dead = True
        self.starts = []     # the ids of its processes
        self.sites = set()   # as which it has published
        self.was_ahead = 0   # the most that its clock has been

    def prepare(self):
        os.makedirs(self.directory)
        with sqlite3.connect(self.file) as db:
            db.execute(CREATE_TABLE)
        db.close()
        done = subprocess.run([self.command, "track", self.file, "contacts",
                               "--counter", "calls"], text=True,
                              capture_output=True, timeout=COMMAND_SECONDS)
        if done.returncode != 0:
            raise Failure("track failed on node %d: %s"
                          % (self.number, done.stderr.strip()))
        self.set_clock(0)

    def set_clock(self, seconds):
        with open(self.clock_file, "r+b" if os.path.exists(self.clock_file)
                  else "wb") as file:
            file.write(struct.pack("=q", int(seconds * 1000)))
        self.clock_ahead = seconds
        self.was_ahead = max(self.was_ahead, seconds)

    def environment(self):
        """The node's and the application's: they share the clock."""
        settings = dict(os.environ)
        if self.clock_library:
            settings.update(LD_PRELOAD=self.clock_library,
                            GVCLOCK=self.clock_file)
            # A sanitizer's run time wants to be the first library.
            settings["ASAN_OPTIONS"] = ":".join(filter(None, [
                settings.get("ASAN_OPTIONS"), "verify_asan_link_order=0"]))
        return settings

    def launch(self):
        arguments = (self.network.prefix(self.number)
                     + [self.command, "run", self.file]
                     + self.network.options(self.number)
                     + ["--mesh", MESH, "--name", "node%d" % self.number])
        with open(self.log, "ab") as log:
            self.log_start = log.tell()
            self.process = subprocess.Popen(
                arguments, stderr=log, stdout=log, stdin=subprocess.DEVNULL,
                env=self.environment(), preexec_fn=die_with_parent)
        self.starts.append(self.process.pid)
        self.dead = False

    def is_ready(self):
        self.check_alive()
        with open(self.log, "rb") as log:
            log.seek(self.log_start)
            return b"ready:" in log.read()

    def launch_writer(self, seed):
        self.writer = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "writer.py"), self.file,
             str(self.number), str(seed), self.ledger],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=self.environment(), preexec_fn=die_with_parent)
        os.set_blocking(self.writer.stdout.fileno(), False)

    def tell_writer(self, *words):
        try:
            self.writer.stdin.write((" ".join(words) + "\n").encode())
            self.writer.stdin.flush()
        except OSError as error:
            raise Failure("the application on node %d ended by itself"
                          % self.number) from error

    def answers(self):
        """What the application said since."""
        self.unread += self.writer.stdout.read() or b""
        *lines, self.unread = self.unread.split(b"\n")
        if self.writer.poll() is not None:
            raise Failure("the application on node %d ended by itself with"
                          " code %d" % (self.number, self.writer.returncode))
        return [line.decode().split() for line in lines]

    def check_alive(self):
        if not self.dead:
            super().check_alive()

    def kill(self, name):
        self.process.send_signal(getattr(signal, "SIG" + name))
        try:
            code = self.process.wait(COMMAND_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise Failure("node %d does not stop" % self.number) from error
        self.dead = True
        if name == "TERM" and code != 0:
            raise Failure("node %d stopped with code %d (see %s)"
                          % (self.number, code, self.log))

    def pause(self, is_paused):
        """The whole machine stands still: node and application."""
        number = signal.SIGSTOP if is_paused else signal.SIGCONT
        if not self.dead:
            self.process.send_signal(number)
        self.writer.send_signal(number)
        self.paused = is_paused

    def back_up(self):
        """A copy of what is committed, as a backup program makes it."""
        copy = self.file + ".backup"
        if os.path.exists(copy):
            os.unlink(copy)
        source, target = sqlite3.connect(self.file), sqlite3.connect(copy)
        source.backup(target)
        source.close()
        target.close()

    def put_back(self):
        """The backup over the file; neither node nor application has it
        open."""
        for end in ("", "-wal", "-shm"):
            if os.path.exists(self.file + end):
                os.unlink(self.file + end)
        with open(self.file + ".backup", "rb") as source, \
                open(self.file, "wb") as target:
            target.write(source.read())

    def rows(self, where="1"):
        db = sqlite3.connect(self.file, timeout=5)
        try:
            return db.execute("SELECT id, name, phone, email, calls FROM"
                              " contacts WHERE %s ORDER BY id"
                              % where).fetchall()
        finally:
            db.close()

    def marks(self):
        """The ids of the marks in the file; they sort before all else."""
        db = sqlite3.connect("file:%s?mode=ro" % self.file, uri=True,
                             timeout=5)
        try:
            return {row[0][1:] for row in db.execute(
                "SELECT id FROM contacts WHERE id < '!'")}
        except sqlite3.OperationalError:
            return set()  # busy; or just being put back
        finally:
            db.close()

    def verify(self):
        """What `verify` found wrong, None if nothing."""
        done = subprocess.run([self.command, "verify", self.file], text=True,
                              capture_output=True, timeout=COMMAND_SECONDS)
        if done.returncode == 0:
            return None
        return "verify on node %d: %s" % (
            self.number, (done.stdout + done.stderr).strip())

    def end(self):
        """End all of it at once; the code of a node that was to stop
        cleanly."""
        code = 0
        if self.paused:
            self.pause(False)
        if self.process is not None and not self.dead:
            code = self.stop()
            self.dead = True
        if self.writer is not None:
            self.writer.kill()
            self.writer.wait()
            self.writer.stdin.close()
            self.writer.stdout.close()
            self.writer = None
        return code

    def wait_ready(self, patience):
        wait_until(self.is_ready, patience, "node %d is ready" % self.number)
