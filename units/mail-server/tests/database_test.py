# SPDX-License-Identifier: AGPL-3.0-only
"""The database: checked while the server runs, and repaired when a page is damaged."""

import os
import sqlite3
import subprocess
import unittest

from server import MailServer

MESSAGE = b"From: stranger@elsewhere.test\r\nSubject: Tea %d\r\n\r\n%s\r\n"


def command(verb, database):
    """Runs the program's own command; returns its status and what it printed."""
    done = subprocess.run([os.environ["MAIL_SERVER"], verb, str(database)], capture_output=True,
                          text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def pages_of(database, table):
    """The leaf pages of a table, by sqlite's own account of its file."""
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]
    connection.close()
    content = database.read_bytes()
    page = content[(root - 1) * size:root * size]
    assert page[0] == 5, "an interior page of a table"
    cells = int.from_bytes(page[3:5])
    pointers = [int.from_bytes(page[12 + 2 * cell:14 + 2 * cell]) for cell in range(cells)]
    return size, [int.from_bytes(page[pointer:pointer + 4]) for pointer in pointers]


class Database(unittest.TestCase):
    """One server; its database is damaged while it is stopped."""

    def test_what_can_be_read_is_kept(self):
        with MailServer() as server:
            alice = server.account("alice")
            session = server.imap(alice)
            for number in range(60):
                body = b"%d " % number * 200
                self.assertEqual(session.append("INBOX", None, None, MESSAGE % (number, body))[0], "OK")
            session.logout()
            database = server.directory / "state" / "mail.sqlite"
            if not database.exists():
                database = next((server.directory / "state").glob("*.sqlite"))
            self.assertEqual(command("check", database), (0, f"{database} is whole\n"))
            status, said = command("repair", database)
            self.assertEqual(status, 1)
            self.assertIn("stop the mail server first", said)
            server.stop()

            size, leaves = pages_of(database, "t")
            with open(database, "r+b") as file:
                file.seek((leaves[len(leaves) // 2] - 1) * size)
                file.write(bytes(size))
            status, said = command("check", database)
            self.assertEqual(status, 1)
            self.assertIn("is damaged; restore a backup", said)
            before = database.stat()
            status, said = command("repair", database)
            self.assertEqual(status, 0, said)
            after = database.stat()
            self.assertEqual((after.st_mode, after.st_uid, after.st_gid),
                             (before.st_mode, before.st_uid, before.st_gid))
            self.assertRegex(said, r"table t: \d+ rows kept, [1-9]\d* places can't be read")
            self.assertTrue((database.parent / (database.name + ".damaged-1")).exists())
            self.assertEqual(command("check", database), (0, f"{database} is whole\n"))
            server.start()
            session = server.imap(alice)
            session.select("INBOX")
            self.assertGreater(len(session.search(None, "ALL")[1][0].split()), 30)
            session.logout()

    def test_what_is_no_database_is_named(self):
        with MailServer() as server:
            other = server.directory / "fullchain.pem"
            for verb in ("check", "repair"):
                status, said = command(verb, other)
                self.assertEqual(status, 1, said)
            status, said = command("check", server.directory / "absent")
            self.assertEqual(status, 1)
            self.assertIn("absent", said)


if __name__ == "__main__":
    unittest.main()
