# SPDX-License-Identifier: AGPL-3.0-only
"""IMAP: who may share, and what becomes of a refused command."""

import re
import unittest

from server import MailServer, trusting, HOST

SMALL = 'request.max-size = 20000'


class Raw:
    """A connection to IMAPS that sends exactly what it is told."""

    def __init__(self, server, user=None):
        self.plain = server.tcp("imaps")
        self.socket = trusting().wrap_socket(self.plain, server_hostname=HOST)
        self.file = self.socket.makefile("rb")
        self.file.readline()
        if user:
            self.send(f'l LOGIN "{user}" "pass word"\r\n'.encode())
            self.until(b"l ")

    def send(self, octets):
        """Sends octets."""
        self.socket.sendall(octets)

    def until(self, tag):
        """Reads to the tagged reply and returns all lines."""
        lines = []
        while not lines or not lines[-1].startswith(tag):
            line = self.file.readline()
            assert line, ("closed after", lines)
            lines.append(line)
        return b"".join(lines)

    def close(self):
        """Closes the connection."""
        self.file.close()
        self.socket.close()


class AccessControl(unittest.TestCase):
    """RFC 4314: only who has the right `a` may change rights."""

    @classmethod
    def setUpClass(cls):
        cls.server = MailServer().__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.alice, cls.bob, cls.carol = map(cls.server.account, ("alice", "bob", "carol"))
        owner = cls.server.imap(cls.alice)
        owner.create("Plans")
        owner.list()  # the session learns of new folders when it lists
        status, answer = owner.setacl("Plans", cls.bob, "lr")
        assert status == "OK", answer
        owner.logout()

    def shared(self, session):
        """What the sharee calls the folder."""
        _, rows = session.list('""', '"*"')
        names = [re.search(rb'"/" "?([^"]*Plans)"?$', row) for row in rows]
        return next(name.group(1).decode() for name in names if name)

    def rights(self):
        """The owner's view: {account: rights}."""
        session = self.server.imap(self.alice)
        _, rows = session.getacl("Plans")
        session.logout()
        words = rows[0].decode().replace('"', "").split()[1:]
        return dict(zip(words[::2], words[1::2]))

    def test_a_sharee_cannot_raise_his_rights(self):
        before = self.rights()
        session = self.server.imap(self.bob)
        folder = f'"{self.shared(session)}"'
        for who, rights in ((self.bob, "lrswipkxtea"), (self.bob, "+a"), (self.carol, "lr")):
            status, _ = session.setacl(folder, who, rights)
            self.assertEqual(status, "NO", (who, rights))
        status, _ = session.deleteacl(folder, self.bob)
        self.assertEqual(status, "NO")
        session.logout()
        self.assertEqual(self.rights(), before)

    def test_an_administrator_can(self):
        owner = self.server.imap(self.alice)
        owner.create("TeamPlans")
        owner.list()
        self.assertEqual(owner.setacl("TeamPlans", self.carol, "lra")[0], "OK")
        owner.logout()
        session = self.server.imap(self.carol)
        self.assertEqual(session.setacl(f'"{self.shared(session)}"', self.bob, "lr")[0], "OK")
        session.logout()


class StartTls(unittest.TestCase):
    """RFC 9051 section 6.2.1: what was said before is forgotten."""

    def test_a_command_begun_in_plain_text_is_not_continued(self):
        with MailServer() as server, server.tcp("imap") as plain:
            plain.recv(4096)
            plain.sendall(b"a STARTTLS\r\ninjected NOOP")
            self.assertIn(b"a OK", plain.recv(4096))
            with trusting().wrap_socket(plain, server_hostname=HOST) as tls:
                tls.sendall(b"\r\nb NOOP\r\n")
                reader = tls.makefile("rb")
                self.assertTrue(reader.readline().startswith(b"b "))
                reader.close()


