"""Peers that cannot be reached, do not belong here, or send anything at all:
the node says what is wrong, lives, and goes on syncing with its friends."""
import os
import random
import socket
import unittest

from mesh import (LIMIT_S, Case, execute, free_endpoint, links_up,
                  wait_until)
from peer import (ACK, BAD_MESSAGE, BYE, COMMAND, DELTA, GREETING, HELLO, LONG,
                  MORE, NEWS, OTHER_MESH, OTHER_VERSION, SAY_HELLO, VV, WANT,
                  Connection, Peer, address, encode, framed, pack, zmtp_frame,
                  zmtp_ready)


class Hostile(Case):
    """A node and its friend; each test ends with proof that they sync."""

    def setUp(self):
        super().setUp()
        self.endpoint = free_endpoint()
        self.a = self.start(self.database("a.db"), self.endpoint)
        self.friend = self.start(self.database("friend.db"),
                                 peers=[self.endpoint])
        wait_until(lambda: links_up(self.a.path) == 1, "the link")
        execute(self.a.path, "INSERT INTO notes VALUES('before', '', '')")
        self.wait_equal([self.a, self.friend])
        self.before = self.a.status()

    def still_syncs(self, changed=False):
        """It runs, holds what it held, and both ways are open."""
        if not changed:
            state = self.a.status()
            self.assertEqual(state["vv"], self.before["vv"])
            self.assertEqual(state["fingerprint"], self.before["fingerprint"])
        execute(self.a.path, "INSERT INTO notes VALUES('out', '', '')")
        execute(self.friend.path, "INSERT INTO notes VALUES('in', '', '')")
        self.wait_equal([self.a, self.friend])
        for node in (self.a, self.friend):
            self.assertIsNone(node.process.poll())
            self.assertEqual(execute(node.path, "SELECT id FROM notes "
                                                "ORDER BY id"),
                             [("before",), ("in",), ("out",)])
        self.verify(self.a.path)
        self.assertEqual(self.a.stop(), 0)

    def connection(self):
        connection = Connection(self.endpoint)
        self.addCleanup(connection.close)
        return connection

    def peer(self, **settings):
        peer = Peer(self.endpoint, **settings)
        self.addCleanup(peer.close)
        return peer

    def bye(self, connection):
        """The reason of the BYE that comes."""
        return wait_until(lambda: connection.messages(BYE), "a BYE")[0][1:]

    def link(self, node, endpoint):
        return [link for link in node.status()["links"]
                if link["endpoint"] == endpoint][0]


class Unreachable(Hostile):
    def test_a_peer_that_is_not_there_is_said_and_tried_until_it_is(self):
        later = free_endpoint()
        self.assertEqual(self.a.stop(), 0)
        self.a = self.start(self.a.path, self.endpoint, [later])
        wait_until(lambda: "cannot reach " + later in self.a.log(), "the log")
        wait_until(lambda: self.link(self.a, later).get("reason"), "a reason")
        self.assertNotEqual(self.link(self.a, later)["state"], "up")
        wait_until(lambda: links_up(self.a.path) == 1, "the friend")
        late = self.start(self.database("late.db"), later)
        wait_until(lambda: self.link(self.a, later)["state"] == "up",
                   "the peer that came")
        self.wait_equal([self.a, late, self.friend])
        self.assertEqual(self.a.log().count("cannot reach " + later), 1)
        self.still_syncs()

    def test_a_misspelt_host_is_said_and_harms_nobody(self):
        wrong = "tcp://lokalhost.invalid:7401"
        self.assertEqual(self.a.stop(), 0)
        self.a = self.start(self.a.path, self.endpoint, [wrong])
        wait_until(lambda: "cannot reach " + wrong in self.a.log(), "the log")
        link = wait_until(lambda: [l for l in self.a.status()["links"] if
                                   l["endpoint"] == wrong and l["reason"]],
                          "a reason")[0]
        self.assertIn(link["state"], ("waiting", "connecting"))
        wait_until(lambda: links_up(self.a.path) == 1, "the friend")
        self.still_syncs()

    def test_a_host_that_speaks_something_else_is_said(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            wrong = "tcp://127.0.0.1:%d" % server.getsockname()[1]
            self.assertEqual(self.a.stop(), 0)
            self.a = self.start(self.a.path, self.endpoint, [wrong])
            client = server.accept()[0]
            client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(100))
            wait_until(lambda: "cannot reach " + wrong in self.a.log(),
                       "the log")
            client.close()
        wait_until(lambda: links_up(self.a.path) == 1, "the friend")
        self.still_syncs()


class Strangers(Hostile):
    def test_a_node_of_another_mesh_is_refused_on_both_sides(self):
        other = self.start(self.database("other.db"), None, [self.endpoint],
                           mesh="other")
        execute(other.path, "INSERT INTO notes VALUES('secret', '', '')")
        wait_until(lambda: self.link(other, self.endpoint)["state"]
                   == "refused", "the refusal")
        self.assertIn("mesh", self.link(other, self.endpoint)["reason"])
        self.assertIn("mesh", self.a.log())
        wait_until(lambda: other.status()["journal"] == 0, "the seal")
        self.still_syncs()
        self.assertEqual(execute(other.path, "SELECT id FROM notes"),
                         [("secret",)])

    def test_a_peer_of_another_mesh_hears_why(self):
        peer = self.peer(mesh="other")
        code, text = self.bye(peer)
        self.assertEqual(code, OTHER_MESH)
        self.assertIn("mesh", text)
        self.assertEqual(peer.messages(NEWS), [])
        self.still_syncs()

    def test_a_peer_of_another_protocol_version_hears_why(self):
        for versions in ((1, 1), (3, 4), (2 ** 32 - 1, 2 ** 32 - 1)):
            peer = self.peer(versions=versions)
            code, text = self.bye(peer)
            self.assertEqual(code, OTHER_VERSION)
            self.assertIn("version", text)
        self.assertIn("version", self.a.log())
        self.still_syncs()

    def test_a_newer_peer_that_still_speaks_this_version_is_linked(self):
        self.peer(versions=(2, 9))
        wait_until(lambda: links_up(self.a.path) == 2, "the link")
        self.still_syncs()


