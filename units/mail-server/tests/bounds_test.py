# SPDX-License-Identifier: AGPL-3.0-only
"""What strangers may take: connections, time, memory, writes to the disk. And accounts:
recipients."""

import contextlib
import pathlib
import re
import socket
import time
import unittest

from bans_test import quick, refused_recipients
from server import DOMAIN, PORTS, MailServer, trusting

MIB = 1 << 20
LINE = b"x" * 76 + b"\r\n"


def connect(server, listener, source):
    """A connection from another address."""
    return socket.create_connection((server.ip, PORTS[listener]), 30, (source, 0))


def is_open(connection):
    """Whether the server has not closed it; what it said is read."""
    connection.setblocking(False)
    try:
        while connection.recv(4096):
            pass
        return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def memory(server, field="VmRSS"):
    """A field of the process's status, in bytes."""
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+) kB", status)[1]) * 1024


@contextlib.contextmanager
def peak(server):
    """Yields a function that says how much more memory was used at most since now."""
    pathlib.Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
    before = memory(server)
    yield lambda: memory(server, "VmHWM") - before


class Session:
    """SMTP, line by line, from another address."""

    def __init__(self, server, source, listener="smtp"):
        self.socket = connect(server, listener, source)
        self.file = self.socket.makefile("rb")
        self.reply()
        self.say("EHLO mx.friend.test")

    def reply(self):
        """The last line of a reply."""
        while True:
            line = self.file.readline()
            if line[3:4] != b"-":
                return line.decode()

    def say(self, line):
        """Sends a command and returns the reply."""
        self.socket.sendall(line.encode() + b"\r\n")
        return self.reply()

    def open_message(self, size=""):
        """Up to the text of a message."""
        self.say(f"MAIL FROM:<friend@friend.test>{size}")
        self.say(f"RCPT TO:<alice@{DOMAIN}>")
        return self.say("DATA")

    def close(self):
        """Closes the connection."""
        self.file.close()
        self.socket.close()


class Connections(unittest.TestCase):
    """RFC 4732: those that say nothing."""

    def test_silent_connections_end_and_one_client_cannot_have_all(self):
        with MailServer(quick) as server:
            silent = [connect(server, "imaps", "127.8.0.1") for _ in range(60)]
            time.sleep(1)
            self.assertEqual(sum(map(is_open, silent)), 50)
            with trusting().wrap_socket(connect(server, "imaps", "127.8.0.2"),
                                        server_hostname="mail.example.test") as other:
                self.assertIn(b"OK", other.recv(100))
            upgraded = []
            for listener, begin in (("smtp", b"EHLO a.test\r\nSTARTTLS\r\n"),
                                    ("imap", b"a STARTTLS\r\n"), ("sieve", b"STARTTLS\r\n")):
                upgraded.append(connect(server, listener, "127.8.0.3"))
                upgraded[-1].recv(4096)
                upgraded[-1].sendall(begin)
            speechless = connect(server, "smtp", "127.8.0.4")
            time.sleep(35)
            self.assertEqual(sum(map(is_open, silent)), 0)
            self.assertEqual([is_open(one) for one in upgraded], [False] * 3)
            time.sleep(28)
            self.assertFalse(is_open(speechless))

    def test_a_full_listener_loses_patience(self):
        edit = lambda text: quick(text).replace("max-connections = 2048", "max-connections = 100")
        with MailServer(edit) as server:
            silent = [connect(server, "imap", f"127.8.0.{n % 2 + 1}") for n in range(90)]
            time.sleep(13)
            self.assertLess(sum(map(is_open, silent)), 82)


