"""A peer that does what a test tells it, and a tap on a link.

Nothing here uses Grapevine's code or its libraries: the bytes of ZeroMQ's
transport (ZMTP 3.0, https://rfc.zeromq.org/spec/23/), of msgpack and of the
messages (src/wire/README.md) are made and read here once more.
"""
import os
import socket
import struct
import threading
import time

HELLO, NEWS, VV, WANT, DELTA, ACK, PRUNE, PEERS, BYE, CHECK, PROOF = range(
    1, 12)
# Trees, exchange, proofs, resume.
FEATURES = 15
# Reasons of a BYE.
SAY_HELLO, OTHER_MESH, OTHER_VERSION, BAD_MESSAGE = 2, 6, 7, 8

HEARTBEAT_S = 1
PATIENCE_S = 240  # with a machine that is busy elsewhere
MASK = 2 ** 64 - 1

GREETING = (b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0")
            + bytes(32))
MORE, LONG, COMMAND = 1, 2, 4


def zmtp_frame(body, flags=0):
    if len(body) > 255:
        return struct.pack(">BQ", flags | LONG, len(body)) + body
    return struct.pack(">BB", flags, len(body)) + body


def zmtp_ready():
    body = b"\x05READY"
    for name, value in ((b"Socket-Type", b"DEALER"), (b"Identity", b"")):
        body += bytes([len(name)]) + name + struct.pack(">I", len(value))
        body += value
    return zmtp_frame(body, COMMAND)


class Zmtp:
    """Cuts what arrives on one side of a connection into frames."""

    def __init__(self):
        self.data = b""
        self.greeted = False
        self.ready = False

    def feed(self, data):
        """The frames that @data completes, without those of ZMTP itself."""
        self.data += data
        frames = []
        while True:
            frame = self.cut()
            if frame is None:
                return frames
            if frame[0] & COMMAND:
                self.ready = True
            else:
                frames.append(frame[1])

    def cut(self):
        if not self.greeted:
            if len(self.data) < len(GREETING):
                return None
            self.data = self.data[len(GREETING):]
            self.greeted = True
        if len(self.data) < 2:
            return None
        start, size = 2, self.data[1]
        if self.data[0] & LONG:
            if len(self.data) < 9:
                return None
            start, size = 9, struct.unpack(">Q", self.data[1:9])[0]
        if len(self.data) < start + size:
            return None
        frame = (self.data[0], self.data[start:start + size])
        self.data = self.data[start + size:]
        return frame


