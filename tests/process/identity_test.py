"""A file that is copied, restored or replaced under a running node: the node
notices, takes a new site id where it must, and goes on."""
import os
import shutil
import sqlite3
import time
import unittest

from mesh import (LIMIT_S, Case, execute, free_endpoint, links_up, shell,
                  status, wait_until)


def ids(path):
    return [row[0] for row in
            execute(path, "SELECT id FROM notes ORDER BY id")]


def write(path, name):
    execute(path, "INSERT INTO notes VALUES(?, '', '')", (name,))


def offline_copy(path, to):
    """The whole of @path as one file."""
    source, target = sqlite3.connect(path), sqlite3.connect(to)
    source.backup(target)
    source.close()
    target.close()


class Restored(Case):
    """Node a is linked with b; something happens to a's file."""

    def setUp(self):
        super().setUp()
        self.a, self.b = self.mesh(2)
        write(self.a.path, "first")
        self.wait_equal([self.a, self.b])
        self.site = status(self.a.path)["site"]
        self.backup = self.file("backup")

    def lines(self, text):
        return self.a.log().count(text)

    def renewed(self):
        """The node says what it did and is linked again under a new id."""
        wait_until(lambda: self.lines("opened 0.db again and go on as site"),
                   "the line")
        self.assertIn("in place of " + self.site[:8], self.a.log())
        wait_until(lambda: links_up(self.a.path) == 1, "the link")
        self.assertNotEqual(status(self.a.path)["site"], self.site)

    def whole(self, *names):
        """Both write on; both end with all rows."""
        write(self.a.path, "last of a")
        write(self.b.path, "last of b")
        expected = sorted(names + ("first", "last of a", "last of b"))
        for node in (self.a, self.b):
            wait_until(lambda: ids(node.path) == expected,
                       "all rows of " + node.path)
        self.wait_equal([self.a, self.b])
        self.assertIsNone(self.a.process.poll())
        self.assertEqual(self.lines("opened 0.db again"), 1)
        for node in (self.a, self.b):
            self.verify(node.path)

    def write_later(self):
        """A backup of now, then a change that both hold."""
        offline_copy(self.a.path, self.backup)
        write(self.a.path, "later")
        self.wait_equal([self.a, self.b])

    def test_restore_of_the_shell(self):
        self.write_later()
        shell(self.a.path, ".restore '%s'\n" % self.backup)
        self.renewed()
        self.whole("later")

    def test_restore_of_a_backup_with_rows_not_sealed(self):
        write(self.a.path, "of the backup")
        offline_copy(self.a.path, self.backup)
        write(self.backup, "not sealed")
        self.wait_equal([self.a, self.b])
        write(self.a.path, "later")
        self.wait_equal([self.a, self.b])
        shell(self.a.path, ".restore '%s'\n" % self.backup)
        self.renewed()
        self.whole("later", "not sealed", "of the backup")

    def test_an_old_copy_moved_over_it(self):
        self.write_later()
        os.rename(self.backup, self.a.path)
        self.renewed()
        self.whole("later")

    def test_a_file_made_by_vacuum_into_moved_over_it(self):
        execute(self.a.path, "VACUUM INTO '%s'" % self.backup)
        write(self.a.path, "later")
        self.wait_equal([self.a, self.b])
        os.rename(self.backup, self.a.path)
        self.renewed()
        self.whole("later")

    def test_removed_and_copied_back(self):
        self.write_later()
        os.unlink(self.a.path)
        shutil.copy(self.backup, self.a.path)
        self.renewed()
        self.whole("later")

    def test_an_old_copy_copied_over_it(self):
        self.write_later()
        execute(self.a.path, "PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(self.backup, self.a.path)
        self.renewed()
        self.whole("later")

    def test_an_old_copy_copied_over_it_with_pages_in_the_log(self):
        """Read together the old file and the log were no state at all."""
        many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 " \
               "FROM n WHERE i < 400) INSERT INTO notes SELECT " \
               "printf('%s%%04d', i), hex(randomblob(100)), '' FROM n"
        execute(self.a.path, many % "p")
        self.wait_equal([self.a, self.b])
        offline_copy(self.a.path, self.backup)
        execute(self.a.path, many % "q")
        self.wait_equal([self.a, self.b])
        execute(self.a.path, "PRAGMA wal_checkpoint(TRUNCATE)")
        # An application that stays, with pages in its memory.
        application = sqlite3.connect(self.a.path, timeout=LIMIT_S)
        self.addCleanup(application.close)
        count = "SELECT count(*) FROM notes"
        self.assertEqual(application.execute(count).fetchone(), (801,))
        application.execute("INSERT INTO notes VALUES('in the log', '', '')")
        application.commit()
        self.wait_equal([self.a, self.b])
        shutil.copy(self.backup, self.a.path)
        self.renewed()
        self.assertIn("log was dropped", self.a.log())
        wait_until(lambda: application.execute(count).fetchone() == (802,),
                   "what the application sees")
        self.whole("in the log", *("%s%04d" % (letter, i) for letter in "pq"
                                   for i in range(1, 401)))
        self.assertEqual(application.execute(
            "PRAGMA integrity_check").fetchall(), [("ok",)])

    def test_another_file_of_the_mesh_moved_over_it(self):
        """What was sealed before is with the peer; what the other file holds
        is shared as well."""
        other = self.database("other.db")
        write(other, "of the other")
        node = self.start(other)
        wait_until(lambda: status(other)["journal"] == 0, "the seal")
        self.assertEqual(node.stop(), 0)
        os.rename(other, self.a.path)
        self.renewed()
        self.whole("of the other")

    def test_a_file_of_another_mesh_ends_the_node(self):
        other = self.database("other.db")
        node = self.start(other, mesh="else")
        self.assertEqual(node.stop(), 0)
        os.rename(other, self.a.path)
        self.assertEqual(self.a.process.wait(LIMIT_S), 1)
        self.assertIn("belongs to the mesh 'else'", self.a.log())

    def test_a_file_that_does_not_come_back_ends_the_node(self):
        os.unlink(self.a.path)
        self.assertEqual(self.a.process.wait(LIMIT_S), 1)
        self.assertIn("There is no file", self.a.log())
        self.assertIn("It is tried again", self.a.log())
        self.assertIn("next:", self.a.log())

    def test_moved_away_and_back_it_keeps_its_id(self):
        away = self.file("away")
        os.rename(self.a.path, away)
        # The log is moved into it when the node lets go of it.
        wait_until(lambda: not os.path.exists(self.a.path + "-wal")
                   or os.path.getsize(self.a.path + "-wal") == 0,
                   "the empty log")
        os.rename(away, self.a.path)
        wait_until(lambda: self.lines("again and go on as site %s, as before"
                                      % self.site[:8]), "the line")
        self.whole()
        self.assertEqual(status(self.a.path)["site"], self.site)

    def test_everything_removed_and_copied_back(self):
        self.write_later()
        for end in ("-wal", "-shm"):
            os.unlink(self.a.path + end)
        shutil.rmtree(self.a.path + "-gv")
        os.unlink(self.a.path)
        shutil.copy(self.backup, self.a.path)
        wait_until(lambda: os.path.exists(self.a.path + "-gv/control"),
                   "the control socket")
        self.renewed()
        self.assertTrue(status(self.a.path)["running"])
        self.whole("later")

    def test_a_file_that_is_replaced_again_and_again_ends_the_node(self):
        ended = lambda: self.a.process.poll() is not None
        for times in range(1, 10):
            offline_copy(self.a.path, self.backup)
            execute(self.backup, "UPDATE gv_meta SET mark = ?", (times,))
            shell(self.a.path, ".restore '%s'\n" % self.backup)
            wait_until(lambda: self.lines("again and go on") == times
                       or ended(), "the node's answer")
            if ended():
                break
        self.assertEqual(self.a.process.wait(LIMIT_S), 1)
        self.assertEqual(times, 6)
        self.assertIn("replaced or restored", self.a.log())
        self.assertIn("next:", self.a.log())

    def test_vacuum_and_copies_elsewhere_change_nothing(self):
        offline_copy(self.a.path, self.backup)
        execute(self.a.path, "VACUUM")
        os.utime(self.a.path)
        write(self.a.path, "later")
        self.wait_equal([self.a, self.b])
        self.assertEqual(status(self.a.path)["site"], self.site)
        self.assertNotIn("again and go on", self.a.log())

    def test_a_copy_run_elsewhere_is_a_third_site(self):
        copy = self.file("copy.db")
        offline_copy(self.a.path, copy)
        endpoint = status(self.a.path)["endpoint"]
        third = self.start(copy, peers=[endpoint])
        self.assertIn("takes the new site id", third.log())
        write(copy, "of the copy")
        self.wait_equal([self.a, self.b, third])
        self.assertEqual(ids(self.b.path), ["first", "of the copy"])
        self.assertEqual(status(self.a.path)["site"], self.site)


