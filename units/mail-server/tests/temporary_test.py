# SPDX-License-Identifier: AGPL-3.0-only
"""Errors of the DNS that pass: mail waits for the answer, and is neither returned nor refused
nor brought to the wrong host. A name server that says SERVFAIL has not said no."""

import re
import smtplib
import time
import unittest

from exchange import Exchange
from nameserver import SERVFAIL
from server import DOMAIN, TODAY, MailServer, certificate

WRONG_HOST = "192.0.2.2"
RECIPIENT = "carol@example.net"
MESSAGE = (f"From: Alice <alice@{DOMAIN}>\r\nTo: {RECIPIENT}\r\nSubject: abroad\r\n"
           f"Date: {TODAY}\r\nMessage-ID: <t@example.test>\r\n\r\n"
           "To another server.\r\n").encode()
RELAY = """
[queue.route.relay]
type = "relay"
address = "relay.example.net"
port = 25
protocol = "smtp"
tls.implicit = false
"""


class Outgoing(unittest.TestCase):
    """Alice writes to example.net, whose records are not to be had at the moment."""

    def outcome(self, records, edit=lambda text: text):
        """What the log says of the first attempt: `waits` or `returned`."""
        server = MailServer(edit).__enter__()
        self.addCleanup(server.__exit__)
        server.dns.records.update(records)
        with server.submission(server.account("alice")) as session:
            session.sendmail(f"alice@{DOMAIN}", [RECIPIENT], MESSAGE)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            log = server.log.read_text()
            if "(delivery.dsn-perm-fail)" in log:
                return "returned"
            if "(queue.rescheduled)" in log:
                return "waits"
            time.sleep(0.2)
        return server.log.read_text()

    def test_mail_waits_while_the_dns_fails(self):
        failing = {("example.net", kind): SERVFAIL for kind in ("MX", "A", "AAAA")}
        mx = {("example.net", "MX"): ["10 mx.example.net"]}
        cases = {
            "everything": failing,
            "the MX alone": {("example.net", "MX"): SERVFAIL},
            "the host": mx | {("mx.example.net", "A"): SERVFAIL,
                              ("mx.example.net", "AAAA"): SERVFAIL},
            "the host's A, and there is no AAAA": mx | {("mx.example.net", "A"): SERVFAIL},
            "one of two hosts, and the other is none": {
                ("example.net", "MX"): ["10 mx1.example.net", "20 mx2.example.net"],
                ("mx1.example.net", "A"): SERVFAIL, ("mx1.example.net", "AAAA"): SERVFAIL,
                ("mx2.example.net", "TXT"): ["no address"]},
        }
        for name, records in cases.items():
            with self.subTest(name):
                self.assertEqual(self.outcome(records), "waits")

    def test_mail_waits_for_a_relay_without_an_address(self):
        def edit(text):
            return text.replace('{ else = "\'mx\'" }', '{ else = "\'relay\'" }') + RELAY
        for records in ({("relay.example.net", kind): SERVFAIL for kind in ("A", "AAAA")},
                        {("example.net", "TXT"): ["the relay's name does not exist"]}):
            with self.subTest(records):
                self.assertEqual(self.outcome(records, edit), "waits")

    def test_what_does_not_exist_is_returned(self):
        self.assertEqual(self.outcome({("test", "TXT"): ["nothing else"]}), "returned")

    def test_a_web_server_gets_no_mail_while_the_mx_is_unknown(self):
        exchange = Exchange(WRONG_HOST, certificate)
        self.addCleanup(exchange.close)
        self.assertEqual(self.outcome({("example.net", "MX"): SERVFAIL,
                                       ("example.net", "A"): [WRONG_HOST]}), "waits")
        self.assertEqual((exchange.greeted, exchange.messages), (0, []))


class Incoming(unittest.TestCase):
    """Mail of a domain with p=reject while something of it cannot be looked up."""

    @classmethod
    def setUpClass(cls):
        strict = lambda text: re.sub(r"dmarc.verify = .*", 'dmarc.verify = "strict"', text)
        cls.server = MailServer(strict).__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.alice = cls.server.account("alice")

    def answer(self, domain, signature="", sender=None, **records):
        """The code for a message from boss@`domain`."""
        named = {"dmarc": (f"_dmarc.{domain}", "TXT"), "spf": (domain, "TXT"),
                 "key": (f"s._domainkey.{domain}", "TXT")}
        for name, value in records.items():
            self.server.dns.records[named[name]] = value
        if signature:
            # The hash of an empty body in relaxed form, RFC 6376 section 3.4.4
            signature = (f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={signature};"
                         " s=s; h=From; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;"
                         " b=AAAA\r\n")
        message = f"{signature}From: boss@{domain}\r\nSubject: x\r\n\r\n".encode()
        with smtplib.SMTP(self.server.ip, 2525, local_hostname="mx.elsewhere.test") as session:
            session.ehlo()
            session.mail(sender or f"boss@{domain}")
            session.rcpt(self.alice)
            return session.data(message)[0]

    def test_it_is_asked_to_come_again(self):
        reject = ["v=DMARC1; p=reject"]
        self.assertEqual(self.answer("key.test", "key.test", dmarc=reject, spf=["v=spf1 -all"],
                                     key=SERVFAIL), 451)
        self.assertEqual(self.answer("spf.test", dmarc=reject, spf=SERVFAIL), 451)
        self.assertEqual(self.answer("policy.test", dmarc=SERVFAIL, spf=["v=spf1 -all"]), 451)

    def test_who_passes_under_any_policy_need_not_wait(self):
        self.assertEqual(self.answer("known.test", dmarc=SERVFAIL, spf=["v=spf1 +all"]), 250)

    def test_a_forger_gains_nothing_by_a_domain_of_his_own_that_fails(self):
        self.server.dns.records["s._domainkey.forger.test", "TXT"] = SERVFAIL
        self.server.dns.records["forger.test", "TXT"] = SERVFAIL
        self.assertEqual(self.answer("victim.test", "forger.test", "x@forger.test",
                                     dmarc=["v=DMARC1; p=reject"], spf=["v=spf1 -all"]), 550)


if __name__ == "__main__":
    unittest.main()
