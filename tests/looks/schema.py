"""Random schemas and random SQL for them."""
import sqlite3
import struct

NAMES = ["a", "b", "c", "value", "select", "order", "we ird", "qu\"ote",
         "it's", "größe", "名前", "x.y", "[b]", "A1", "key", "rowid_", "null"]
TABLES = ["t", "notes", "group", "two words", "naïve", "quo\"te", "it's",
          "T9", "index"]
TYPES = ["", "TEXT", "INTEGER", "INT", "REAL", "NUMERIC", "BLOB",
         "VARCHAR(20)", "BOOLEAN", "DOUBLE PRECISION", "ANY"]
STRICT_TYPES = ["TEXT", "INTEGER", "INT", "REAL", "BLOB", "ANY"]
KEYS = ["1", "2", "3", "'a'", "'b'", "'A'", "''", "x'00ff'", "1.0", "2.5",
        "-0.0", "9007199254740993", "'1'", "' 2'", "-1", "x''",
        "'a'||char(0)||'b'", "CAST(x'ff61' AS TEXT)", "1e300"]
VALUES = KEYS + ["NULL", "NULL", "0", "0.0", "'text'", "'Größe'",
                 "9223372036854775807", "-9223372036854775808", "0.1",
                 "'007'", "1e308*10", "zeroblob(3)", "'it''s'"]
DEFAULTS = [None, None, None, "7", "'x'", "NULL", "-1.5", "'5'", "x'01'",
            "(1+1)", "CURRENT_TIMESTAMP"]


def quote(name):
    return '"%s"' % name.replace('"', '""')


def exact(name):
    """Text and blobs as hexadecimal: Python would decode text."""
    return ("CASE typeof({0}) WHEN 'text' THEN hex(CAST({0} AS BLOB))"
            " WHEN 'blob' THEN hex({0}) ELSE {0} END".format(name))


def typed(kind, value):
    if kind == "null":
        return ("null",)
    if kind in ("text", "blob"):
        return (kind, bytes.fromhex(value))
    if kind == "real":
        return ("real", struct.pack(">d", value))
    return ("integer", value)


def key_value(value):
    """In a key a real that is exactly an int64 is that integer."""
    if value[0] == "real":
        number = struct.unpack(">d", value[1])[0]
        if number == number and abs(number) < 2**63 and number == int(number):
            return ("integer", int(number))
    return value