class Twins(Case):
    def twin(self, path, name):
        """A copy that nothing tells from its original, as a machine's image
        started twice gives."""
        copy = self.file(name)
        offline_copy(path, copy)
        os.mkdir(copy + "-gv", 0o700)
        shutil.copy(path + "-gv/state", copy + "-gv/state")
        execute(copy, "UPDATE gv_meta SET inode = ?, birth = 0",
                (os.stat(copy).st_ino,))
        return copy

    def test_of_two_live_nodes_with_one_id_the_later_takes_another(self):
        a = self.database("a.db")
        write(a, "both")
        first = self.start(a)
        wait_until(lambda: status(a)["journal"] == 0, "the seal")
        self.assertEqual(first.stop(), 0)
        b = self.twin(a, "b.db")
        endpoint = free_endpoint()
        first = self.start(a, endpoint)
        started = int(time.time())
        site = status(a)["site"]
        write(a, "of a")
        wait_until(lambda: status(a)["journal"] == 0, "the seal of a")
        # Started, written to and stopped alone: it publishes under the id.
        second = self.start(b)
        self.assertEqual(status(b)["site"], site)
        write(b, "of b")
        wait_until(lambda: status(b)["journal"] == 0, "the seal of b")
        self.assertEqual(second.stop(), 0)
        wait_until(lambda: int(time.time()) > started, "a later second")
        second = self.start(b, peers=[endpoint])
        wait_until(lambda: "again and go on as site" in second.log(),
                   "the line")
        self.assertIn("Another live node has this file's site id",
                      second.log())
        for path in (a, b):
            wait_until(lambda: ids(path) == ["both", "of a", "of b"],
                       "all rows of " + path)
        write(a, "more of a")
        write(b, "more of b")
        self.wait_equal([first, second])
        self.assertEqual(len(ids(a)), 5)
        self.assertEqual(ids(a), ids(b))
        self.assertEqual(status(a)["site"], site)
        self.assertNotEqual(status(b)["site"], site)
        for path in (a, b):
            self.verify(path)

    def test_a_restored_machine_is_noticed_under_the_running_node(self):
        a, b = self.mesh(2)
        write(a.path, "both")
        self.wait_equal([a, b])
        endpoint = status(b.path)["endpoint"]
        self.assertEqual(a.stop(), 0)
        kept = [a.path, a.path + "-gv/state"]
        for path in kept:
            shutil.copy(path, self.file(os.path.basename(path) + ".kept"))
        a = self.start(a.path, peers=[endpoint])
        write(a.path, "old life")
        self.wait_equal([a, b])
        self.assertEqual(a.stop(), 0)
        for path in kept:
            with open(path, "r+b") as file, \
                    open(self.file(os.path.basename(path) + ".kept"),
                         "rb") as copy:
                file.write(copy.read())
                file.truncate()
        # It remembers b, and shall not dial it yet.
        alone = self.node(a.path, "--static").ready()
        write(a.path, "new life")
        wait_until(lambda: status(a.path)["journal"] == 0, "the seal")
        self.assertEqual(alone.stop(), 0)
        a = self.start(a.path, peers=[endpoint])
        wait_until(lambda: "again and go on as site" in a.log(), "the line")
        self.assertIn("takes the new site id", a.log())
        self.wait_equal([a, b])
        for node in (a, b):
            self.assertEqual(ids(node.path), ["both", "new life", "old life"])
            self.verify(node.path)


if __name__ == "__main__":
    unittest.main()
