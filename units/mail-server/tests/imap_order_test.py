# SPDX-License-Identifier: AGPL-3.0-only
"""IMAP: commands take effect in the order in which they were sent, and what the server says
unasked fits what the client knows."""

import email.header
import re
import time
import unittest

from imap_test import Raw
from server import MailServer

MESSAGE = b"From: a@b.test\r\nTo: alice@example.test\r\nSubject: n\r\n\r\nbody\r\n"
LINE = b"x" * 76 + b"\r\n"


class Session(Raw):
    """Raw with a tag for each command."""

    count = 0

    def run(self, *commands):
        """Sends commands in one write and returns what came until the last one's reply."""
        tags = []
        for _ in commands:
            Session.count += 1
            tags.append(b"t%d " % Session.count)
        self.send(b"".join(tag + command + b"\r\n" for tag, command in zip(tags, commands)))
        return self.until(tags[-1])

    def append(self, message=MESSAGE, folder=b"INBOX"):
        """Stores a message."""
        return self.run(b"APPEND %s {%d+}\r\n%s" % (folder, len(message), message))


class Order(unittest.TestCase):
    """RFC 9051 section 5.5."""

    @classmethod
    def setUpClass(cls):
        cls.server = MailServer().__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.number = 0

    def session(self, user=None):
        """A session of an account; of a new one, or `user`."""
        Order.number += not user
        return Session(self.server, user or self.server.account(f"user{Order.number}"))

    def user(self):
        """The account that the last session was made for."""
        return f"user{Order.number}@example.test"

    def test_pipelined_commands(self):
        session = self.session()
        for _ in range(10):
            session.append()
            session.run(b"SELECT INBOX")
            answer = session.run(b"STORE 1:* +FLAGS (\\Deleted)", b"EXPUNGE")
            self.assertIn(b"* 1 EXPUNGE", answer)
            answer = session.run(b"CREATE Box", b"APPEND Box {4+}\r\n\r\nab", b"SELECT Box",
                                 b"STORE 1 +FLAGS (\\Flagged)", b"FETCH 1 FLAGS")
            self.assertRegex(answer, rb"FETCH \(FLAGS \([^)]*\\Flagged")
            session.run(b"CLOSE", b"DELETE Box")
        session.close()

    def test_signing_in_and_what_needs_it(self):
        user = self.server.account("pipeliner")
        session = Session(self.server)
        message = b"Subject: many lines\r\n\r\n" + LINE * 400
        answer = session.run(b'LOGIN %s "pass word"' % user.encode(), b"SELECT INBOX",
                             b"APPEND INBOX {%d+}\r\n%s" % (len(message), message),
                             b"FETCH 1 RFC822.SIZE")
        self.assertIn(b"RFC822.SIZE %d" % len(message), answer)
        session.close()

    def test_idle_that_ends_at_once(self):
        session = self.session()
        session.run(b"SELECT INBOX")
        session.send(b"i IDLE\r\nDONE\r\nj NOOP\r\n")
        self.assertIn(b"i OK", session.until(b"j "))
        session.close()

    def test_append_announces_the_message(self):
        session = self.session()
        session.run(b"SELECT INBOX")
        self.assertIn(b"* 1 EXISTS", session.append())
        self.assertIn(b"* 1 FETCH", session.run(b"FETCH 1 FLAGS"))
        self.assertNotIn(b"EXISTS", session.run(b"NOOP"))
        session.close()

    def test_numbers_stay_until_an_expunge_is_announced(self):
        session = self.session()
        for _ in range(4):
            session.append()
        session.run(b"SELECT INBOX")
        other = self.session(self.user())
        other.run(b"SELECT INBOX", b"STORE 1 +FLAGS (\\Deleted)", b"EXPUNGE")
        other.append()
        answer = session.run(b"UID FETCH 2,4 UID")
        self.assertIn(b"* 2 FETCH (UID 2)", answer)
        self.assertIn(b"* 4 FETCH (UID 4)", answer)
        self.assertIn(b"* 5 EXISTS", answer)
        answer = session.run(b"UID FETCH 5:* UID")
        self.assertIn(b"* 5 FETCH (UID 5)", answer)
        answer = session.run(b"NOOP")
        self.assertIn(b"* 1 EXPUNGE", answer)
        self.assertIn(b"* 4 EXISTS", answer)
        self.assertIn(b"* 4 FETCH (UID 5)", session.run(b"FETCH 4 UID"))
        session.close()
        other.close()

    def test_select_with_qresync_closes_first(self):
        session = self.session()
        session.run(b"ENABLE QRESYNC")
        session.run(b"CREATE Box")
        for _ in range(2):
            session.append(folder=b"Box")
        answer = session.run(b"SELECT Box")
        validity = re.search(rb"UIDVALIDITY (\d+)", answer)[1]
        modseq = re.search(rb"HIGHESTMODSEQ (\d+)", answer)[1]
        session.run(b"STORE 1 +FLAGS (\\Deleted)", b"EXPUNGE", b"SELECT INBOX")
        answer = session.run(b"SELECT Box (QRESYNC (%s %s))" % (validity, modseq))
        order = [answer.index(word) for word in (b"[CLOSED]", b"EXISTS", b"VANISHED")]
        self.assertEqual(order, sorted(order), answer)
        self.assertEqual(answer.count(b"EXISTS"), 1)
        session.close()

    def test_results_of_extended_searches(self):
        session = self.session()
        for _ in range(5):
            session.append()
        session.run(b"SELECT INBOX")
        for options, expected in ((b"MIN MAX COUNT ALL", b"COUNT 5 MIN 1 MAX 5 ALL 1:5"),
                                  (b"MIN ALL", b"MIN 1 ALL 1:5"), (b"MIN MAX", b"MIN 1 MAX 5"),
                                  (b"COUNT MAX", b"COUNT 5 MAX 5"), (b"", b"ALL 1:5")):
            answer = session.run(b"SEARCH RETURN (%s) ALL" % options)
            self.assertRegex(answer, rb"ESEARCH \(TAG [^)]*\) " + expected + rb"\r\n")
        session.close()


