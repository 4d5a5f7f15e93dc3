"""Damage in one file is found by comparing it with a peer's, named, and on a
word repaired from there."""
import json
import os
import unittest

from mesh import (Case, execute, free_endpoint, run, shell, status,
                  wait_until)


class Proof(Case):
    ROWS = 60

    def setUp(self):
        super().setUp()
        self.endpoints = [free_endpoint(), free_endpoint()]
        self.paths = [self.database("a.db"), self.database("b.db")]
        shell(self.paths[0], "".join(
            "INSERT INTO notes VALUES('key %02d', 'a', 'value %d');" % (i, i)
            for i in range(self.ROWS)))
        self.a = self.begin(0)
        self.b = self.begin(1)
        self.wait_equal([self.a, self.b])
        execute(self.paths[1], "UPDATE notes SET b = 'new' WHERE id > "
                               "'key 20'")
        self.wait_equal([self.a, self.b])
        self.rows = execute(
            self.paths[0], "SELECT name FROM sqlite_schema WHERE "
                           "name GLOB 'gv_row_*' AND type = 'table'")[0][0]

    def begin(self, i):
        return self.start(self.paths[i], self.endpoints[i],
                          peers=[self.endpoints[1 - i]])

    def compare(self, *options, path=None, peer=None):
        return run("verify", path or self.paths[0], "--peer",
                   peer or self.endpoints[1], *options)

    def agree(self):
        """Nothing differs, on either side, and each file is sound."""
        for i in (0, 1):
            code, out, err = self.compare(path=self.paths[i],
                                          peer=self.endpoints[1 - i])
            self.assertEqual(code, 0, out + err)
            self.assertIn("no row differs", out)
        self.wait_equal([self.a, self.b])
        # One more publication each way: what was repaired is sent on.
        execute(self.paths[0], "UPDATE notes SET a = 'after'")
        self.wait_equal([self.a, self.b])
        execute(self.paths[1], "UPDATE notes SET b = 'after'")
        self.wait_equal([self.a, self.b])
        self.assertEqual(*(execute(path, "SELECT * FROM notes ORDER BY id")
                           for path in self.paths))

    def state(self, change, key="key 33", path=None):
        """Change the bytes of a row's state: its records and digests."""
        path = path or self.paths[0]
        (before,) = execute(path, "SELECT state FROM %s WHERE k1 = ?"
                            % self.rows, (key,))[0]
        execute(path, "UPDATE %s SET state = ? WHERE k1 = ?" % self.rows,
                (bytes(change(bytearray(before))), key))

    def found_and_repaired(self, *words):
        """It is named, by both nodes, and left alone; then repaired."""
        for i in (0, 1):
            code, out, err = self.compare(path=self.paths[i],
                                          peer=self.endpoints[1 - i])
            self.assertEqual(code, 1, out + err)
            for word in words:
                self.assertIn(word, out)
            self.assertIn("1 difference, 0 mended", out)
            self.assertIn("--repair", err)
        proof = status(self.paths[0])["proof"]
        self.assertEqual(proof["differ"], 1)
        self.assertIn("differs from b.db: " + words[0], self.a.log())
        self.assertIn("differs from a.db: " + words[0], self.b.log())
        code, out, err = self.compare("--repair")
        self.assertEqual(code, 0, out + err)
        self.assertIn("(mended)", out)
        self.assertEqual(status(self.paths[0])["counters"]["rows_mended"], 1)
        self.assertEqual(status(self.paths[1])["counters"]["rows_mended"], 1)
        # The other node found it too, and it is past there as well.
        wait_until(lambda: not any("other than on" in warning
                                   for path in self.paths
                                   for warning in status(path)["warnings"]),
                   "the warnings are past")
        self.agree()

    def test_equal_files(self):
        self.agree()

    def test_a_digest(self):
        self.state(lambda state: state[:-5] + bytes([state[-5] ^ 1])
                   + state[-4:])
        self.found_and_repaired("notes 'key 33'", "damaged")

    def test_a_mask(self):
        self.state(lambda state: state[:10] + bytes([state[10] ^ 2])
                   + state[11:])
        self.found_and_repaired("notes 'key 33'", "damaged")

    def test_a_state_that_is_none(self):
        self.state(lambda state: b"")
        self.found_and_repaired("notes 'key 33'", "damaged")

    def test_the_log_of_a_row(self):
        execute(self.paths[0], "DELETE FROM %s WHERE k1 = 'key 40'"
                % self.rows)
        self.found_and_repaired("notes 'key 40'", "no such row")

    def test_a_line_of_the_index_of_records(self):
        (rid,) = execute(self.paths[0], "SELECT rid FROM %s WHERE "
                         "k1 = 'key 41'" % self.rows)[0]
        execute(self.paths[0], "DELETE FROM gv_ver WHERE rid = ?", (rid,))
        self.found_and_repaired("notes 'key 41'", "damaged")

    def test_rows_that_fit_no_frame(self):
        for i, size in enumerate((1000000, 300000, 200000)):
            execute(self.paths[0], "INSERT INTO notes VALUES(?, ?, ?)",
                    ("long %d" % i, "text", b"%d" % i * size))
        self.wait_equal([self.a, self.b])
        self.state(lambda state: b"", key="long 0")
        execute(self.paths[0], "DELETE FROM %s WHERE k1 = 'long 1'"
                % self.rows)
        self.state(lambda state: state[:10] + bytes([state[10] ^ 2])
                   + state[11:], key="long 2", path=self.paths[1])
        self.state(lambda state: b"?")
        code, out, err = self.compare("--repair")
        self.assertEqual(code, 0, out + err)
        self.assertIn("4 differences, 4 mended", out)
        self.assertEqual(
            execute(self.paths[1], "SELECT length(b) FROM notes WHERE id >="
                                   " 'long' ORDER BY id"),
            [(1000000,), (300000,), (200000,)])
        # Nothing is left of what came in pieces.
        for path in self.paths:
            self.assertEqual([name for name in os.listdir(path + "-gv")
                              if name.startswith("mend-")], [])
        self.agree()

    def test_what_the_peer_has_not_is_written_anew(self):
        # The damage is to the key itself: no peer has such a row, and the one
        # that it was is gone here.
        execute(self.paths[0], "UPDATE %s SET k1 = 'key 3?', state = x'00'"
                               " WHERE k1 = 'key 33'" % self.rows)
        code, out, err = self.compare()
        self.assertEqual(code, 1, out + err)
        self.assertIn("notes 'key 3?': its log is damaged here, and the peer"
                      " has none", out)
        code, out, err = self.compare("--repair")
        self.assertEqual(code, 0, out + err)
        self.assertIn("2 differences, 2 mended", out)
        self.assertEqual(
            execute(self.paths[1], "SELECT count(*) FROM notes"),
            [(self.ROWS,)])
        self.agree()

    def test_many_rows_on_both_sides(self):
        for i, path in enumerate(self.paths):
            execute(path, "UPDATE %s SET state = zeroblob(9) WHERE rid %% 6 = "
                          "%d" % (self.rows, i))
        code, out, err = self.compare()
        self.assertEqual(code, 1, out + err)
        self.assertIn("20 differences", out)
        code, out, err = self.compare("--repair")
        self.assertEqual(code, 0, out + err)
        self.assertIn("20 mended", out)
        self.agree()

    def test_what_is_damaged_on_both_sides_stays_and_is_named(self):
        for path in self.paths:
            self.state(lambda state: b"?", path=path)
        code, out, err = self.compare("--repair")
        self.assertEqual(code, 1, out + err)
        self.assertIn("damaged here and there", out)
        self.assertIn("1 difference, 0 mended", out)

    def test_a_write_to_a_damaged_row_waits_and_ends_no_node(self):
        self.state(lambda state: b"?")
        execute(self.paths[0], "UPDATE notes SET a = 'mine' WHERE id = "
                               "'key 33'")
        execute(self.paths[0], "UPDATE notes SET a = 'sound' WHERE id = "
                               "'key 34'")
        wait_until(lambda: execute(self.paths[1], "SELECT a FROM notes WHERE "
                                   "id = 'key 34'") == [("sound",)],
                   "the other row")
        wait_until(lambda: "notes 'key 33'" in
                   " ".join(status(self.paths[0])["warnings"]),
                   "the row's name in the status")
        self.assertIn("a change of notes 'key 33' stays here", self.a.log())
        code, out, err = self.compare("--repair")
        self.assertEqual(code, 0, out + err)
        wait_until(lambda: execute(self.paths[1], "SELECT a FROM notes WHERE "
                                   "id = 'key 33'") == [("mine",)],
                   "the change")
        self.assertNotIn("key 33", " ".join(status(self.paths[0])["warnings"]))
        self.agree()

    def test_nodes_that_differ_name_the_cause_by_themselves(self):
        self.assertEqual(self.a.stop(), 0)
        execute(self.paths[0], "UPDATE gv_meta SET fingerprint = "
                               "zeroblob(15) || x'01'")
        self.a = self.begin(0)
        wait_until(lambda: "not the sum" in self.a.log(), "the line")
        wait_until(lambda: status(self.paths[0])["counters"]["proofs"] == 1,
                   "the end")
        found = status(self.paths[0])
        self.assertTrue(found["links"][0]["diverged"])
        self.assertEqual(found["proof"]["differ"], 1)
        self.assertIn("fingerprint", found["proof"]["findings"][0]["finding"])
        # The other node looks too, and finds the same rows.
        wait_until(lambda: status(self.paths[1])["counters"]["proofs"] == 1,
                   "the other's end")
        self.assertEqual(
            status(self.paths[1])["counters"]["rows_differed"], 0)
        code, out, err = self.compare("--repair")
        self.assertEqual(code, 0, out + err)
        self.wait_equal([self.a, self.b])
        wait_until(lambda: not status(self.paths[0])["links"][0]["diverged"],
                   "agreement")
        self.agree()

    def test_without_a_node(self):
        self.assertEqual(self.a.stop(), 0)
        self.state(lambda state: state[:-5] + bytes([state[-5] ^ 1])
                   + state[-4:])
        code, out, err = self.compare()
        self.assertEqual(code, 1, out + err)
        self.assertIn("notes 'key 33'", out)
        code, out, err = self.compare("--repair")
        self.assertEqual(code, 0, out + err)
        self.a = self.begin(0)
        self.agree()

    def test_by_the_name_of_the_peer(self):
        code, out, err = self.compare(peer="b.db")
        self.assertEqual(code, 0, out + err)

    def test_nobody_there(self):
        code, _, err = self.compare(peer=free_endpoint())
        self.assertEqual(code, 1)
        self.assertIn("No link", err)
        # It is not one that the node is to be linked with from now on.
        wait_until(lambda: len(status(self.paths[0])["links"]) == 1,
                   "the endpoint is forgotten")

    def test_a_peer_that_is_none(self):
        # Neither an endpoint, nor where this node may dial.
        for peer in ("b", "tcp://192.0.2.1:7401"):
            code, _, err = self.compare(peer=peer)
            self.assertEqual(code, 2)
            self.assertIn("--peer: ", err)
        self.assertEqual(len(status(self.paths[0])["links"]), 1)

    def test_repair_needs_a_peer(self):
        code, _, err = run("verify", self.paths[0], "--repair")
        self.assertEqual(code, 2)
        self.assertIn("--peer", err)

    def test_a_value_written_past_the_triggers_is_published(self):
        shell(self.paths[0], ".dbconfig enable_trigger off\n"
              "UPDATE notes SET a = 'behind its back' WHERE id = 'key 07';")
        # The logs are equal; the file's own check sees the value.
        code, out, err = self.compare()
        self.assertEqual(code, 1, out + err)
        self.assertIn("no row differs", out)
        self.assertIn("notes 'key 07'", out)
        code, out, err = run("verify", self.paths[0], "--accept")
        self.assertEqual(code, 0, out + err)
        self.wait_equal([self.a, self.b])
        self.assertEqual(
            execute(self.paths[1], "SELECT a FROM notes WHERE id = 'key 07'"),
            [("behind its back",)])
        self.agree()


if __name__ == "__main__":
    unittest.main()
