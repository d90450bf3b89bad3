# SPDX-License-Identifier: AGPL-3.0-only
"""Who a message is from: SPF, DKIM and DMARC with a name server that is really asked, who
may relay, and whose address may be used."""

import re
import smtplib
import unittest

from server import DOMAIN, TODAY, MailServer

MESSAGE = f"""From: Boss <boss@bank.test>\r
To: alice@example.test\r
Subject: transfer\r
Date: {TODAY}\r
Message-ID: <1@bank.test>\r
\r
Please pay.\r
""".encode()
BANK = {("bank.test", "TXT"): ["v=spf1 ip4:203.0.113.7 -all"],
        ("_dmarc.bank.test", "TXT"): ["v=DMARC1; p=reject"],
        ("bank.test", "A"): ["203.0.113.7"], ("bank.test", "MX"): ["10 bank.test"]}


def results(message):
    """The unfolded Authentication-Results of ours."""
    return re.sub(rb"\r\n\s+", b" ", message).split(b"Authentication-Results: ")[1].split(b"\r\n")[0]


class Incoming(unittest.TestCase):
    """Mail from other servers, on port 25's listener."""

    def test_spf_and_dmarc_are_looked_up(self):
        with MailServer() as server:
            server.account("alice")
            server.dns.records.update(BANK)
            server.deliver(MESSAGE, sender="boss@bank.test")
            message = server.fetch("alice@example.test") or server.fetch("alice@example.test",
                                                                         '"Junk Mail"')
            found = results(message[0])
            self.assertIn(b"spf=fail", found)
            self.assertIn(b"dmarc=fail", found)
            for question in (("bank.test", "TXT"), ("_dmarc.bank.test", "TXT")):
                self.assertIn(question, server.dns.asked)

    def test_spf_pass(self):
        with MailServer() as server:
            server.account("alice")
            server.dns.records.update(BANK)
            server.dns.records["bank.test", "TXT"] = ["v=spf1 ip4:127.0.0.0/8 ip4:192.0.2.0/24 -all"]
            server.deliver(MESSAGE, sender="boss@bank.test")
            found = results(server.fetch("alice@example.test")[0])
            self.assertIn(b"spf=pass", found)
            self.assertIn(b"dmarc=pass", found)

    def test_dmarc_without_an_spf_result(self):
        edit = lambda text: re.sub(r"spf.verify.mail-from = .*", 'spf.verify.mail-from = "disable"',
                                   text).replace('then = "relaxed" }, { else = "disable" }]\narc',
                                                 'then = "strict" }, { else = "disable" }]\narc')
        with MailServer(edit) as server:
            server.account("alice")
            server.dns.records.update(BANK)
            with self.assertRaises(smtplib.SMTPDataError) as refused:
                server.deliver(MESSAGE, sender="boss@bank.test")
            self.assertIn(b"DMARC", refused.exception.smtp_error)

    def test_a_report_rate_below_a_second(self):
        edit = lambda text: text.replace("spf.send = false", 'spf.send = "[1, 500]"')
        with MailServer(edit) as server:
            server.account("alice")
            server.dns.records.update(BANK)
            server.dns.records["bank.test", "TXT"] = ["v=spf1 ra=postmaster -all"]
            server.deliver(MESSAGE, sender="boss@bank.test")
            self.assertNotIn("panicked", server.log.read_text())


class Outgoing(unittest.TestCase):
    """Mail of ours: who may send what."""

    @classmethod
    def setUpClass(cls):
        quick = lambda text: text.replace('errors.wait = "2s"', 'errors.wait = "50ms"')
        cls.server = MailServer(quick).__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.alice, cls.bob = cls.server.account("alice"), cls.server.account("bob")

    def test_strangers_cannot_relay(self):
        with self.assertRaises(smtplib.SMTPRecipientsRefused):
            self.server.deliver(MESSAGE, to="somebody@elsewhere.test")

    def test_a_password_is_needed_and_only_inside_tls(self):
        with smtplib.SMTP(self.server.ip, 2587, local_hostname="client.test") as session:
            session.ehlo()
            self.assertNotIn("auth", session.esmtp_features)
            self.assertEqual(session.mail(self.alice)[0] // 100, 5)

    def test_the_sender_must_own_the_address(self):
        with self.server.submission(self.alice) as session:
            self.assertEqual(session.mail(self.bob)[0] // 100, 5)
            self.assertEqual(session.mail(self.alice)[0], 250)

    def test_outgoing_mail_is_signed_with_both_keys(self):
        message = MESSAGE.replace(b"boss@bank.test", self.alice.encode())
        with self.server.submission(self.alice) as session:
            session.sendmail(self.alice, [self.bob], message)
        received = self.server.fetch(self.bob)[0]
        header = re.sub(rb"\r\n\s+", b" ", received.split(b"\r\n\r\n")[0])
        signatures = [line for line in header.split(b"\r\n") if line.startswith(b"DKIM-Signature")]
        self.assertEqual(len(signatures), 2, header)
        self.assertTrue(any(b"a=rsa-sha256" in one and b"s=rsa;" in one for one in signatures))
        self.assertTrue(any(b"a=ed25519-sha256" in one for one in signatures))
        self.assertTrue(all(b"d=" + DOMAIN.encode() in one for one in signatures))

    def test_wrong_passwords_are_refused(self):
        for _ in range(20):
            with self.assertRaises((smtplib.SMTPAuthenticationError, smtplib.SMTPException,
                                    ConnectionError)):
                self.server.submission(self.bob, "wrong")
        self.server.api("GET", "/principal?limit=1")


if __name__ == "__main__":
    unittest.main()