class Memory(unittest.TestCase):
    """Octets that nobody has signed in for."""

    @classmethod
    def setUpClass(cls):
        cls.server = MailServer(quick).__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.alice = cls.server.account("alice")

    def test_chunks_without_recipients_are_not_kept(self):
        sessions = []
        with peak(self.server) as more:
            for number in range(4):
                session = Session(self.server, f"127.8.4.{number + 1}")
                session.say("MAIL FROM:<friend@friend.test>")
                session.socket.sendall(b"BDAT %d LAST\r\n" % (40 * MIB))
                for _ in range(40):
                    session.socket.sendall(b"x" * MIB)
                self.assertEqual(session.reply()[:3], "503")
                sessions.append(session)
            # A fourth of what was sent: buffers of the first connections count too.
            self.assertLess(more(), 40 * MIB)
        for session in sessions:
            session.close()

    def test_sizes_of_chunks_do_not_overflow(self):
        session = Session(self.server, "127.8.4.9")
        session.say("MAIL FROM:<friend@friend.test>")
        session.say(f"RCPT TO:<{self.alice}>")
        session.socket.sendall(b"BDAT 10\r\n0123456789")
        self.assertEqual(session.reply()[:3], "250")
        session.socket.sendall(b"BDAT 18446744073709551606\r\nx")
        time.sleep(0.5)
        session.close()
        self.assertNotIn("panicked", self.server.log.read_text())

    def test_what_follows_a_chunk_too_large_is_no_message(self):
        session = Session(self.server, "127.8.4.10")
        session.say("MAIL FROM:<friend@friend.test>")
        session.say(f"RCPT TO:<{self.alice}>")
        session.socket.sendall(b"BDAT %d\r\n" % (51 * MIB))
        for _ in range(51):
            session.socket.sendall(b"x" * MIB)
        self.assertEqual(session.reply()[:3], "552")
        session.socket.sendall(b"BDAT 15 LAST\r\nSubject: cut\r\n\r\n"[:14 + 15])
        self.assertEqual(session.reply()[:3], "503")
        session.close()

    def test_literals_before_the_password_are_small(self):
        for listener, command in (("imap", b"a LOGIN {%d+}\r\n"),
                                  ("sieve", b'AUTHENTICATE "PLAIN" {%d+}\r\n')):
            with peak(self.server) as more, connect(self.server, listener, "127.8.5.1") as plain:
                plain.recv(4096)
                plain.sendall(command % (40 * MIB))
                for _ in range(40):
                    plain.sendall(b"x" * MIB)
                plain.sendall(b"\r\n")
                self.assertTrue(re.search(rb"BAD|NO", plain.recv(4096)), listener)
                self.assertLess(more(), 10 * MIB, listener)

    def test_a_large_message_takes_twice_its_size(self):
        size = 40 * MIB
        text = b"From: friend@friend.test\r\nTo: alice@example.test\r\nSubject: large\r\n\r\n"
        text += LINE * (size // len(LINE))
        with peak(self.server) as more:
            self.server.deliver(text, sender="friend@friend.test")
            session = self.server.imap(self.alice)
            end = time.monotonic() + 60
            # A stranger without records: it is taken for junk.
            while b"1" not in session.select('"Junk Mail"')[1] and time.monotonic() < end:
                time.sleep(0.5)
            # The first message also fills caches and pools.
            self.assertLess(more(), 2 * size + 10 * MIB)
        stored = session.fetch("1", "(BODY.PEEK[TEXT])")[1][0][1]
        self.assertTrue(stored == text.split(b"\r\n\r\n", 1)[1])
        session.logout()

    def test_many_short_words(self):
        words = b"".join(b"a%d b c d e f g h i j k l m n o p q r s t u v w x y z\r\n" % n
                         for n in range(8 * MIB // 58))
        with peak(self.server) as more:
            self.server.deliver(b"From: friend@friend.test\r\nSubject: words\r\n\r\n" + words,
                                sender="friend@friend.test")
            time.sleep(5)
            self.assertLess(more(), 100 * MIB)


class Budget(unittest.TestCase):
    """Messages on their way in, all together."""

    def test_more_than_there_is_room_for_has_to_come_again(self):
        edit = lambda text: quick(text).replace("[server]\n", "[server]\nin-flight-size = 16777216\n")
        with MailServer(edit) as server:
            alice = server.account("alice")
            held = []
            for number in range(2):
                session = Session(server, f"127.8.6.{number + 1}")
                self.assertEqual(session.open_message()[:3], "354")
                session.socket.sendall(b"From: friend@friend.test\r\n\r\n" + LINE * (3 * MIB // len(LINE)))
                held.append(session)
            time.sleep(1)
            large = LINE * (4 * MIB // len(LINE))
            session = Session(server, "127.8.6.3")
            self.assertEqual(session.open_message()[:3], "354")
            session.socket.sendall(b"From: friend@friend.test\r\n\r\n" + large + b".\r\n")
            self.assertEqual(session.reply()[:3], "452")
            self.assertEqual(session.say("MAIL FROM:<friend@friend.test> SIZE=4000000")[:3], "452")
            # Small ones get in, users too, and what is under way arrives
            self.assertEqual(session.open_message()[:3], "354")
            self.assertEqual(session.say("From: friend@friend.test\r\n\r\nbody\r\n.")[:3], "250")
            with server.submission(alice) as user:
                user.sendmail(alice, [alice], b"From: %s\r\n\r\n" % alice.encode() + large)
            imap = server.imap(alice)
            self.assertEqual(imap.append("INBOX", None, None, b"\r\n" + large)[0], "OK")
            self.assertEqual(imap.append("INBOX", None, None, b"\r\n" + large * 3)[0], "NO")
            for session in held:
                self.assertEqual(session.say(".")[:3], "250")
            self.assertEqual(imap.append("INBOX", None, None, b"\r\n" + large * 3)[0], "OK")
            imap.logout()


class Writes(unittest.TestCase):
    """What strangers do is counted in memory."""

    def test_a_refused_recipient_costs_no_transaction(self):
        with MailServer(quick) as server:
            server.account("alice")
            time.sleep(2)
            log = server.directory / "state" / "mail.sqlite-wal"
            before = log.stat().st_size, log.stat().st_mtime_ns
            refused_recipients(server, "127.8.7.1", 20)
            time.sleep(1)
            self.assertEqual((log.stat().st_size, log.stat().st_mtime_ns), before)


class Recipients(unittest.TestCase):
    """Of one account: a stolen password."""

    def test_an_account_may_write_to_so_many(self):
        edit = lambda text: quick(text).replace('account.rate = ["200/1h"', 'account.rate = ["5/1h"')
        with MailServer(edit) as server:
            alice, bob = server.account("alice"), server.account("bob")
            server.account("postmaster")
            with server.submission(alice) as session:
                session.mail(alice)
                answers = [session.rcpt(f"friend{n}@elsewhere.test")[0] for n in range(8)]
                self.assertEqual(answers, [250] * 5 + [452] * 3)
            with server.submission("ALICE@example.test") as session:
                session.mail(alice)
                self.assertEqual(session.rcpt(bob)[0], 452)
            with server.submission(bob) as session:
                session.mail(bob)
                self.assertEqual(session.rcpt(alice)[0], 250)
            letters = server.fetch(f"postmaster@{DOMAIN}")
            self.assertEqual(len(letters), 1)
            self.assertIn(b"alice@example.test has written to 5 recipients", letters[0])
            self.assertIn(b"Auto-Submitted: auto-generated", letters[0])

    def test_a_full_mailbox_is_said_at_once(self):
        with MailServer(quick) as server:
            server.account("alice", quota=100_000)
            server.account("bob")
            session = Session(server, "127.8.8.1")
            session.say("MAIL FROM:<friend@friend.test> SIZE=200000")
            self.assertEqual(session.say(f"RCPT TO:<alice@{DOMAIN}>")[:3], "452")
            self.assertEqual(session.say(f"RCPT TO:<bob@{DOMAIN}>")[:3], "250")
            session.say("RSET")
            session.say("MAIL FROM:<friend@friend.test> SIZE=2000")
            self.assertEqual(session.say(f"RCPT TO:<alice@{DOMAIN}>")[:3], "250")
            session.close()


if __name__ == "__main__":
    unittest.main()
