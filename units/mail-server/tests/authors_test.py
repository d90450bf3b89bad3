# SPDX-License-Identifier: AGPL-3.0-only
"""Whom a message names as its author: every way of writing From is judged by the domain that
clients show, or refused; users write as themselves; nobody brings results of ours along."""

import re
import smtplib
import unittest

from server import DOMAIN, HOST, TODAY, MailServer

RECORDS = {("_dmarc.bank.test", "TXT"): ["v=DMARC1; p=reject"],
           ("bank.test", "TXT"): ["v=spf1 -all"],
           ("elsewhere.test", "TXT"): ["v=spf1 +all"],
           (f"_dmarc.{DOMAIN}", "TXT"): ["v=DMARC1; p=reject"],
           ("_dmarc.xn--bcher-kva.test", "TXT"): ["v=DMARC1; p=reject"]}
REST = "Subject: {subject}\r\nDate: " + TODAY + "\r\n\r\nPlease pay.\r\n"
# Each of them named boss@bank.test, or something that could be taken for it.
FORGERIES = [
    "From: Boss <boss@bank.test>",
    "From: boss@bank.test",
    "from: BOSS <BOSS@BANK.TEST>",
    "From : boss@bank.test",
    "From: Boss <boss@bank.test.>",
    "From: boss@bank.test, stranger@elsewhere.test",
    "From: stranger@elsewhere.test, boss@bank.test",
    "From: stranger@elsewhere.test,\r\n boss@bank.test",
    "From: boss@bank.test; stranger@elsewhere.test",
    "From: us: boss@bank.test, stranger@elsewhere.test;",
    "From: us: boss@bank.test;",
    "From: boss@bank.test\0",
    "From: boss@bank.test\0.elsewhere.test",
    "From: stranger@elsewhere.test\r\nFrom: boss@bank.test",
    "From: boss@bank.test\r\nFrom: stranger@elsewhere.test",
    "From: stranger@elsewhere.test\r\nFROM: boss@bank.test",
    "From: stranger@elsewhere.test\r\nFrom : boss@bank.test",
    "From: stranger@elsewhere.test\rFrom: boss@bank.test",
    "From: boss@bank.test <stranger@elsewhere.test>",
    "From: <boss@bank.test> <stranger@elsewhere.test>",
    "From: <stranger@elsewhere.test> boss@bank.test",
    "From: <@elsewhere.test:boss@bank.test>",
    "From: boss@bank.test(@elsewhere.test)",
    "From: boss@bank(.elsewhere).test",
    "From: boss @ bank.test",
    "From: boss@bank.test@elsewhere.test",
    'From: "boss@bank.test',
    "From: boss@bank.test (",
    "From: boss@[192.0.2.1]",
    "From: =?us-ascii?q?boss=40bank=2Etest?=",
    "From: boss",
    "From: <>",
    "From:",
    "Sender: boss@bank.test",
    "From: boss@b\u00fccher.test",
    f"From: alice@{DOMAIN}",
    f"From: alice@{DOMAIN}.",
    f"From: alice@{DOMAIN}, stranger@elsewhere.test",
]
HONEST = [
    "From: stranger@elsewhere.test",
    "From: <stranger@elsewhere.test>",
    "From: Stranger <stranger@elsewhere.test>",
    "From: Stranger\r\n <stranger@elsewhere.test>",
    'From: "Boss, boss@bank.test: (1)" <stranger@elsewhere.test>',
    "From: stranger@elsewhere.test (Boss)",
    "From: =?utf-8?q?Stranger=2C?= <stranger@elsewhere.test>",
    "From: stranger@elsewhere.test <stranger@elsewhere.test>",
    "From: a@elsewhere.test, b@elsewhere.test\r\nSender: a@elsewhere.test",
]
LINES = ["From stranger@elsewhere.test Sat Nov 21 10:00:00 2026", ">From stranger@elsewhere.test",
         "no colon", ": x", " folded", "X y: z", "X-\u00e4: z"]


