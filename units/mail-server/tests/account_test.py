# SPDX-License-Identifier: AGPL-3.0-only
"""Accounts as the agent makes them: aliases, catch-all, sub-addresses, quota, passwords."""

import imaplib
import smtplib
import time
import unittest

from server import DOMAIN, TODAY, MailServer

MESSAGE = (b"From: A <a@elsewhere.org>\r\nTo: x@example.test\r\nSubject: %s\r\n"
           b"Date: " + TODAY.encode() + b"\r\nMessage-ID: <a.b@elsewhere.org>\r\n\r\n"
           b"Something to read, and long enough that it does not look like nothing.\r\n%s")
DNS = {("elsewhere.org", "TXT"): ["v=spf1 ip4:127.0.0.0/8 -all"],
       ("elsewhere.org", "MX"): ["10 mx.elsewhere.org"], ("mx.elsewhere.org", "A"): ["127.0.0.1"],
       ("1.0.0.127.in-addr.arpa", "PTR"): ["mx.elsewhere.org"]}


class Accounts(unittest.TestCase):
    """One server, made as on a first boot."""

    @classmethod
    def setUpClass(cls):
        quick = lambda text: text.replace('errors.wait = "2s"', 'errors.wait = "50ms"')
        cls.server = MailServer(quick).__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.server.dns.records.update(DNS)
        cls.alice = cls.server.account("alice", quota=200_000, emails=[
            f"alice@{DOMAIN}", f"postmaster@{DOMAIN}"])
        cls.bob = cls.server.account("bob")

    def deliver(self, to, subject):
        """A message from a host that is what it says."""
        self.server.deliver(MESSAGE % (subject, b""), to=f"{to}@{DOMAIN}", ehlo="mx.elsewhere.org",
                            sender="a@elsewhere.org")

    def subjects(self, user):
        """What is in the inbox."""
        return b"".join(self.server.fetch(user, wait=10))

    def test_aliases_and_sub_addresses(self):
        names = "alice", "postmaster", "alice+shop"
        for name in names:
            self.deliver(name, name.encode())
        wanted = [b"Subject: " + name.encode() for name in names]
        end = time.monotonic() + 20
        while not all(one in self.subjects(self.alice) for one in wanted):
            self.assertLess(time.monotonic(), end)

    def test_unknown_recipients_are_refused_until_there_is_a_catch_all(self):
        with self.assertRaises(smtplib.SMTPRecipientsRefused):
            self.deliver("nobody", b"refused")
        self.server.api("PATCH", f"/principal/{self.bob}", [
            {"action": "addItem", "field": "emails", "value": f"@{DOMAIN}"}])
        time.sleep(3)  # cache.ttl.negative
        self.deliver("anybody", b"caught")
        self.assertIn(b"Subject: caught", self.subjects(self.bob))

    def test_a_quota_holds(self):
        carol = self.server.account("carol", quota=50_000)
        session = self.server.imap(carol)
        body = MESSAGE % (b"big", b"x" * 40_000)
        self.assertEqual(session.append("INBOX", None, None, body)[0], "OK")
        status, answer = session.append("INBOX", None, None, body)
        self.assertEqual(status, "NO", answer)
        session.logout()

    def test_a_changed_password_counts_at_once(self):
        dave = self.server.account("dave")
        self.server.imap(dave).logout()
        self.server.api("PATCH", f"/principal/{dave}", [
            {"action": "set", "field": "secrets", "value": ["another one"]}])
        with self.assertRaises(imaplib.IMAP4.error):
            self.server.imap(dave)
        self.server.imap(dave, "another one").logout()


if __name__ == "__main__":
    unittest.main()
