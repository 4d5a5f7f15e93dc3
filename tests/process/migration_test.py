"""Migrations of a tracked table while nodes run: nothing dies."""
import unittest

from mesh import Case, connect, execute, run, status, wait_until

ROWS = 300


def count(path, where="1"):
    return execute(path, "SELECT count(*) FROM notes WHERE " + where)[0][0]


def audit(path):
    return status(path)["audit"]


class Migration(Case):
    def filled(self):
        a, b = self.mesh(2)
        execute(a.path, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT"
                        " i + 1 FROM n WHERE i < %d) INSERT INTO notes"
                        " SELECT 'k' || i, i, 'b' FROM n" % ROWS)
        self.wait_equal([a, b])
        return a, b

    def test_a_rebuild_statement_by_statement_kills_no_row(self):
        a, b = self.filled()
        execute(a.path, "ALTER TABLE notes RENAME TO notes_old")
        wait_until(lambda: "why" in audit(a.path), "notes being missed")
        execute(a.path, Case.TABLE)
        wait_until(lambda: audit(a.path)["waiting"] == ROWS,
                   "the audit seeing an empty table")
        # What others write meanwhile comes when the table is back.
        execute(b.path, "UPDATE notes SET b = 'late' WHERE id = 'k1'")
        execute(a.path, "INSERT INTO notes SELECT * FROM notes_old")
        execute(a.path, "DROP TABLE notes_old")
        wait_until(lambda: not audit(a.path)["due"], "the end of the audit")
        self.assertEqual(count(b.path), ROWS)
        execute(a.path, "UPDATE notes SET a = 'after' WHERE id = 'k2'")
        self.wait_equal([a, b])
        wait_until(lambda: count(a.path, "b = 'late'") == 1, "the late write")
        self.assertEqual(count(b.path, "a = 'after'"), 1)
        self.assertEqual((count(a.path), count(b.path)), (ROWS, ROWS))
        for node in (a, b):
            self.assertEqual(status(node.path)["tables"][0]["deleted"], 0)
            self.verify(node.path)

    def test_a_rebuild_that_changes_values_is_published_when_it_is_over(self):
        a, b = self.filled()
        execute(a.path, "CREATE TABLE new(id TEXT PRIMARY KEY, a TEXT, b TEXT)")
        execute(a.path, "INSERT INTO new SELECT id, a, 'new' FROM notes")
        execute(a.path, "DROP TABLE notes")
        execute(a.path, "ALTER TABLE new RENAME TO notes")
        wait_until(lambda: audit(a.path)["waiting"] == ROWS, "the audit")
        self.assertEqual(count(b.path, "b = 'new'"), 0)
        wait_until(lambda: count(b.path, "b = 'new'") == ROWS, "the new values")
        self.wait_equal([a, b])
        self.assertEqual(audit(a.path)["found"], ROWS)

    def test_the_first_sentence_of_status_names_a_table_that_is_gone(self):
        a, b = self.filled()
        execute(a.path, "DROP TABLE notes")
        why = ("able notes is not shared at present: there is no table"
               " 'notes' in the file.")
        wait_until(lambda: status(a.path)["summary"]
                   == "T" + why + " 1 of 1 peer connected.", "the sentence")
        self.assertEqual(a.stop(), 0)
        self.assertEqual(status(a.path)["summary"], "No node runs; t" + why)

    def test_a_massacre_waits_for_a_person(self):
        a, b = self.filled()
        self.massacre(a.path)
        wait_until(lambda: audit(a.path)["waiting"] == ROWS, "the audit")
        code, out, err = run("status", a.path)
        self.assertEqual(code, 0, err)
        self.assertIn("more than half of the rows of notes are gone", out)
        code, out, err = run("verify", a.path)
        self.assertEqual(code, 1)
        self.assertEqual(count(b.path), ROWS)
        code, out, err = run("verify", a.path, "--accept")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("%d rows published" % ROWS, out)
        wait_until(lambda: count(b.path) == 0, "the deletes")
        self.wait_equal([a, b])

    def test_a_person_accepts_without_a_node_too(self):
        path = self.database("alone.db")
        execute(path, "INSERT INTO notes VALUES('x', 'a', 'b')")
        self.assertEqual(run("verify", path, "--accept")[0], 0)
        self.massacre(path)
        code, out, err = run("verify", path, "--accept")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("1 row published that was written past", out)
        self.assertEqual(status(path)["tables"][0]["deleted"], 1)

    @staticmethod
    def massacre(path):
        """Delete every row past the triggers, as a script that dropped them
        does."""
        db = connect(path)
        db.executescript("BEGIN IMMEDIATE; DROP TRIGGER gv_1_d;"
                         "DELETE FROM notes; COMMIT")
        db.close()


if __name__ == "__main__":
    unittest.main()
