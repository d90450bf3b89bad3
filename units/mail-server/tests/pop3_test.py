# SPDX-License-Identifier: AGPL-3.0-only
"""POP3 (RFC 1939): headers with a few lines, deleted messages, passwords with blanks."""

import poplib
import unittest

from server import PORTS, MailServer, trusting

MESSAGE = b"From: a@b.test\r\nSubject: n\r\n\r\none\r\n.two\r\nthree\r\n"


class Pop3(unittest.TestCase):
    """One account with three messages."""

    @classmethod
    def setUpClass(cls):
        cls.server = MailServer().__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.user = cls.server.account("alice", password=" two  words ")
        session = cls.server.imap(cls.user, " two  words ")
        for _ in range(3):
            session.append("INBOX", None, None, MESSAGE)
        session.logout()

    def setUp(self):
        self.session = poplib.POP3_SSL(self.server.ip, PORTS["pop3s"], context=trusting(),
                                       timeout=30)
        self.session.user(self.user)
        self.session.pass_(" two  words ")
        self.addCleanup(self.session.close)

    def test_top(self):
        header = [b"From: a@b.test", b"Subject: n", b""]
        for lines, body in ((0, []), (1, [b"one"]), (2, [b"one", b".two"]),
                            (99, [b"one", b".two", b"three"])):
            self.assertEqual(self.session.top(1, lines)[1], header + body, lines)
        self.assertEqual(self.session.retr(1)[1], header + [b"one", b".two", b"three"])

    def test_what_was_deleted_is_gone(self):
        self.session.dele(2)
        for command in (self.session.retr, lambda n: self.session.top(n, 0), self.session.list,
                        self.session.uidl, self.session.dele):
            with self.assertRaises(poplib.error_proto):
                command(2)
        self.assertEqual([row.split()[0] for row in self.session.list()[1]], [b"1", b"3"])
        self.assertEqual([row.split()[0] for row in self.session.uidl()[1]], [b"1", b"3"])
        self.assertEqual(self.session.stat(), (2, 2 * len(MESSAGE)))
        self.session.rset()
        self.assertEqual(self.session.stat()[0], 3)

    def test_numbers_begin_with_one(self):
        for number in (0, 4):
            with self.assertRaises(poplib.error_proto):
                self.session.retr(number)


if __name__ == "__main__":
    unittest.main()