def pack(value):
    """One msgpack object; bytes are a bin, str is a str."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return bytes([value]) if value < 128 else struct.pack(
            ">BQ", 0xcf, value)
    if isinstance(value, bytes):
        return struct.pack(">BI", 0xc6, len(value)) + value
    if isinstance(value, str):
        text = value.encode()
        return struct.pack(">BI", 0xdb, len(text)) + text
    return struct.pack(">BI", 0xdd, len(value)) + b"".join(map(pack, value))


class Unpacker:
    SIZES = {0xc4: "B", 0xc5: "H", 0xc6: "I", 0xd9: "B", 0xda: "H",
             0xdb: "I", 0xdc: "H", 0xdd: "I", 0xcc: "B", 0xcd: "H",
             0xce: "I", 0xcf: "Q"}

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, size):
        self.at += size
        return self.data[self.at - size:self.at]

    def number(self, form):
        return struct.unpack(">" + form, self.take(struct.calcsize(form)))[0]

    def array(self, count):
        return [self.value() for _ in range(count)]

    def value(self):
        head = self.number("B")
        if head < 0x80:
            return head
        if 0x90 <= head <= 0x9f:
            return self.array(head & 15)
        if 0xa0 <= head <= 0xbf:
            return self.take(head & 31).decode()
        if head in (0xc0, 0xc2, 0xc3):
            return {0xc0: None, 0xc2: False, 0xc3: True}[head]
        number = self.number(self.SIZES[head])
        if head <= 0xc6:
            return self.take(number)
        if head <= 0xcf:
            return number
        if head <= 0xdb:
            return self.take(number).decode()
        return self.array(number)


def unpack(data):
    return Unpacker(data).value()


def hash64(data, key=b"grapevine hash64"):
    """SipHash-2-4, its bytes read big-endian."""
    def rounds(count):
        nonlocal v0, v1, v2, v3
        for _ in range(count):
            v0, v2 = (v0 + v1) & MASK, (v2 + v3) & MASK
            v1, v3 = rotate(v1, 13) ^ v0, rotate(v3, 16) ^ v2
            v0 = (rotate(v0, 32) + v3) & MASK
            v2 = (v2 + v1) & MASK
            v3, v1 = rotate(v3, 21) ^ v0, rotate(v1, 17) ^ v2
            v2 = rotate(v2, 32)

    def rotate(word, bits):
        return (word << bits | word >> (64 - bits)) & MASK

    k0, k1 = struct.unpack("<QQ", key)
    v0, v1 = k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d
    v2, v3 = k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573
    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) & 255])
    for (word,) in struct.iter_unpack("<Q", padded):
        v3 ^= word
        rounds(2)
        v0 ^= word
    v2 ^= 255
    rounds(4)
    return int.from_bytes(struct.pack("<Q", v0 ^ v1 ^ v2 ^ v3), "big")


def framed(message):
    """The frame of @message, which may be any bytes: its hash behind it."""
    return message + struct.pack(">Q", hash64(message))


# The example in src/wire/README.md; made by itself, its msgpack is shortest.
assert (framed(bytes.fromhex("930901a26f6b"))
        == bytes.fromhex("930901a26f6b1b9a036365ca1191"))


def encode(*elements):
    """The frame of a message."""
    return framed(pack(elements))


def kind_of(frame):
    """Of a frame whose hash need not be looked at."""
    return unpack(frame)[0]


def decode(frame):
    """The message in @frame."""
    message = frame[:-8]
    if framed(message) != frame:
        raise ValueError("a frame with a wrong hash")
    return unpack(message)


def vv_bytes(vv):
    """A vector {site bytes: version} as it stands in a message."""
    return b"".join(site + struct.pack(">Q", vv[site]) for site in sorted(vv))


def vv_read(data):
    return {data[i:i + 16]: struct.unpack(">Q", data[i + 16:i + 24])[0]
            for i in range(0, len(data), 24)}


def vv_hash(vv):
    return sum(hash64(vv_bytes({site: vv[site]})) for site in vv) & MASK


def address(endpoint):
    host, port = endpoint[len("tcp://"):].rsplit(":", 1)
    return (host, int(port))


class Connection:
    """A DEALER's connection to a node: sends any frames, keeps what comes."""

    def __init__(self, endpoint):
        self.frames = []
        self.closed = False
        self.ready = threading.Event()
        self.lock = threading.Lock()
        self.socket = socket.create_connection(address(endpoint), PATIENCE_S)
        self.socket.settimeout(None)
        self.send_bytes(GREETING + zmtp_ready())
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        # Whoever speaks before the other side is ready is closed.
        self.ready.wait(PATIENCE_S)

    def send_bytes(self, data):
        with self.lock:
            self.socket.sendall(data)

    def send(self, body, flags=0):
        self.send_bytes(zmtp_frame(body, flags))

    def read(self):
        zmtp = Zmtp()
        while True:
            try:
                data = self.socket.recv(65536)
            except OSError:
                data = b""
            if not data:
                break
            self.frames += zmtp.feed(data)
            if zmtp.ready:
                self.ready.set()
        self.closed = True
        self.ready.set()

    def messages(self, kind):
        """All messages of @kind that have come, the oldest first."""
        return [decode(frame) for frame in list(self.frames)
                if kind_of(frame) == kind]

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.reader.join()
        self.socket.close()