class Table:
    def __init__(self, chance, name):
        self.name = name
        self.strict = chance.random() < 0.2
        self.alias = chance.random() < 0.3
        self.rowless = not self.alias and chance.random() < 0.25
        types = STRICT_TYPES if self.strict else TYPES
        names = chance.sample(NAMES, chance.randint(1, 9))
        count = 1 if self.alias else min(chance.choice([1, 1, 1, 2, 3]),
                                         len(names))
        self.keys, self.columns = names[:count], names[count:]
        if chance.random() < 0.02:
            self.columns += ["wide%d" % i for i in range(400)]
        self.own_sql = {}   # of each column
        self.own_default = {}
        self.sql = self.definition(chance, types)
        self.defaults = {}

    def definition(self, chance, types):
        parts = []
        for name in self.keys:
            kind = "INTEGER" if self.alias else chance.choice(types)
            if not self.alias and kind == "INTEGER" and len(self.keys) == 1:
                kind = "INT" # INTEGER would be an alias
            parts.append("%s %s%s" % (
                quote(name), kind,
                " NOT NULL" if not self.alias and chance.random() < 0.2
                else ""))
        for name in self.columns:
            default = chance.choice(DEFAULTS)
            if self.strict:
                default = chance.choice([None, "NULL"])
            self.own_default[name] = default
            self.own_sql[name] = "%s %s%s" % (
                quote(name), chance.choice(types),
                "" if default is None else " DEFAULT " + default)
            parts.append(self.own_sql[name])
        if self.columns and chance.random() < 0.2:
            parts.append("%s %s AS (coalesce(%s, 0)||'g') %s" % (
                quote("gen"), "TEXT", quote(self.columns[0]),
                chance.choice(["STORED", "VIRTUAL"])))
        order = list(self.keys)
        chance.shuffle(order)
        self.keys = order
        parts.append("PRIMARY KEY(%s)" % ",".join(map(quote, order)))
        self.key_parts = parts[:len(order)] + parts[-1:]
        return self.written(parts)

    def written(self, parts):
        options = [word for word, on in (("STRICT", self.strict),
                                         ("WITHOUT ROWID", self.rowless))
                   if on]
        return "CREATE TABLE %s(%s) %s" % (quote(self.name), ", ".join(parts),
                                           ", ".join(options))

    def skewed(self, chance):
        """The table as another file has it."""
        skew = Skew(self)
        if chance.random() < 0.2:
            skew.later = [self.sql]
            return skew
        columns = []
        for name in self.columns if self.own_sql else []:
            kind = chance.random() if len(self.columns) < 20 else 1
            default = self.own_default[name]
            if kind < 0.3 and (default is None or default[0] not in "C("):
                skew.absent.add(name)
                skew.later.append("ALTER TABLE %s ADD COLUMN %s" % (
                    quote(self.name), self.own_sql[name]))
            elif kind < 0.5:
                skew.other.add(name)
                columns.append("%s %s DEFAULT %s" % (
                    quote(name), chance.choice(STRICT_TYPES), "NULL"
                    if self.strict else chance.choice(["8", "'y'", "NULL"])))
            else:
                columns.append(self.own_sql[name])
        if chance.random() < 0.3:
            columns.append("more ANY DEFAULT NULL")
        chance.shuffle(columns)
        skew.create = self.sql if not self.own_sql and self.columns else (
            self.written(self.key_parts[:-1] + columns + self.key_parts[-1:]))
        return skew

    def find_defaults(self, db):
        """What SQLite stores for a constant default; an expression or the time
        has none that all nodes share."""
        columns = db.execute("PRAGMA table_info(%s)" %
                             quote(self.name)).fetchall()
        for row in columns:
            name, kind, default = row[1], row[2], row[4]
            if name not in self.columns:
                continue
            self.defaults[name] = ("null",)
            if default is None or default.startswith("CURRENT_"):
                continue
            try:
                db.execute("CREATE TEMP TABLE d(c %s DEFAULT %s)%s" % (
                    kind, default, " STRICT" if self.strict else ""))
            except sqlite3.OperationalError:
                continue    # an expression, whose parentheses are gone
            db.execute("INSERT INTO temp.d DEFAULT VALUES")
            self.defaults[name] = typed(*db.execute(
                "SELECT typeof(c), %s FROM temp.d" % exact("c")).fetchall()[0])
            db.execute("DROP TABLE temp.d")


class Skew:
    """A table of another file: what makes it (None: it comes later), the
    columns it lacks, what makes those, and the columns of another kind."""

    def __init__(self, table):
        self.table = table
        self.create = None
        self.absent = set()
        self.later = []
        self.other = set()


