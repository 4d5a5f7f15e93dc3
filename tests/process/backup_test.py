"""grapevine backup: a copy that keeps everything but the identity."""
import os
import stat
import threading
import unittest

from mesh import (Case, connect, execute, run, shell, status, wait_until)


def ids(path):
    return [row[0] for row in
            execute(path, "SELECT id FROM notes ORDER BY id")]


def write(path, name):
    execute(path, "INSERT INTO notes VALUES(?, '', '')", (name,))


class Backup(Case):
    def backup(self, path, name="copy.db"):
        copy = self.file(name)
        code, out, err = run("backup", path, copy)
        self.assertEqual((code, err), (0, ""))
        self.assertIn(copy, out)
        return copy

    def test_a_copy_keeps_what_is_not_sealed_and_is_a_site_of_its_own(self):
        path = self.database("a.db")
        write(path, "sealed")
        node = self.start(path)
        wait_until(lambda: status(path)["journal"] == 0, "the seal")
        self.assertEqual(node.stop(), 0)
        write(path, "not sealed")
        copy = self.backup(path)
        self.assertEqual(sorted(os.listdir(self.directory)),
                         ["a.db", "a.db-gv", "a.db.log", "copy.db"])
        self.assertEqual(status(copy)["journal"], 1)
        site = status(path)["site"]
        first = self.start(copy)
        wait_until(lambda: status(copy)["journal"] == 0, "the seal")
        vv = status(copy)["vv"]
        self.assertIn(status(copy)["site"], vv)
        self.assertIn(site, vv)
        self.assertNotEqual(status(copy)["site"], site)
        self.assertEqual(ids(copy), ["not sealed", "sealed"])
        self.assertEqual(first.stop(), 0)
        # Both go on, beside one another.
        write(copy, "of the copy")
        write(path, "of a")
        a = self.start(path, endpoint="tcp://127.0.0.1:*")
        b = self.start(copy, peers=[status(path)["endpoint"]])
        self.wait_equal([a, b])
        self.assertEqual(ids(path),
                         ["not sealed", "of a", "of the copy", "sealed"])
        self.assertEqual(ids(path), ids(copy))
        self.assertEqual(status(path)["site"], site)
        for each in (path, copy):
            self.verify(each)

    def test_beside_a_node_and_a_writer_it_holds_one_moment(self):
        a, b = self.mesh(2)
        execute(a.path, "CREATE TABLE pairs(id INTEGER PRIMARY KEY, n)")
        execute(a.path, "INSERT INTO pairs VALUES(1, 0), (2, 0)")
        done = threading.Event()

        def writer():
            db = connect(a.path)
            n = 0
            while not done.is_set():
                n += 1
                db.execute("BEGIN IMMEDIATE")
                db.execute("UPDATE pairs SET n = ?", (n,))
                db.execute("INSERT INTO notes VALUES(?, '', '')", (str(n),))
                db.execute("COMMIT")
            db.close()

        thread = threading.Thread(target=writer)
        thread.start()
        try:
            wait_until(lambda: len(ids(a.path)) > 100, "rows")
            copies = [self.backup(a.path, "%d.copy" % i) for i in range(3)]
        finally:
            done.set()
            thread.join()
        self.wait_equal([a, b])
        for copy in copies:
            rows = [row[0] for row in execute(copy, "SELECT n FROM pairs")]
            self.assertEqual(rows[0], rows[1])
            self.assertEqual(len(ids(copy)), rows[0])
            self.verify(copy)

    def test_restored_under_the_node_it_takes_a_new_id_and_loses_nothing(self):
        a, b = self.mesh(2)
        write(a.path, "first")
        self.wait_equal([a, b])
        site = status(a.path)["site"]
        copy = self.backup(a.path)
        # Nothing was published since: the state file alone would not tell.
        shell(a.path, ".restore '%s'\n" % copy)
        wait_until(lambda: "again and go on as site" in a.log(), "the line")
        self.assertNotEqual(status(a.path)["site"], site)
        write(a.path, "second")
        self.wait_equal([a, b])
        self.assertEqual(ids(b.path), ["first", "second"])
        self.verify(a.path)

    def test_a_file_that_is_there_is_not_touched(self):
        path = self.database("a.db")
        copy = self.backup(path)
        os.truncate(copy, 0)
        for target in (copy, path, self.directory):
            code, _, err = run("backup", path, target)
            self.assertEqual(code, 1)
            self.assertIn("there already", err)
            self.assertIn("next:", err)
        self.assertEqual(os.path.getsize(copy), 0)
        self.verify(path)

    def test_nothing_is_left_of_a_copy_that_failed(self):
        path = self.database("a.db")
        db = connect(path)
        db.execute("BEGIN")
        db.executemany("INSERT INTO notes VALUES(?, hex(randomblob(500)), '')",
                       ((str(i),) for i in range(200)))
        db.execute("COMMIT")
        db.close()
        page = execute(path, "SELECT rootpage FROM sqlite_schema "
                             "WHERE name = 'notes'")[0][0]
        with open(path, "r+b") as file:
            file.seek((page - 1) * 4096)
            file.write(b"\xff" * 4096)
        code, _, err = run("backup", path, self.file("copy.db"))
        self.assertEqual(code, 1)
        self.assertIn("damaged", err)
        self.assertFalse(os.path.exists(self.file("copy.db")))
        code, _, err = run("backup", path, self.file("none/copy.db"))
        self.assertEqual(code, 1)
        self.assertIn("cannot be made", err)

    def test_a_plain_database_and_its_mode(self):
        path = self.database("a.db", track=None)
        write(path, "x")
        os.chmod(path, 0o600)
        copy = self.backup(path)
        self.assertEqual(stat.S_IMODE(os.stat(copy).st_mode), 0o600)
        self.assertEqual(ids(copy), ["x"])


if __name__ == "__main__":
    unittest.main()