class Garbage(Hostile):
    def test_bytes_that_are_not_zeromq_are_hung_up_on(self):
        # Each ends, at the latest when the handshake takes too long.
        draw = random.Random(1)
        streams = []
        for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\0" * 300,
                     b"\xff" * 300, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
                     draw.randbytes(100000), GREETING + b"\xff" * 100,
                     GREETING + draw.randbytes(10000), GREETING[:11], b"",
                     GREETING + zmtp_frame(b"\x05READY\xff\xff", COMMAND),
                     GREETING + zmtp_ready() * 50,
                     b"\x01\x00" + zmtp_frame(b"x") * 20):
            stream = socket.create_connection(address(self.endpoint),
                                              LIMIT_S)
            self.addCleanup(stream.close)
            streams.append(stream)
            try:
                stream.sendall(data)
            except ConnectionError:
                pass
        for stream in streams:
            stream.settimeout(LIMIT_S)
            try:
                while stream.recv(65536):
                    pass
            except ConnectionError:
                pass
        self.still_syncs()

    def test_frames_that_are_no_messages_end_their_link(self):
        draw = random.Random(2)
        vv = pack([VV, 1, b"", 0, bytes(16), 1])
        for frame in (b"", b"\0", b"\x90", b"\xc1", pack([]), pack([0]),
                      pack([99, 1]), pack([NEWS, [b"x"]]), vv[:-1], vv + b"x",
                      pack([HELLO, 2, 2, "test"]), pack([[[[[[[[[[1]]]]]]]]]]),
                      b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff",
                      pack([WANT, b"odd", 1, 1, 0, 0]), pack("test"),
                      draw.randbytes(1000), draw.randbytes(200000),
                      bytes(262144)):
            for body in (frame, framed(frame[:262136])):
                connection = self.connection()
                connection.send(body)
                code, text = self.bye(connection)
                # A message that came before a HELLO, or none at all.
                self.assertIn(code, (SAY_HELLO, BAD_MESSAGE),
                              (body[:20], text))
                connection.close()
        state = self.a.status()
        self.assertGreater(state["counters"]["bad_messages"], 20)
        self.still_syncs()

    def test_frames_over_the_limit_end_their_connection(self):
        for size in (262145, 300000, 2 ** 40):
            connection = self.connection()
            head = zmtp_frame(b"", LONG)[:1] + size.to_bytes(8, "big")
            try:
                connection.send_bytes(head + bytes(min(size, 300000)))
            except ConnectionError:
                pass
            wait_until(lambda: connection.closed, "the end")
            self.assertEqual(connection.frames, [])
        self.still_syncs()

    def test_messages_of_several_frames_are_dropped(self):
        connection = self.connection()
        for body in (b"", b"x", encode(HELLO), bytes(1000)):
            for _ in range(100):
                connection.send(body, MORE)
            connection.send(body)
        # What follows as one frame is heard.
        connection.send(b"\x90")
        self.bye(connection)
        self.still_syncs()

    def test_a_linked_peer_that_sends_nonsense_loses_its_link(self):
        site = os.urandom(16)
        for frame in (b"garbage", pack([NEWS, []]), pack([NEWS, [b"\xc0"]]),
                      pack([NEWS, [pack([site, 5, 4, b"", b""])]]),
                      pack([NEWS, [pack([site, 0, 2 ** 62, b"", b""])]]),
                      pack([NEWS, [pack([site, 0, 7, b"short", b""])]]),
                      pack([NEWS, [pack([site, 0, 7, b"", b"\0\0\0\xff"])]]),
                      pack([NEWS, [pack([site, 0, 7, b"", b"\0\0\0\1\xc0"])]]),
                      pack([VV, 1, bytes(23), 0, bytes(16), 1]),
                      pack([7, site]), pack([8, []])):
            peer = self.peer()
            wait_until(lambda: links_up(self.a.path) == 2, "the link")
            peer.send(framed(frame))
            code, text = self.bye(peer)
            self.assertEqual(code, BAD_MESSAGE, (frame, text))
            peer.close()
            wait_until(lambda: links_up(self.a.path) == 1, "the end")
        self.assertGreater(self.a.status()["counters"]["bad_messages"], 5)
        self.still_syncs()

    def test_a_flood_does_not_fill_the_log(self):
        connection = self.connection()
        bad = self.a.status()["counters"]["bad_messages"]
        for _ in range(4000):
            connection.send(b"\x90")
        wait_until(lambda: self.a.status()["counters"]["bad_messages"]
                   >= bad + 4000, "all of them refused")
        self.assertLess(len(self.a.log().splitlines()), 3000)
        connection.close()
        self.still_syncs()

    def test_an_answer_that_nobody_asked_for_changes_nothing(self):
        peer = self.peer()
        wait_until(lambda: links_up(self.a.path) == 2, "the link")
        site = os.urandom(16)
        peer.delta(4711, b"", site + (7).to_bytes(8, "big"))
        peer.send(encode(ACK, 2 ** 60, 4711, 2 ** 60, True))
        peer.want(1)
        wait_until(lambda: peer.messages(DELTA), "the delta that it asked for")
        self.still_syncs()


if __name__ == "__main__":
    unittest.main()
