# SPDX-License-Identifier: AGPL-3.0-only
"""What happens to a message on its way: copies, returns, schedules, what other servers take, what
scripts forward."""

import base64
import hashlib
import re
import time
import unittest

from exchange import Exchange
from server import DOMAIN, MailServer, certificate
from sieve_test import Session

PLAIN, RECIPIENT = "192.0.2.3", "carol@example.net"
ZONE = {("example.net", "MX"): ["10 mx.example.net"], ("mx.example.net", "A"): [PLAIN]}


def message(sender, to, subject, more="", body="text\r\n"):
    """A message, each with a Message-ID of its subject."""
    return (f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\n{more}"
            f"Message-ID: <{subject}@{DOMAIN}>\r\n\r\n{body}").encode()


def until(found, seconds=30):
    """Waits for `found()` to be true, and returns it."""
    end = time.monotonic() + seconds
    while not (result := found()) and time.monotonic() < end:
        time.sleep(0.2)
    return result


class PlainExchange(Exchange):
    """A server without any extension but those in `extensions`."""

    extensions: tuple[bytes, ...] = ()

    def __init__(self, *arguments):
        self.commands: list[bytes] = []
        super().__init__(*arguments)

    def _converse(self, connection):
        reader = connection.makefile("rb")
        connection.sendall(b"220 mx.example.net ESMTP\r\n")
        while line := reader.readline():
            verb = line.split()[0].upper() if line.split() else b""
            self.commands.append(line)
            if verb == b"EHLO":
                lines = [b"mx.example.net", *self.extensions]
                for n, one in enumerate(lines):
                    connection.sendall(b"250" + (b" " if n == len(lines) - 1 else b"-")
                                       + one + b"\r\n")
            elif verb == b"DATA":
                connection.sendall(b"354 go\r\n")
                lines = []
                while (line := reader.readline()) not in (b".\r\n", b""):
                    lines.append(line)
                self.messages.append((False, b"".join(lines)))
                connection.sendall(b"250 taken\r\n")
            elif verb == b"QUIT":
                connection.sendall(b"221 bye\r\n")
                return
            else:
                connection.sendall(b"250 ok\r\n")


class Local(unittest.TestCase):
    """Mail between accounts."""

    @classmethod
    def setUpClass(cls):
        forwarding = lambda text: text + "\n[sieve.untrusted.limits]\nredirects = 2\n"
        cls.server = MailServer(forwarding).__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.alice, cls.bob = cls.server.account("alice"), cls.server.account("bob")
        cls.carol = cls.server.account("carol")

    def send(self, sender, to, octets):
        with self.server.submission(sender) as session:
            session.sendmail(sender, [to], octets)

    def count(self, user, subject, folder="INBOX"):
        return sum(f"Subject: {subject}".encode() in one
                   for one in self.server.fetch(user, folder, wait=0))

    def test_mail_to_oneself_arrives_beside_its_copy_in_sent(self):
        octets = message(self.alice, self.alice, "to-myself")
        session = self.server.imap(self.alice)
        session.append('"Sent Items"', "(\\Seen)", None, octets)
        session.logout()
        self.send(self.alice, self.alice, octets)
        self.assertTrue(until(lambda: self.count(self.alice, "to-myself")))

    def test_a_message_that_came_twice_is_there_once(self):
        octets = message(self.alice, self.bob, "twice")
        for _ in range(2):
            self.send(self.alice, self.bob, octets)
            self.send(self.alice, self.bob, message(self.alice, self.bob, f"mark-{time.time_ns()}"))
            self.assertTrue(until(lambda: self.count(self.bob, "twice")))
        time.sleep(3)
        self.assertEqual(self.count(self.bob, "twice"), 1)

    def test_blanks_at_the_end_of_a_body_are_not_hashed(self):

        self.send(self.alice, self.bob, message(self.alice, self.bob, "blanks",
                                                body="hello\r\n  \r\n\t\r\n\r\n"))
        self.assertTrue(until(lambda: self.count(self.bob, "blanks")))
        found = [one for one in self.server.fetch(self.bob) if b"Subject: blanks" in one][0]
        hashed = base64.b64encode(hashlib.sha256(b"hello\r\n").digest())
        self.assertIn(b"bh=" + hashed, re.sub(rb"\r\n\s+", b"", found))

    def test_what_may_not_be_forwarded_is_kept(self):
        session = Session(self.server, self.carol)
        session.activate("away", 'require "copy"; redirect "a@x.test"; redirect "b@x.test";'
                                 ' redirect "c@x.test";')
        session.close()
        self.send(self.alice, self.carol, message(self.alice, self.carol, "forward"))
        self.assertTrue(until(lambda: self.count(self.carol, "forward")))

    def test_a_list_gets_what_a_script_forwards(self):
        self.server.api("POST", "/principal", {"type": "list", "name": f"team@{DOMAIN}",
                                               "emails": [f"team@{DOMAIN}"],
                                               "members": [self.bob]})
        dave = self.server.account("dave")
        session = Session(self.server, dave)
        session.activate("team", f'redirect "team@{DOMAIN}";')
        session.close()
        self.send(self.alice, dave, message(self.alice, dave, "for-the-team"))
        self.assertTrue(until(lambda: self.count(self.bob, "for-the-team")))

    def test_credentials_are_remembered_and_forgotten_with_the_password(self):
        erin = self.server.account("erin", "old word")
        get = lambda password: self.server.http("GET", "/api/account/auth", user=erin,
                                                password=password)[0]
        begin = time.monotonic()
        first = get("old word")
        hashed = time.monotonic() - begin
        self.assertIn(first, (200, 403))
        self.assertEqual(get("old word"), first)
        self.assertEqual(get("other word"), 401)
        self.server.api("PATCH", f"/principal/{erin}", [
            {"action": "set", "field": "secrets", "value": ["new word"]}])
        self.assertEqual(get("old word"), 401, hashed)
        self.assertEqual(get("new word"), first)


