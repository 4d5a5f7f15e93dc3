"""The control socket: its path, its rights, garbage, many clients."""
import json
import os
import resource
import socket
import stat
import unittest

from mesh import LIMIT_S, Case, connect, run, status, wait_until


def call(path, text):
    """Connect as the command does, send bytes; the socket."""
    directory = os.open(path + "-gv", os.O_PATH)
    try:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(LIMIT_S)
        client.connect("/proc/self/fd/%d/control" % directory)
    finally:
        os.close(directory)
    if text:
        client.sendall(text)
    return client


def answer(client):
    return json.loads(client.makefile("rb").readline())


class Control(Case):
    def test_a_path_over_107_bytes_works(self):
        deep = self.directory
        for _ in range(6):
            deep = os.path.join(deep, "d" * 40)
        os.makedirs(deep)
        path = self.database(os.path.join(deep, "a.db"))
        self.assertGreater(len(path + "-gv/control"), 200)
        node = self.node(path).ready()
        self.assertTrue(node.status()["running"])
        self.assertEqual(node.stop(), 0)

    def test_only_the_owner_may_ask(self):
        node = self.node(self.database("a.db")).ready()
        mode = os.stat(node.path + "-gv/control").st_mode
        self.assertEqual(stat.S_IMODE(mode), 0o600)
        mode = os.stat(node.path + "-gv").st_mode
        self.assertEqual(stat.S_IMODE(mode), 0o700)

    def test_garbage_gets_an_error_and_harms_nobody(self):
        node = self.node(self.database("a.db")).ready()
        for garbage in (b"\n", b"hello\n", b"[]\n", b"{}\n", b"\0\xff\n",
                        b'{"op":"dance"}\n', b'{"op":7}\n',
                        b'{"op":"track"}\n', b"[" * 5000 + b"\n"):
            with call(node.path, garbage) as client:
                error = answer(client)["error"]
                self.assertTrue(error["what"])
        self.assertTrue(node.status()["running"])

    def test_a_comparison_that_nobody_makes_is_not_waited_for(self):
        node = self.node(self.database("a.db")).ready()
        with call(node.path, b'{"op":"proof","number":7}\n') as client:
            self.assertIn("ended", answer(client)["error"]["what"])

    def test_without_descriptors_who_asks_is_turned_away(self):
        # Who could not be accepted would wait, and the node not rest.
        node = self.node(self.database("a.db")).ready()
        pid = node.process.pid
        wait_until(lambda: node.status()["running"], "an answer")
        most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        used = os.listdir("/proc/%d/fd" % pid)
        resource.prlimit(pid, resource.RLIMIT_NOFILE,
                         (max(map(int, used)) + 1, most[1]))
        with call(node.path, b"") as client:
            self.assertEqual(client.recv(1), b"")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, most)
        self.assertTrue(node.status()["running"])

    def test_a_line_without_end_is_cut_off(self):
        node = self.node(self.database("a.db")).ready()
        with call(node.path, b"") as client:
            with self.assertRaises(OSError):
                for _ in range(1000):
                    client.sendall(b"x" * 4096)
        self.assertTrue(node.status()["running"])

    def test_several_requests_a_connection_and_half_lines(self):
        node = self.node(self.database("a.db")).ready()
        with call(node.path, b'{"op":"status"}\n{"op":"sta') as client:
            lines = client.makefile("rb")
            self.assertTrue(json.loads(lines.readline())["running"])
            client.sendall(b'tus"}\n')
            self.assertTrue(json.loads(lines.readline())["running"])

    def test_clients_that_say_nothing_do_not_keep_others_out(self):
        node = self.node(self.database("a.db")).ready()
        silent = [call(node.path, b"") for _ in range(10)]
        self.assertTrue(node.status()["running"])
        for client in silent:
            client.close()
        self.assertTrue(node.status()["running"])

    def test_stop_closes_the_connection_when_the_file_is_free(self):
        node = self.node(self.database("a.db")).ready()
        with call(node.path, b'{"op":"stop"}\n') as client:
            self.assertTrue(answer(client)["stopping"])
            self.assertEqual(client.recv(1), b"")
        self.assertFalse(status(node.path)["running"])
        self.assertEqual(node.process.wait(LIMIT_S), 0)

    def test_a_socket_left_by_kill_9_is_no_node(self):
        node = self.node(self.database("a.db")).ready()
        node.process.kill()
        node.process.wait()
        self.assertTrue(os.path.exists(node.path + "-gv/control"))
        self.assertFalse(status(node.path)["running"])
        self.assertTrue(self.node(node.path).ready().status()["running"])

    def test_a_second_node_on_the_file_is_refused(self):
        node = self.node(self.database("a.db")).ready()
        code, _, err = run("run", node.path, "--mesh", "test")
        self.assertEqual(code, 1)
        self.assertIn("Another node runs", err)
        self.assertTrue(node.status()["running"])

    def test_status_never_keeps_a_node_from_starting(self):
        path = self.database("a.db")
        for _ in range(5):
            node = self.node(path)
            wait_until(lambda: status(path)["running"], "the node")
            self.assertEqual(node.stop(), 0)

    def test_a_transaction_that_others_keep_open_is_told(self):
        node = self.node(self.database("a.db")).ready()
        db = connect(node.path)
        self.addCleanup(db.close)

        def kept_open():
            """With something to publish, which waits for its end."""
            db.execute("INSERT INTO notes VALUES(hex(randomblob(8)), '', '')")
            db.execute("BEGIN IMMEDIATE")
            if db.execute("SELECT count(*) FROM gv_journal").fetchone()[0]:
                return True
            db.execute("ROLLBACK")  # the node was faster
            return False
        wait_until(kept_open, "a transaction that begins before the seal")
        told = wait_until(lambda: node.status()["warnings"], "a warning")
        self.assertIn("kept a writing transaction open", told[0])
        code, _, err = run("track", node.path, "notes")
        self.assertEqual(code, 1)
        self.assertIn("Let it COMMIT or ROLLBACK", err)
        db.execute("COMMIT")
        wait_until(lambda: not node.status()["warnings"]
                   and node.status()["journal"] == 0, "an end of it")


if __name__ == "__main__":
    unittest.main()