class RefusedCommands(unittest.TestCase):
    """RFC 7888 section 4: the octets of a refused literal are not commands."""

    @classmethod
    def setUpClass(cls):
        edit = lambda text: text.replace("request.max-size = 52428800", SMALL)
        cls.server = MailServer(edit).__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.alice = cls.server.account("alice")

    def injected(self, name, *pieces):
        """Sends pieces, then LISTs: was the folder made?"""
        session = Raw(self.server, self.alice)
        for piece in pieces:
            session.send(piece)
        session.send(b"z NOOP\r\n")
        answers = session.until(b"z ")
        session.send(b'y LIST "" "*"\r\n')
        folders = session.until(b"y OK")
        session.close()
        return name.encode() in folders, answers

    def test_the_body_of_an_oversized_literal_is_discarded(self):
        line = b"x CREATE Injected\r\n"
        body = line * (30000 // len(line))
        made, answers = self.injected(
            "Injected", b"a APPEND INBOX {%d+}\r\n" % len(body), body, b"\r\n")
        self.assertFalse(made)
        self.assertTrue(answers.startswith(b"a BAD") or answers.startswith(b"a NO"), answers)
        self.assertIn(b"z OK", answers)
        self.assertEqual(answers.count(b"\r\n"), 2, "one answer for each command")

    def test_further_literals_of_the_command_are_discarded_too(self):
        body = b"x CREATE Second\r\n"
        made, answers = self.injected(
            "Second", b"a APPEND INBOX {30000+}\r\n", b"y" * 30000,
            b" {%d+}\r\n" % len(body), body, b"\r\n")
        self.assertFalse(made)
        self.assertEqual(answers.count(b"\r\n"), 2, answers)

    def test_the_rest_of_a_refused_line_is_discarded(self):
        made, _ = self.injected(
            "Third", b'a SELECT "' + b"q" * 5000, b" x CREATE Third", b'"\r\n')
        self.assertFalse(made)

    def test_a_synchronizing_literal_is_refused_before_it_is_sent(self):
        made, answers = self.injected("Never", b"a APPEND INBOX {30000}\r\n")
        self.assertFalse(made)
        self.assertIn(b"z OK", answers)

    def test_what_fits_still_works(self):
        message = b"Subject: fits\r\n\r\n" + b"x" * 5000
        session = Raw(self.server, self.alice)
        session.send(b"a APPEND INBOX {%d+}\r\n" % len(message) + message + b"\r\n")
        answers = session.until(b"a ")
        session.close()
        self.assertIn(b"a OK", answers)


class Searching(unittest.TestCase):
    """RFC 9051, 6.4.4: substrings of header fields, in what people read."""

    MESSAGE = (b"From: =?utf-8?q?J=C3=BCrgen?= Friend <friend@friend.org>\r\nTo: alice@example.test\r\n"
               b"Subject: =?utf-8?q?Stromrechnung_f=C3=BCr?=\r\n =?utf-8?q?_Dora?=\r\n"
               b"X-Tracking: parcel-4711-a\r\nMessage-ID: <a1@friend.org>\r\n\r\nHello\r\n")

    @classmethod
    def setUpClass(cls):
        cls.server = MailServer().__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.session = cls.server.imap(cls.server.account("alice"))
        for message in (cls.MESSAGE, b"From: other@else.test\r\nSubject: Nothing\r\n\r\nHello\r\n"):
            status, answer = cls.session.append("INBOX", None, None, message)
            assert status == "OK", answer
        cls.session.select("INBOX")

    def found(self, query):
        """The numbers that match, as text."""
        status, answer = self.session.search(None, *query)
        self.assertEqual(status, "OK")
        return answer[0]

    def test_parts_of_words(self):
        for query in (("SUBJECT", "rechnung"), ("SUBJECT", "STROM"), ("FROM", "riend@fri"),
                      ("TO", "lice@"), ("HEADER", "X-Tracking", "4711"), ("TEXT", "tromrech"),
                      ("OR", "SUBJECT", "rechnung", "SUBJECT", "absent"),
                      ("SUBJECT", "rech", "FROM", "friend", "NOT", "SUBJECT", "thing"),
                      ("OR", "(SUBJECT absent SUBJECT rech)", "FROM", "friend.org")):
            self.assertEqual(self.found(query), b"1", query)
        for query in (("SUBJECT", "friend"), ("FROM", "rechnung"), ("HEADER", "X-Tracking", "4712"),
                      ("SUBJECT", "utf-8"), ("SUBJECT", "absent", "SUBJECT", "rechnung")):
            self.assertEqual(self.found(query), b"", query)
        self.assertEqual(self.found(("NOT", "SUBJECT", "rechnung")), b"2")

    def test_what_is_no_message_is_refused_with_a_reason(self):
        connection = Raw(self.server, "alice@example.test")
        for octets in (b"Hello\r\n", b":\r\n"):
            connection.send(b"a APPEND INBOX {%d+}\r\n%s\r\n" % (len(octets), octets))
            self.assertIn(b"a NO [CANNOT] This is not a message", connection.until(b"a "))
        connection.close()


if __name__ == "__main__":
    unittest.main()
