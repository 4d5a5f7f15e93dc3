"""gvproxy passes, cuts, heals, delays and drops as its head says."""

import os
import select
import socket
import subprocess
import sys
import time
import unittest

PROXY = sys.argv.pop()
PATIENCE = 120


def listen():
    """A listener on a port below those that the system gives away."""
    for port in range(21000 + os.getpid() % 1000 * 10, 32000):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            listener.close()
            continue
        listener.listen()
        listener.settimeout(PATIENCE)
        return listener
    raise RuntimeError("no free port")


def readable(sock, seconds):
    return bool(select.select([sock], [], [], seconds)[0])


class ProxyTest(unittest.TestCase):
    def setUp(self):
        self.target = listen()
        free = listen()
        self.port = free.getsockname()[1]
        free.close()
        self.proxy = subprocess.Popen(
            [PROXY, "--route", "a-b", str(self.port),
             str(self.target.getsockname()[1])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.assertEqual(self.proxy.stdout.readline(), "ready\n")
        self.sockets = [self.target]

    def tearDown(self):
        self.proxy.stdin.close()
        self.assertEqual(self.proxy.wait(PATIENCE), 0)
        self.proxy.stdout.close()
        for sock in self.sockets:
            sock.close()

    def command(self, line):
        self.proxy.stdin.write(line + "\n")
        self.proxy.stdin.flush()
        return self.proxy.stdout.readline().rstrip("\n")

    def obey(self, line):
        self.assertEqual(self.command(line), "ok")

    def dial(self):
        sock = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        self.sockets.append(sock)
        return sock

    def accept(self):
        sock = self.target.accept()[0]
        sock.settimeout(PATIENCE)
        self.sockets.append(sock)
        return sock

    def pair(self):
        dialler = self.dial()
        return dialler, self.accept()

    def expect(self, sock, data):
        got = b""
        while len(got) < len(data):
            more = sock.recv(len(data) - len(got))
            self.assertNotEqual(more, b"")
            got += more
        self.assertEqual(got, data)

    def test_bytes_and_ends_pass_both_ways(self):
        dialler, target = self.pair()
        dialler.sendall(b"hello")
        self.expect(target, b"hello")
        target.sendall(b"welcome")
        self.expect(dialler, b"welcome")
        dialler.shutdown(socket.SHUT_WR)
        self.assertEqual(target.recv(1), b"")
        target.sendall(b"last")
        target.close()
        self.expect(dialler, b"last")
        self.assertEqual(dialler.recv(1), b"")
        self.assertIn("a-b connections 0 out 5 in 11 cut none delay 0",
                      self.command("stats"))

    def test_much_passes_a_slow_reader_unchanged(self):
        dialler, target = self.pair()
        data = os.urandom(1 << 20) * 8
        dialler.setblocking(False)
        sent, got = 0, bytearray()
        while len(got) < len(data):
            writers = [dialler] if sent < len(data) else []
            ready = select.select([target], writers, [], PATIENCE)
            self.assertTrue(ready[0] or ready[1])
            if ready[1]:
                sent += dialler.send(data[sent:sent + 100000])
            if ready[0]:
                got += target.recv(50000)
        self.assertEqual(bytes(got), data)

    def test_a_cut_holds_everything_and_a_heal_brings_it(self):
        dialler, target = self.pair()
        self.obey("cut a-b")
        dialler.sendall(b"one")
        target.sendall(b"two")
        self.assertFalse(readable(target, 0.3))
        self.assertFalse(readable(dialler, 0))
        self.obey("heal a-b")
        self.expect(target, b"one")
        self.expect(dialler, b"two")

    def test_an_end_inside_a_cut_is_seen_after_the_heal(self):
        dialler, target = self.pair()
        self.obey("cut a-b")
        dialler.close()
        self.assertFalse(readable(target, 0.3))
        self.obey("heal a-b")
        self.assertEqual(target.recv(1), b"")

    def test_a_cut_of_one_way_leaves_the_other(self):
        dialler, target = self.pair()
        self.obey("cut a-b in")
        target.sendall(b"held")
        dialler.sendall(b"passes")
        self.expect(target, b"passes")
        self.assertFalse(readable(dialler, 0.3))
        self.obey("heal a-b")
        self.expect(dialler, b"held")
        self.obey("cut a-b out")
        dialler.sendall(b"held")
        target.sendall(b"passes")
        self.expect(dialler, b"passes")
        self.assertFalse(readable(target, 0.3))

    def test_a_heal_of_one_way_leaves_the_other_cut(self):
        dialler, target = self.pair()
        self.obey("cut a-b")
        dialler.sendall(b"out")
        target.sendall(b"in")
        self.obey("heal a-b out")
        self.expect(target, b"out")
        self.assertFalse(readable(dialler, 0.3))
        self.obey("heal a-b in")
        self.expect(dialler, b"in")

    def test_loss_holds_up_and_loses_nothing(self):
        dialler, target = self.pair()
        self.obey("loss a-b 50")
        start = time.monotonic()
        data = os.urandom(200000)
        dialler.sendall(data)
        self.expect(target, data)
        # Of 139 segments one is lost at all but 2 in 10^42 times.
        self.assertGreaterEqual(time.monotonic() - start, 0.199)
        self.obey("loss a-b 0")
        dialler.sendall(b"whole")
        self.expect(target, b"whole")

    def test_who_dials_into_a_cut_is_closed_at_the_heal(self):
        self.obey("cut a-b")
        dialler = self.dial()
        dialler.sendall(b"anyone?")
        self.assertFalse(readable(dialler, 0.3))
        self.assertFalse(readable(self.target, 0))
        self.obey("heal a-b")
        self.assertTrue(readable(dialler, PATIENCE))
        with self.assertRaises(ConnectionResetError):
            dialler.recv(1)
        dialler, target = self.pair()
        dialler.sendall(b"hello")
        self.expect(target, b"hello")

    def test_a_full_cut_holds_a_bounded_amount(self):
        dialler, _ = self.pair()
        self.obey("cut a-b")
        dialler.settimeout(1)
        with self.assertRaises(TimeoutError):
            dialler.sendall(bytes(64 << 20))
        with open("/proc/%d/statm" % self.proxy.pid) as statm:
            pages = int(statm.read().split()[1])
        self.assertLess(pages * os.sysconf("SC_PAGESIZE"), 64 << 20)

    def test_a_delay_delays_and_keeps_order(self):
        dialler, target = self.pair()
        self.obey("delay a-b 300")
        start = time.monotonic()
        for i in range(50):
            dialler.sendall(b"%02d" % i)
        self.expect(target, b"".join(b"%02d" % i for i in range(50)))
        self.assertGreaterEqual(time.monotonic() - start, 0.299)

    def test_drop_resets_both_ends(self):
        dialler, target = self.pair()
        self.obey("drop a-b")
        for end in dialler, target:
            self.assertTrue(readable(end, PATIENCE))
            with self.assertRaises(ConnectionResetError):
                end.recv(1)

    def test_a_target_that_is_not_there_resets_the_dialler(self):
        self.target.close()
        # The reset may come while the dialler still connects.
        with self.assertRaises(ConnectionResetError):
            dialler = self.dial()
            self.assertTrue(readable(dialler, PATIENCE))
            dialler.recv(1)

    def test_bad_commands_are_answered(self):
        for line in ("cut", "cut x", "cut a-b sideways",
                     "heal a-b sideways", "loss a-b 91", "loss a-b much",
                     "delay a-b", "delay a-b -1", "jump a-b", "heal a-b now",
                     ""):
            self.assertTrue(self.command(line).startswith("error "), line)
        self.obey("cut a-b")

    def test_an_idle_proxy_sleeps(self):
        dialler, target = self.pair()
        other = self.dial()
        self.accept()
        self.obey("cut a-b")
        dialler.close()
        target.close()
        other.shutdown(socket.SHUT_WR)
        self.dial().close()

        def switches():
            """How often it fell asleep; None: it does not sleep now."""
            with open("/proc/%d/status" % self.proxy.pid) as file:
                status = dict(line.split(":\t", 1) for line in file)
            return (int(status["voluntary_ctxt_switches"])
                    if status["State"].startswith("S") else None)

        # Looks in a row that find it in one and the same sleep.
        end, before, same = time.monotonic() + PATIENCE, None, 0
        while same < 100:
            self.assertLess(time.monotonic(), end, "it does not rest")
            time.sleep(0.002)
            now = switches()
            same = same + 1 if now is not None and now == before else 0
            before = now


if __name__ == "__main__":
    unittest.main()