class Peer(Connection):
    """Greets as a node does and keeps the link alive; all else is said by
    the test.  It holds @vv, at first nothing.  With @features None its HELLO
    is of a time that had none."""

    def __init__(self, endpoint, mesh="test", versions=(2, 2),
                 endpoints=(), features=FEATURES):
        super().__init__(endpoint)
        self.site = os.urandom(16)
        self.epoch = int.from_bytes(os.urandom(8), "big")
        self.vv = {}
        self.ended = threading.Event()
        self.send(encode(HELLO, *versions, mesh, self.site,
                         int.from_bytes(os.urandom(8), "big"), self.epoch,
                         "scripted", list(endpoints), 0, 0,
                         int(time.time() * 1000), b"", False,
                         *([] if features is None else [features])))
        self.beat()
        self.heart = threading.Thread(target=self.live)
        self.heart.start()

    def beat(self, entries=b""):
        self.send(encode(VV, self.epoch, entries, vv_hash(self.vv),
                         bytes(16), int(time.time() * 1000), [],
                         [int(time.monotonic() * 1000), 0, 0, 0, 0], 0))

    def live(self):
        while not self.ended.wait(HEARTBEAT_S):
            try:
                self.beat()
            except OSError:
                return

    def hold(self, vv):
        """Say that this peer holds what @vv covers."""
        self.vv.update(vv)
        self.beat(vv_bytes(vv))

    def news(self, *intervals):
        self.send(encode(NEWS, list(intervals)))

    def intervals(self, site):
        """The intervals of @site that have come, as bytes."""
        return [i for m in self.messages(NEWS) for i in m[1]
                if unpack(i)[0] == site]

    def want(self, token, vv=b""):
        self.send(encode(WANT, vv, token, 1 << 20, 0, 0))

    def delta(self, token, data, claim):
        """Answer the WANT of @token with all of a delta's bytes."""
        self.send(encode(DELTA, token, 1, 0, data, True, claim))

    def close(self):
        self.ended.set()
        self.heart.join()
        super().close()


class Tap:
    """Passes bytes between who dials it and @endpoint, and writes down the
    kind and size of each message and when it passed."""

    def __init__(self, port, endpoint):
        self.endpoint = "tcp://127.0.0.1:%d" % port
        self.target = address(endpoint)
        self.seen = []  # (from the dialler?, kind, size, monotonic seconds)
        self.answered = 0  # bytes from the endpoint to who dialled
        self.most = None  # of these, before no more pass; None: all may
        self.moved = threading.Condition()
        self.sockets = []
        self.listener = socket.create_server(("127.0.0.1", port))
        self.threads = [threading.Thread(target=self.accept)]
        self.threads[0].start()

    def accept(self):
        while True:
            try:
                dialler = self.listener.accept()[0]
            except OSError:
                return
            try:
                target = socket.create_connection(self.target)
            except OSError:
                dialler.close()
                continue
            self.sockets += [dialler, target]
            for ends in ((dialler, target, True), (target, dialler, False)):
                self.threads.append(
                    threading.Thread(target=self.relay, args=ends))
                self.threads[-1].start()

    def relay(self, source, sink, dialled):
        zmtp = Zmtp()
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                for body in zmtp.feed(data):
                    self.seen.append((dialled, kind_of(body), len(body),
                                      time.monotonic()))
                if not dialled:
                    self.answer(len(data))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def answer(self, size):
        with self.moved:
            self.answered += size
            self.moved.notify_all()
            self.moved.wait_for(lambda: self.most is None
                                or self.answered <= self.most)

    def allow(self, most):
        """Let no more than about @most bytes of answers pass from now on."""
        with self.moved:
            self.most = most
            self.moved.notify_all()

    def cut(self):
        """Break all connections; new ones may be made."""
        for end in self.sockets:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def size(self, *kinds):
        """Bytes of the messages of @kinds that have passed."""
        return sum(size for _, kind, size, _ in list(self.seen)
                   if kind in kinds)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.threads[0].join()
        self.allow(None)
        self.cut()
        for thread in self.threads[1:]:
            thread.join()
        for end in [self.listener, *self.sockets]:
            end.close()
