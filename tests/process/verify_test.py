"""`grapevine verify` recomputes everything and changes nothing."""
import hashlib
import os
import unittest

from mesh import Case, connect, execute, free_endpoint, run, shell, wait_until


def content(path):
    """What stands in the file and in its write-ahead log; a log that is not
    there is an empty one."""
    found = []
    for name in (path, path + "-wal"):
        data = b""
        if os.path.exists(name):
            with open(name, "rb") as file:
                data = file.read()
        found.append((len(data), hashlib.sha256(data).hexdigest()))
    return found


class Verify(Case):
    ROWS = 50

    def setUp(self):
        super().setUp()
        self.path = self.database("a.db")
        shell(self.path, "".join(
            "INSERT INTO notes VALUES('key %02d', 'a', 'value %d');" % (i, i)
            for i in range(self.ROWS)))
        node = self.start(self.path)
        wait_until(lambda: node.status()["journal"] == 0, "the seal")
        # A second publication, so that rows have two records.
        execute(self.path, "UPDATE notes SET b = 'new' WHERE id > 'key 20'")
        wait_until(lambda: len(self.records(node.path)) == 2, "the second")
        self.assertEqual(node.stop(), 0)
        self.verify(self.path)
        self.rows = execute(
            self.path, "SELECT name FROM sqlite_schema WHERE "
                       "name GLOB 'gv_row_*' AND type = 'table'")[0][0]

    def records(self, path):
        return execute(path, "SELECT DISTINCT version FROM gv_ver")

    def state(self, change, key="key 33"):
        """Change the bytes of a row's state: its records and digests."""
        (before,) = execute(self.path, "SELECT state FROM %s WHERE k1 = ?"
                            % self.rows, (key,))[0]
        after = bytes(change(bytearray(before)))
        self.assertNotEqual(before, after)
        execute(self.path, "UPDATE %s SET state = ? WHERE k1 = ?" % self.rows,
                (after, key))

    def findings(self, *words):
        """It exits 1, says all of @words and changes nothing."""
        before = content(self.path)
        code, out, err = run("verify", self.path)
        self.assertEqual(code, 1, out + err)
        for word in words:
            self.assertIn(word, out)
        self.assertIn("next:", err)
        self.assertEqual(content(self.path), before)
        return out

    def everywhere(self, *words):
        """So it is found with nobody else there, beside an application that
        has the file open, and by a running node."""
        alone = self.findings(*words)
        application = connect(self.path)
        application.execute("SELECT count(*) FROM notes").fetchall()
        self.assertEqual(self.findings(*words), alone)
        node = self.start(self.path)
        self.assertEqual(self.findings(*words), alone)
        self.assertEqual(node.stop(), 0)
        application.close()
        self.assertEqual(self.findings(*words), alone)

    def test_one_value_changed_with_triggers_off(self):
        shell(self.path, ".dbconfig enable_trigger off\n"
              "UPDATE notes SET a = 'behind its back' WHERE id = 'key 07';")
        self.assertEqual(
            execute(self.path, "SELECT count(*) FROM gv_journal"), [(0,)])
        self.everywhere("notes 'key 07'", "'a'")

    def test_one_row_deleted_and_one_made_with_triggers_off(self):
        shell(self.path, ".dbconfig enable_trigger off\n"
              "DELETE FROM notes WHERE id = 'key 08';"
              "INSERT INTO notes VALUES('key 99', 'x', 'y');")
        self.everywhere("notes 'key 08'", "notes 'key 99'")

    def test_one_digest(self):
        # The digests stand before the 4 bytes of the check.
        self.state(lambda state: state[:-5] + bytes([state[-5] ^ 1])
                   + state[-4:])
        self.everywhere("notes 'key 33'")

    def test_one_mask(self):
        # Behind the count (1 byte), the site number (1) and the version (8).
        self.state(lambda state: state[:10] + bytes([state[10] ^ 2])
                   + state[11:])
        self.everywhere("notes 'key 33'")

    def test_one_version(self):
        self.state(lambda state: state[:9] + bytes([state[9] ^ 1])
                   + state[10:])
        self.everywhere("notes 'key 33'")

    def test_any_byte_of_a_state(self):
        (state,) = execute(self.path, "SELECT state FROM %s WHERE k1 = "
                                      "'key 40'" % self.rows)[0]
        for at in range(len(state)):
            changed = bytearray(state)
            changed[at] ^= 0x10
            execute(self.path, "UPDATE %s SET state = ? WHERE k1 = 'key 40'"
                    % self.rows, (bytes(changed),))
            self.findings("notes 'key 40'")
        execute(self.path, "UPDATE %s SET state = ? WHERE k1 = 'key 40'"
                % self.rows, (state,))
        self.verify(self.path)

    def test_the_fingerprint(self):
        execute(self.path, "UPDATE gv_meta SET fingerprint = "
                           "zeroblob(15) || x'01'")
        self.everywhere("fingerprint")

    def test_one_line_of_the_index_of_records(self):
        rid = execute(self.path, "SELECT max(rid) FROM gv_ver")[0][0]
        execute(self.path, "DELETE FROM gv_ver WHERE rid = ?", (rid,))
        self.everywhere("notes 'key")

    def test_a_log_left_by_a_killed_program_is_left_alone(self):
        node = self.start(self.path)
        execute(self.path, "UPDATE notes SET a = 'more'")
        wait_until(lambda: node.status()["journal"] == 0, "the seal")
        node.process.kill()
        node.process.wait()
        before = content(self.path)
        self.assertGreater(before[1][0], 0)
        self.verify(self.path)
        self.assertEqual(content(self.path), before)

    def test_a_whole_file_with_a_node_and_peers(self):
        endpoint = free_endpoint()
        nodes = [self.start(self.path, endpoint),
                 self.start(self.database("b.db"), peers=[endpoint])]
        self.wait_equal(nodes)
        for node in nodes:
            before = content(node.path)
            self.verify(node.path)
            self.assertEqual(content(node.path), before)


if __name__ == "__main__":
    unittest.main()
