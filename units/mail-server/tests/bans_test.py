# SPDX-License-Identifier: AGPL-3.0-only
"""Who is kept out: clients that misbehave, for a while, and nobody because of others.

Strangers come from other addresses of loopback than 127.0.0.1, which is never banned."""

import contextlib
import imaplib
import smtplib
import socket
import time
import unittest

from server import DOMAIN, PORTS, MailServer, trusting

MESSAGE = b"From: friend@friend.test\r\nTo: alice@example.test\r\nSubject: n\r\n\r\nbody\r\n"


def quick(text):
    """Errors cost no time, and many connections are allowed."""
    return text.replace('errors.wait = "2s"', 'errors.wait = "10ms"').replace("10/1s", "1000/1s")


def smtp(server, source):
    """A session on port 25 from another address."""
    return smtplib.SMTP(server.ip, PORTS["smtp"], local_hostname="mx.friend.test", timeout=30,
                        source_address=(source, 0))


def refused_recipients(server, source, count):
    """Has `count` recipients refused, as many in each session as it takes."""
    done = 0
    while done < count:
        with contextlib.suppress(smtplib.SMTPServerDisconnected, ConnectionError), \
                smtp(server, source) as session:
            session.ehlo()
            session.mail("friend@friend.test")
            while done < count:
                done += 1
                if session.rcpt(f"ghost@{DOMAIN}")[0] // 100 == 4:
                    break


def is_greeted(server, source):
    """Whether a client is let in."""
    try:
        with smtp(server, source):
            return True
    except (smtplib.SMTPServerDisconnected, ConnectionError):
        return False


class ImapFrom(imaplib.IMAP4_SSL):
    """imaplib, from an address of the caller's choice."""

    def __init__(self, server, source):
        self.source = source
        super().__init__(server.ip, PORTS["imaps"], ssl_context=trusting(), timeout=60)

    def _create_socket(self, timeout):
        plain = socket.create_connection((self.host, self.port), timeout, (self.source, 0))
        return self.ssl_context.wrap_socket(plain, server_hostname=self.host)


def sign_in(server, user, password, source):
    """Tries a password over IMAP from an address."""
    session = ImapFrom(server, source)
    try:
        session.login(user, password)
        return True
    except imaplib.IMAP4.error:
        return False
    finally:
        session.shutdown()


class Bans(unittest.TestCase):
    """On port 25."""

    def test_refused_recipients_ban_their_client_and_nobody_else(self):
        with MailServer(quick) as server:
            server.account("alice")
            refused_recipients(server, "127.8.0.1", 40)
            self.assertFalse(is_greeted(server, "127.8.0.1"))
            with smtp(server, "127.8.0.2") as other:
                other.ehlo()
                other.mail("friend@friend.test")
                self.assertEqual(other.rcpt(f"ghost@{DOMAIN}")[0], 550)
                self.assertEqual(other.rcpt(f"alice@{DOMAIN}")[0], 250)
                self.assertEqual(other.data(MESSAGE)[0], 250)
            self.assertTrue(is_greeted(server, "127.8.0.2"))
            bans = server.api("GET", "/bans")
            self.assertEqual([ban["client"] for ban in bans], ["127.8.0.1"])
            self.assertTrue(3000 < bans[0]["remaining"] <= 3600, bans)
            server.api("DELETE", "/bans/127.8.0.1")
            self.assertTrue(is_greeted(server, "127.8.0.1"))
            status, _, answer = server.http("DELETE", "/api/bans/127.8.0.1")
            self.assertIn(b"notFound", answer, status)
            self.assertEqual(server.http("DELETE", "/api/bans/ghost")[0], 400)
            self.assertEqual(server.http("GET", "/api/bans", user=None)[0], 401)

    def test_who_delivered_mail_is_spared(self):
        with MailServer(quick) as server:
            server.account("alice")
            with smtp(server, "127.8.0.3") as session:
                session.sendmail("friend@friend.test", [f"alice@{DOMAIN}"], MESSAGE)
            refused_recipients(server, "127.8.0.3", 40)
            self.assertTrue(is_greeted(server, "127.8.0.3"))

    def test_bans_of_earlier_versions_are_forgotten(self):
        edit = lambda text: text.replace('local-keys = ["*"]',
                                         'local-keys = ["*", "!server.blocked-ip.*"]')
        with MailServer(edit) as server:
            server.api("POST", "/settings", [{
                "type": "insert", "prefix": "server.blocked-ip",
                "values": [["127.8.0.4", ""]], "assert_empty": False}])
            server.stop()
            server.start()
            self.assertTrue(is_greeted(server, "127.8.0.4"))
            self.assertEqual(server.api("GET", "/settings/list?prefix=server.blocked-ip"),
                             {"total": 0, "items": {}})


class Logins(unittest.TestCase):
    """Passwords: trouble delays, and costs only whoever makes it."""

    @classmethod
    def setUpClass(cls):
        cls.server = MailServer(quick).__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.alice, cls.bob = cls.server.account("alice"), cls.server.account("bob")

    def test_others_cannot_lock_the_owner_out(self):
        for host in range(10):
            for _ in range(4):
                self.assertFalse(sign_in(self.server, self.bob, "wrong", f"127.8.1.{host + 1}"))
        begin = time.monotonic()
        self.assertFalse(sign_in(self.server, self.bob, "slip", "127.8.1.99"))
        self.assertTrue(sign_in(self.server, self.bob, "pass word", "127.8.1.99"))
        self.assertLess(time.monotonic() - begin, 8)
        self.assertTrue(is_greeted(self.server, "127.8.1.99"))
        self.assertTrue(is_greeted(self.server, "127.8.1.1"))

    def test_guessing_gets_slow_but_not_for_who_signed_in_there(self):
        self.assertTrue(sign_in(self.server, self.bob, "pass word", "127.8.2.1"))
        begin = time.monotonic()
        for _ in range(9):
            self.assertFalse(sign_in(self.server, self.alice, "wrong", "127.8.2.1"))
        self.assertGreater(time.monotonic() - begin, 6)
        begin = time.monotonic()
        self.assertTrue(sign_in(self.server, self.bob, "pass word", "127.8.2.1"))
        self.assertLess(time.monotonic() - begin, 3)
        self.assertTrue(sign_in(self.server, self.alice, "pass word", "127.8.2.2"))

    def test_loopback_is_slowed_too(self):
        begin = time.monotonic()
        for _ in range(9):
            self.assertFalse(sign_in(self.server, f"carol@{DOMAIN}", "wrong", "127.0.0.1"))
        self.assertGreater(time.monotonic() - begin, 6)

    def test_case_does_not_matter(self):
        for login in ("Alice@example.test", "alice@EXAMPLE.TEST"):
            self.assertTrue(sign_in(self.server, login, "pass word", "127.8.3.1"), login)
            with self.server.submission(login) as session:
                self.assertEqual(session.mail(self.alice)[0], 250)


if __name__ == "__main__":
    unittest.main()