class Abroad(unittest.TestCase):
    """Mail to a server with few extensions."""

    def setUp(self):
        self.exchange = PlainExchange(PLAIN, certificate)
        self.addCleanup(self.exchange.close)
        self.server = MailServer().__enter__()
        self.addCleanup(self.server.__exit__)
        self.server.dns.records.update(ZONE)
        self.alice = self.server.account("alice")

    def send(self, octets, to=RECIPIENT, options=()):
        with self.server.submission(self.alice) as session:
            session.ehlo()
            self.assertEqual(session.mail(self.alice, options)[0], 250)
            session.command_encoding = "utf-8"
            self.assertEqual(session.docmd(f"RCPT TO:<{to}>")[0], 250)
            self.assertEqual(session.data(octets)[0], 250)

    def returned(self):
        """The report that came back."""
        messages = until(lambda: self.server.fetch(self.alice, wait=0))
        assert messages, self.server.log.read_text()
        return messages[0]

    def test_a_message_does_not_grow(self):
        self.send(message(self.alice, RECIPIENT, "same", body="last line\r\n"))
        until(lambda: self.exchange.messages)
        self.assertTrue(self.exchange.messages[0][1].endswith(b"\r\n\r\nlast line\r\n"))

    def test_text_in_eight_bits_is_returned_where_it_is_not_taken(self):
        self.send(message(self.alice, RECIPIENT, "umlaut", body="gr\u00fc\u00dfe\r\n"))
        report = self.returned()
        self.assertIn(b"5.6.3", report)
        self.assertEqual(self.exchange.messages, [])

    def test_text_in_eight_bits_goes_where_it_is_taken(self):
        self.exchange.extensions = (b"8BITMIME",)
        self.send(message(self.alice, RECIPIENT, "umlaut", body="gr\u00fc\u00dfe\r\n"),
                  options=["BODY=8BITMIME"])
        self.assertTrue(until(lambda: self.exchange.messages))
        self.assertIn(b" BODY=8BITMIME\r\n", [one for one in self.exchange.commands
                                             if one.startswith(b"MAIL")][0])

    def test_an_address_in_letters_is_returned_or_written_as_the_dns_does(self):
        self.exchange.extensions = (b"8BITMIME",)
        self.server.dns.records["xn--bcher-kva.test", "MX"] = ["10 mx.example.net"]
        self.send(message(self.alice, RECIPIENT, "one"), "dora@b\u00fccher.test", ["SMTPUTF8"])
        self.assertTrue(until(lambda: self.exchange.messages), self.server.log.read_text())
        self.assertIn(b"RCPT TO:<dora@xn--bcher-kva.test>\r\n", self.exchange.commands)
        self.send(message(self.alice, RECIPIENT, "two"), "d\u00f6ra@example.net", ["SMTPUTF8"])
        self.assertIn(b"5.6.7", self.returned())
        self.assertEqual(len(self.exchange.messages), 1)

    def test_a_report_is_in_proper_form(self):
        self.exchange.extensions = ()
        self.send(message(self.alice, RECIPIENT, "umlaut", body="gr\u00fc\u00dfe\r\n"))
        report = self.returned()
        identifier = re.search(rb"(?im)^message-id:\s*(\S+)", report)[1]
        self.assertRegex(identifier, rb"^<[^<>]+@[^<>]+>$")
        self.assertIn(b"text/rfc822-headers", report)
        self.assertNotIn(b"message/rfc822", report)


class Schedules(unittest.TestCase):
    """A report of ours to another server has a schedule of its own from the first attempt."""

    def test_reports_have_their_own_queue(self):
        with MailServer() as server:
            server.dns.records["elsewhere.test", "MX"] = ["10 mx.elsewhere.test"]
            server.dns.records["mx.elsewhere.test", "A"] = ["192.0.2.250"]
            alice = server.account("alice")
            session = Session(server, alice)
            session.activate("no", 'require "reject"; reject "no";')
            session.close()
            server.deliver(message("a@elsewhere.test", alice, "refused"), "a@elsewhere.test")
            reports = until(lambda: [
                one for item in server.api("GET", "/queue/messages?values=1")["items"]
                for one in item["recipients"] if one["address"] == "a@elsewhere.test"])
            self.assertEqual([one["queue"] for one in reports], ["dsn"])


if __name__ == "__main__":
    unittest.main()