class Strangers(unittest.TestCase):
    """What other servers hand in."""

    @classmethod
    def setUpClass(cls):
        strict = lambda text: re.sub(r"dmarc.verify = .*", 'dmarc.verify = "strict"', text).replace(
            'rate = "10/1s"', 'rate = "10000/1s"').replace("limits.messages = 20",
                                                           "limits.messages = 1000")
        cls.server = MailServer(strict).__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.server.dns.records.update(RECORDS)
        cls.alice = cls.server.account("alice")

    def answer(self, first):
        """The code for a message that begins with `first`."""
        message = (first + "\r\n" + REST.format(subject="x")).encode()
        with smtplib.SMTP(self.server.ip, 2525, local_hostname="mx.elsewhere.test") as session:
            session.ehlo()
            session.mail("stranger@elsewhere.test")
            session.rcpt(self.alice)
            return session.data(message)[0]

    def test_every_way_of_writing_a_foreign_author_is_refused(self):
        for first in FORGERIES:
            with self.subTest(first):
                self.assertEqual(self.answer(first), 550)

    def test_honest_authors_are_taken(self):
        for first in HONEST:
            with self.subTest(first):
                self.assertEqual(self.answer(first), 250)

    def test_a_line_that_is_no_field_is_refused_for_good(self):
        for line in LINES:
            with self.subTest(line):
                self.assertEqual(self.answer(line + "\r\nFrom: stranger@elsewhere.test"), 550)

    def test_results_in_our_name_are_removed(self):
        forged = [f"Authentication-Results: {HOST}; dmarc=pass header.from=bank.test",
                  f"AUTHENTICATION-results : {HOST} 1; dmarc=pass",
                  f"Authentication-Results: (x) \"{HOST.upper()}.\"; dmarc=pass",
                  "Authentication-Results:", "X-Spam-Status: No", "x-spam-result: ham",
                  "X-Mailkiln-Verdict: clean", "Return-Path: <boss@bank.test>",
                  f"Received-SPF: pass ({HOST}: forged)"]
        kept = "Authentication-Results: mx.elsewhere.test; dkim=pass header.d=elsewhere.test"
        first = "\r\n".join(["Subject: forged", *forged, kept, *forged])
        message = f"{first}\r\nFrom: stranger@elsewhere.test\r\n\r\ntext\r\n".encode()
        self.server.deliver(message)
        found = [one for folder in ("INBOX", '"Junk Mail"')
                 for one in self.server.fetch(self.alice, folder, wait=3) if b"forged" in one]
        header = re.sub(rb"\r\n[ \t]+", b" ", found[0].split(b"\r\n\r\n")[0])
        self.assertIn(kept.encode(), header)
        self.assertNotIn(b"pass header.from=bank.test", header)
        self.assertEqual(header.lower().count(b"authentication-results"), 2, header)
        self.assertNotIn(b"Verdict", header)
        self.assertNotIn(b"x-spam-result: ham", header)
        self.assertNotIn(b"(mail.example.test: forged)", header)
        self.assertEqual(header.count(b"Return-Path:"), 1)


class Users(unittest.TestCase):
    """What accounts hand in: the option that frees one of them is for carol."""

    @classmethod
    def setUpClass(cls):
        rule = (f"[{{ if = \"authenticated_as == 'carol@{DOMAIN}'\", then = \"false\" }},"
                ' { else = "true" }]')
        free = lambda text: text.replace("must-match-sender = true",
                                         f"must-match-sender = {rule}\nmust-match-header = {rule}")
        cls.server = MailServer(free).__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.alice = cls.server.account("alice", emails=[f"alice@{DOMAIN}", f"sales@{DOMAIN}"])
        cls.bob, cls.carol = cls.server.account("bob"), cls.server.account("carol")

    def answer(self, user, first, sender=None, login=None):
        with self.server.submission(login or user) as session:
            code = session.mail(sender or user)[0]
            if code != 250:
                return code
            session.rcpt(self.bob)
            return session.data((first + "\r\n" + REST.format(subject="x")).encode())[0]

    def test_what_is_theirs(self):
        for first in (f"From: {self.alice}", f"From: Alice <{self.alice.upper()}>",
                      f"From: sales@{DOMAIN}", f"From: alice+news@{DOMAIN}",
                      f"From: {self.alice}\r\nSender: sales@{DOMAIN}"):
            with self.subTest(first):
                self.assertEqual(self.answer(self.alice, first), 250)

    def test_what_is_not(self):
        for first in (f"From: {self.bob}", "From: boss@bank.test", f"From: {self.alice}, {self.bob}",
                      f"From: {self.alice}\r\nFrom: {self.bob}", f"From: {self.bob}.",
                      f"From: {self.alice}\r\nSender: {self.bob}", f"From: alice@other.{DOMAIN}",
                      f"From: {self.alice} <{self.bob}>", "Subject: nobody"):
            with self.subTest(first):
                self.assertEqual(self.answer(self.alice, first), 550)

    def test_who_may_write_as_anybody(self):
        self.assertEqual(self.answer(self.carol, f"From: {self.bob}"), 250)
        # The rule is for the account, however its owner writes the login.
        for login in (self.carol, self.carol.upper()):
            answer = self.answer(self.carol, "From: boss@bank.test", "boss@bank.test", login)
            self.assertEqual(answer, 250, login)
        self.assertEqual(self.answer(self.alice, f"From: {self.alice}", "boss@bank.test"), 501)


if __name__ == "__main__":
    unittest.main()