class Contents(unittest.TestCase):
    """What a message is said to hold."""

    @classmethod
    def setUpClass(cls):
        cls.server = MailServer().__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.session = Session(cls.server, cls.server.account("alice"))
        cls.addClassCleanup(cls.session.close)

    def stored(self, message):
        """Stores a message in a folder of its own."""
        self.session.run(b"CREATE Box", b"SELECT Box", b"STORE 1:* +FLAGS (\\Deleted)", b"EXPUNGE")
        self.assertIn(b" OK", self.session.append(message, b"Box"))

    def test_structures_are_ascii(self):
        name = "Jürgen Großmüller-Straßenbäckerei am Überlinger Bodenseeufer"
        self.stored((f"From: =?utf-8?q?J=C3=BCrgen?= <j@b.test>\r\nSubject: {name}\r\n"
                     "Content-Type: text/plain; name*=utf-8''J%C3%BCrgen.txt\r\n\r\nx\r\n").encode())
        for item in (b"ENVELOPE", b"BODYSTRUCTURE", b"BODY"):
            self.assertTrue(self.session.run(b"FETCH 1 " + item).isascii(), item)
        envelope = self.session.run(b"FETCH 1 ENVELOPE")
        subject = re.search(rb'"(=\?[^"]*)"', envelope)[1].decode()
        self.assertTrue(all(len(word) <= 75 for word in subject.split()), subject)
        decoded = email.header.make_header(email.header.decode_header(subject))
        self.assertEqual(str(decoded), name)

    def test_any_field_can_be_searched(self):
        self.stored(b"From: a@b.test\r\nMessage-ID: <abc@friend.test>\r\nList-Id: <l.b.test>\r\n\r\nx")
        end = time.monotonic() + 20
        while b"* SEARCH 1" not in (answer := self.session.run(
                b'SEARCH HEADER Message-ID "<abc@friend.test>"')):
            self.assertLess(time.monotonic(), end, answer)
            time.sleep(0.3)
        self.assertIn(b"* SEARCH 1", self.session.run(b'SEARCH HEADER List-Id "l.b.test"'))

    def test_pieces_of_a_large_message(self):
        part = b"".join(b"%076d\r\n" % n for n in range(12 * (1 << 20) // 78))
        message = (b"From: a@b.test\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n"
                   b"--bb\r\n\r\nsmall\r\n--bb\r\nContent-Type: application/x\r\n\r\n"
                   + part + b"\r\n--bb--\r\n")
        self.stored(message)
        begin = time.monotonic()
        whole = self.session.run(b"FETCH 1 BODY.PEEK[]")
        once = time.monotonic() - begin
        self.assertIn(message, whole)
        for section, text in ((b"", message), (b"2", part), (b"1", b"small"), (b"TEXT", message.split(b"\r\n\r\n", 1)[1])):
            for start, length in ((0, 10), (3, 100), (1048570, 100), (len(text) - 5, 100),
                                  (len(text) + 5, 10)):
                answer = self.session.run(b"FETCH 1 BODY.PEEK[%s]<%d.%d>" % (section, start, length))
                piece = text[start:start + length]
                self.assertIn(b"BODY[%s]<%d> {%d}\r\n%s)" % (section, start, len(piece), piece)
                              if piece else b"BODY[%s]<%d> " % (section, start), answer)
        begin, size = time.monotonic(), 64 * 1024
        for start in range(0, 40 * size, size):
            self.session.run(b"FETCH 1 BODY.PEEK[2]<%d.%d>" % (start, size))
        self.assertLess((time.monotonic() - begin) / 40, once / 4, "a piece costs a parse")


if __name__ == "__main__":
    unittest.main()