class Schema:
    def __init__(self, chance):
        names = chance.sample(TABLES, chance.choice([1, 1, 2, 3]))
        self.tables = [Table(chance, name) for name in names]
        self.create = [table.sql for table in self.tables]
        if len(self.tables) > 1 and chance.random() < 0.4:
            self.add_trigger(chance)
        if chance.random() < 0.2:
            self.add_child(chance)
        for table in self.tables:
            if table.columns and chance.random() < 0.2:
                self.create.append("CREATE INDEX %s ON %s(%s)" % (
                    quote("i " + table.name), quote(table.name),
                    quote(chance.choice(table.columns))))

    def add_trigger(self, chance):
        """The application's own: it writes another tracked table."""
        first, second = self.tables[:2]
        event = chance.choice(["INSERT", "UPDATE", "DELETE"])
        row = "old" if event == "DELETE" else "new"
        key = "%s.%s" % (row, quote(first.keys[0]))
        write = chance.choice([
            "INSERT OR IGNORE INTO %s(%s) VALUES(%s)" % (
                quote(second.name), ",".join(map(quote, second.keys)),
                ",".join([key] * len(second.keys))),
            "DELETE FROM %s WHERE %s=%s" % (
                quote(second.name), quote(second.keys[0]), key)])
        self.create.append("CREATE TRIGGER app %s %s ON %s BEGIN %s; END" % (
            chance.choice(["AFTER", "BEFORE"]), event, quote(first.name),
            write))

    def add_child(self, chance):
        """A table whose rows a foreign key deletes or moves."""
        parent = self.tables[0]
        if len(parent.keys) != 1:
            return
        child = Table(chance, "child")
        child.alias = child.strict = child.rowless = False
        child.keys, child.columns = ["id"], ["up", "z"]
        child.own_sql = {}
        child.sql = ("CREATE TABLE child(id TEXT PRIMARY KEY, up REFERENCES"
                     " %s(%s) ON DELETE %s ON UPDATE %s, z)" % (
                         quote(parent.name), quote(parent.keys[0]),
                         chance.choice(["CASCADE", "SET NULL"]),
                         chance.choice(["CASCADE", "SET NULL"])))
        self.tables.append(child)
        self.create.append(child.sql)

    def statements(self, chance):
        """One statement, or a transaction of some."""
        if chance.random() < 0.7:
            return [statement(chance, chance.choice(self.tables))]
        words = ["BEGIN"]
        for _ in range(chance.randint(1, 5)):
            table = chance.choice(self.tables)
            if chance.random() < 0.3:
                words += ["SAVEPOINT s", statement(chance, table),
                          "ROLLBACK TO s" if chance.random() < 0.5
                          else "RELEASE s"]
                if words[-1] == "ROLLBACK TO s":
                    words.append("RELEASE s")
            else:
                words.append(statement(chance, table))
        return words + ["ROLLBACK" if chance.random() < 0.15 else "COMMIT"]


def clause(chance):
    return chance.choice(["", "", "", "", " OR IGNORE", " OR REPLACE",
                          " OR FAIL", " OR ABORT"])


def values_of(chance, table, names):
    return "(%s)" % ",".join(
        chance.choice(KEYS if name in table.keys else VALUES)
        for name in names)


def insert(chance, table):
    names = table.keys + [c for c in table.columns if chance.random() < 0.7]
    rows = ",".join(values_of(chance, table, names)
                    for _ in range(chance.choice([1, 1, 1, 3])))
    text = "INSERT%s INTO %s(%s) VALUES%s" % (
        clause(chance), quote(table.name), ",".join(map(quote, names)), rows)
    if chance.random() < 0.25:
        text += " ON CONFLICT(%s) DO " % ",".join(map(quote, table.keys))
        if table.columns and chance.random() < 0.7:
            column = quote(chance.choice(table.columns))
            text += "UPDATE SET %s=%s" % (column, chance.choice(
                [chance.choice(VALUES), "excluded." + column]))
        else:
            text += "NOTHING"
    return text


def where(chance, table):
    if chance.random() < 0.15:
        return ""
    name = chance.choice(table.keys + table.columns[:2])
    return " WHERE %s %s %s" % (quote(name), chance.choice(
        ["=", "=", "IS", ">", "<"]), chance.choice(KEYS))


def update(chance, table):
    sets = []
    for name in table.columns:
        if chance.random() < (0.4 if len(table.columns) < 20 else 0.02):
            sets.append("%s=%s" % (quote(name), chance.choice(VALUES)))
    if not sets or chance.random() < 0.2:
        name = quote(chance.choice(table.keys))
        sets.append("%s=%s" % (name, chance.choice(
            KEYS + ["%s+1" % name, "-%s" % name, "%s||'x'" % name])))
    if table.alias and chance.random() < 0.2:
        sets = ["%s=%s" % (chance.choice(["rowid", "oid", "_rowid_"]),
                           chance.choice(["7", "8", "9", "-5"]))]
    return "UPDATE%s %s SET %s%s" % (
        chance.choice(["", "", "", " OR IGNORE", " OR REPLACE", " OR FAIL"]),
        quote(table.name), ", ".join(sets), where(chance, table))


def statement(chance, table):
    kind = chance.random()
    if kind < 0.55:
        return insert(chance, table)
    if kind < 0.85:
        return update(chance, table)
    return "DELETE FROM %s%s" % (quote(table.name), where(chance, table))
