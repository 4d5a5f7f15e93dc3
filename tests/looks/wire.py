"""Intervals read by the grammar of src/wire/README.md alone."""
import struct


class Reader:
    """msgpack of `data`."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, size):
        assert self.at + size <= len(self.data), "cut short"
        piece = self.data[self.at:self.at + size]
        self.at += size
        return piece

    def number(self, form):
        return struct.unpack(">" + form, self.take(struct.calcsize(form)))[0]

    def value(self):
        head = self.number("B")
        if head < 0x80:
            return head
        if head >= 0xe0:
            return head - 0x100
        if 0x90 <= head < 0xa0:
            return [self.value() for _ in range(head & 15)]
        if 0xa0 <= head < 0xc0:
            return Text(self.take(head & 31))
        if head == 0xc0:
            return None
        if head in (0xc2, 0xc3):
            return head == 0xc3
        if head in (0xc4, 0xc5, 0xc6):
            return bytes(self.take(self.number("BHI"[head - 0xc4])))
        if head == 0xcb:
            return Real(self.take(8))
        if 0xcc <= head <= 0xd3:
            return self.number("BHIQbhiq"[head - 0xcc])
        if 0xd9 <= head <= 0xdb:
            return Text(self.take(self.number("BHI"[head - 0xd9])))
        if head in (0xdc, 0xdd):
            return [self.value() for _ in range(self.number("HI"[head - 0xdc]))]
        raise AssertionError("byte %02x" % head)


class Text(bytes):
    """A str: bytes that need not be UTF-8."""


class Real(bytes):
    """The 8 bytes of a double, so that all of its bits are compared."""


def typed(value):
    """A value with its class, so that 1, 1.0 and '1' differ."""
    if value is None:
        return ("null",)
    if isinstance(value, Real):
        return ("real", bytes(value))
    if isinstance(value, Text):
        return ("text", bytes(value))
    if isinstance(value, bytes):
        return ("blob", value)
    return ("integer", value)


def key(data):
    """A key's canonical bytes as typed values."""
    values = []
    while data:
        size = struct.unpack(">I", data[:4])[0]
        kind, body = data[4], data[5:4 + size]
        data = data[4 + size:]
        values.append({1: lambda: ("integer", struct.unpack(">q", body)[0]),
                       2: lambda: ("real", body), 3: lambda: ("text", body),
                       4: lambda: ("blob", body)}[kind]())
    return tuple(values)


def name_here(names):
    """What the file calls what has these names, on the wire and here."""
    return (names[1] or names[0]).decode()


def bits(mask):
    return [i for i in range(8 * len(mask)) if mask[i // 8] >> i % 8 & 1]


def fragments(interval):
    """{(table, key): (causal length, {column: (version, site, value)})}; the
    column of a row's existence is None."""
    _, start, end, _, stream = Reader(interval).value()[:5]
    assert start < end
    sites, tables, found, at = [], [], {}, 0
    while at < len(stream):
        size = struct.unpack(">I", stream[at:at + 4])[0]
        item = Reader(stream[at + 4:at + 4 + size]).value()
        at += 4 + size
        if item[0] == 1:
            sites.append(item[1:3])
        elif item[0] == 2:
            tables.append((name_here(item[1:3]),
                           [name_here(column[:2]) for column in item[5]]))
        elif item[0] == 3:
            name, columns = tables[item[1]]
            dots = {b: (sites[group[0]][1] + group[1], sites[group[0]][0])
                    for group in item[4] for b in bits(group[2])}
            values = iter([typed(value) for value in item[5]])
            cells = {columns[b - 1] if b > 0 else None:
                     dots[b] + (next(values) if b > 0 else None,)
                     for b in sorted(dots)}
            assert next(values, None) is None, "a value too many"
            assert (name, key(item[2])) not in found, "a row twice"
            found[name, key(item[2])] = (item[3], cells)
    return found


def rows(found):
    """{(table, key): (causal length, existence written, {column: value})}"""
    return {where: (length, None in cells,
                    {name: cell[2] for name, cell in cells.items()
                     if name is not None})
            for where, (length, cells) in found.items()}
