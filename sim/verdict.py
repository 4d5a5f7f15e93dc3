"""Whether the table that all nodes show is what the applications wrote.

Of a cell with several writes, which one wins is the merge's business, but not
every answer can be right: a value that an acknowledged write has replaced,
knowing it, must not come back, nor may one show that nobody wrote. A delete
beats all edits of its row, and no id is used twice. What was added to a
counter adds up.

Writes that stood only in a file when an older copy was put over it are not
`sure`: they may be found or not, and nothing else may depend on them. An
addition that the copy had and no node had published yet may `repeat`: the file
that was replaced published it, and so does its copy, which has a new identity
(src/store/README.md)."""

import json

COLUMNS = ("name", "phone", "email")


def read_ledger(host):
    entries = []
    with open(host.ledger, encoding="utf-8") as file:
        for line in file:
            entries.append(json.loads(line))
    return entries


class Row:
    """All that was ever done to one id."""

    def __init__(self):
        self.created = False
        self.deleted = {True: 0, False: 0}  # by whether it is sure
        self.sure = False                   # a sure write needs the row
        self.cells = {column: {} for column in COLUMNS}
        self.calls = {True: 0, False: 0}
        self.repeated = 0                   # of those, how much may be again
        self.adds = 0

    def add(self, entry, sure, repeats):
        if entry["op"] == "delete":
            self.deleted[sure] += 1
            return
        self.created |= entry["op"] == "create"
        self.sure |= sure
        for column, (over, value) in entry.get("columns", {}).items():
            self.cells[column][value] = (over, sure)
        if entry["op"] == "call":
            self.calls[sure] += entry["calls"]
            self.repeated += repeats * entry["calls"]
            self.adds += sure


def replaced(writes):
    """The values that a sure write has replaced, by itself or by one that
    it replaced."""
    result = set()
    for over, sure in writes.values():
        while sure and over is not None and over not in result:
            result.add(over)
            over = writes.get(over, (None, False))[0]
    return result


class Verdict:
    def __init__(self):
        self.wrong = []
        self.found = self.beaten = self.unsure = 0

    def __str__(self):
        return ("%d acknowledged writes: %d found, %d beaten by others%s"
                % (self.found + self.beaten, self.found, self.beaten,
                   "; %d more stood only in a file that was replaced"
                   % self.unsure if self.unsure else ""))

    def check(self, table, ledger, is_sure, repeats):
        """`table` is rows (id, name, phone, email, calls); `repeats` says
        how often an addition may count beyond the once."""
        rows = {}
        for entry in ledger:
            sure = is_sure(entry)
            self.unsure += not sure
            rows.setdefault(entry["id"], Row()).add(entry, sure,
                                                    repeats(entry))
        shown = {row[0]: row[1:] for row in table}
        for row_id in shown.keys() - rows.keys():
            self.wrong.append("row '%s' was written by nobody" % row_id)
        for row_id, row in rows.items():
            if row_id in shown:
                self.check_row(row_id, row, shown[row_id])
            else:
                self.check_absent(row_id, row)

    def check_absent(self, row_id, row):
        writes = row.adds + sum(sure for cell in row.cells.values()
                                for _, sure in cell.values())
        self.beaten += writes
        self.found += row.deleted[True]
        if row.sure and not any(row.deleted.values()):
            self.wrong.append("row '%s' is lost" % row_id)

    def check_row(self, row_id, row, values):
        if row.deleted[True]:
            self.wrong.append("row '%s' was deleted, and shows" % row_id)
        for column, value in zip(COLUMNS, values):
            self.check_cell(row_id, column, row.cells[column], value)
        least = row.calls[True]
        most = sum(row.calls.values()) + row.repeated
        calls = values[len(COLUMNS)]
        self.found += row.adds
        if not least <= (calls or 0) <= most:
            self.wrong.append("row '%s' counts %s calls, not %s" % (
                row_id, calls, least if least == most
                else "%d to %d" % (least, most)))

    def check_cell(self, row_id, column, writes, value):
        name = "%s of row '%s'" % (column, row_id)
        if value not in writes:
            self.wrong.append("%s is '%s', which nobody wrote"
                              % (name, value))
        elif value in replaced(writes):
            self.wrong.append("%s is '%s', which a later write had replaced"
                              % (name, value))
        for written, (_, sure) in writes.items():
            self.found += sure and written == value
            self.beaten += sure and written != value
