# SPDX-License-Identifier: AGPL-3.0-only
"""Mail to other servers: it gets there, and only in the way that was asked for."""

import re
import socket
import time
import unittest

from exchange import Exchange
from server import DOMAIN, TODAY, MailServer, certificate

MX, RECIPIENT = "192.0.2.1", "carol@example.net"
MESSAGE = (f"From: Alice <alice@{DOMAIN}>\r\nTo: {RECIPIENT}\r\nSubject: abroad\r\n"
           f"Date: {TODAY}\r\nMessage-ID: <x.y@example.test>\r\n\r\n"
           "To another server.\r\n").encode()
ZONE = {("example.net", "MX"): ["10 mx.example.net"], ("mx.example.net", "A"): [MX]}


def impatient(text):
    """Tries again after a second."""
    return re.sub(r'retry = \["2m".*', 'retry = ["1s", "1s", "1s", "1s", "1s", "1m"]', text)


class Delivery(unittest.TestCase):
    """Each test with its own server and its own exchange."""

    def sent(self, edit=impatient, options=(), records=None, attempts=4, seconds=20):
        """Hands in MESSAGE; returns (exchange, server) after it arrived or `attempts`."""
        exchange = Exchange(MX, certificate)
        self.addCleanup(exchange.close)
        server = MailServer(edit).__enter__()
        self.addCleanup(server.__exit__)
        server.dns.records.update(ZONE | (records or {}))
        with server.submission(server.account("alice")) as session:
            session.ehlo()
            self.assertEqual(session.mail(f"alice@{DOMAIN}", options)[0], 250)
            self.assertEqual(session.rcpt(RECIPIENT)[0], 250)
            self.assertEqual(session.data(MESSAGE)[0], 250)
        tries = lambda: server.log.read_text().count("(delivery.attempt-end)")
        end = time.monotonic() + seconds
        while not exchange.messages and tries() < attempts and time.monotonic() < end:
            time.sleep(0.1)
        return exchange, server

    def test_mail_reaches_the_exchange_that_dns_names(self):
        exchange, server = self.sent()
        self.assertEqual(len(exchange.messages), 1, server.log.read_text())
        is_tls, message = exchange.messages[0]
        self.assertTrue(is_tls)
        self.assertIn(b"Subject: abroad", message)
        self.assertEqual(message.count(b"DKIM-Signature:"), 2)
        self.assertIn(("example.net", "MX"), server.dns.asked)

    def test_requiretls_holds_on_later_attempts(self):
        exchange, server = self.sent(options=["REQUIRETLS"])
        self.assertGreaterEqual(exchange.greeted, 2, server.log.read_text())
        self.assertEqual(exchange.messages, [])

    def test_a_delivery_that_a_power_cut_ended_is_taken_up_at_the_next_start(self):
        silent = socket.create_server((MX, 25))  # connections are made, and nobody greets
        with MailServer(impatient) as server:
            server.dns.records.update(ZONE)
            with server.submission(server.account("alice")) as session:
                session.sendmail(f"alice@{DOMAIN}", [RECIPIENT], MESSAGE)
            silent.settimeout(20)
            under_way, _ = silent.accept()
            server.process.kill()
            server.process.wait()
            under_way.close()
            silent.close()
            exchange = Exchange(MX, certificate)
            self.addCleanup(exchange.close)
            server.start()
            end = time.monotonic() + 60  # a tenth of what the lock of the delivery lasts
            while not exchange.messages and time.monotonic() < end:
                time.sleep(0.1)
            self.assertEqual(len(exchange.messages), 1, server.log.read_text())

    def test_dane_is_off_unless_it_is_asked_for(self):
        _, server = self.sent()
        self.assertFalse([name for name, kind in server.dns.asked if kind == "TLSA"])

    def test_bogus_tlsa_records_are_no_reason_to_go_without(self):
        edit = lambda text: impatient(text).replace('dane = "disable"', 'dane = "optional"')
        records = {("_25._tcp.mx.example.net", "TLSA"): ["3 1 1 " + "00" * 32]}
        exchange, server = self.sent(edit, records=records, attempts=3)
        self.assertIn(("_25._tcp.mx.example.net", "TLSA"), server.dns.asked)
        self.assertEqual(exchange.messages, [], server.log.read_text())


if __name__ == "__main__":
    unittest.main()
