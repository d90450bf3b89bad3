# SPDX-License-Identifier: AGPL-3.0-only
"""What was taken out of the server: who asks for it is told, and loses nothing."""

import sqlite3
import struct
import time
import unittest

from server import MailServer

MESSAGE = b"""From: A <a@elsewhere.org>\r
To: alice@example.test\r
Subject: kept\r
Date: Sun, 22 Nov 2026 01:00:00 +0000\r
Message-ID: <a.b@elsewhere.org>\r
\r
Not to be stored in plain text, and long enough not to look short to the spam filter.\r
"""
ACME = """
[acme.own]
directory = "https://127.0.0.1:1/directory"
contact = ["postmaster@example.test"]
domains = ["mail.example.test"]
challenge = "dns-01"
provider = "cloudflare"
secret = "x"
"""


class Settings(unittest.TestCase):
    """Settings of what is not there are errors that name it; the server runs."""

    def log(self, settings):
        """What a server with these settings more logs."""
        with MailServer(lambda text: text + settings) as server:
            status, _, _ = server.http("GET", "/healthz/live", user=None)
            self.assertEqual(status, 200)
            server.stop()                # writes the rest of the log
            return server.log.read_text()

    def test_dns_01(self):
        for domain in ("mail.example.test", "*.example.test"):
            with self.subTest(domain):
                log = self.log(ACME.replace('"mail.example.test"', f'"{domain}"'))
                self.assertIn("dns-01 is done by mailkiln-acme", log)

    def test_wildcards(self):
        log = self.log(ACME.replace("dns-01", "http-01").replace("mail.example", "*.example"))
        self.assertIn("Wildcard domains need dns-01", log)

    def test_opentelemetry(self):
        for name in ("otel", "open-telemetry"):
            with self.subTest(name):
                log = self.log(f'\n[tracer.other]\ntype = "{name}"\ntransport = "http"\n'
                               'endpoint = "http://127.0.0.1:1/"\n')
                self.assertIn("This build has no OpenTelemetry", log)
        for transport in ("grpc", "http", "https", "wrong"):
            with self.subTest(transport):
                log = self.log(f'\n[metrics.open-telemetry]\ntransport = "{transport}"\n'
                               'endpoint = "http://127.0.0.1:1/"\n')
                self.assertIn("This build has no OpenTelemetry", log)
        log = self.log('\n[metrics.open-telemetry]\ntransport = "disable"\n')
        self.assertNotIn("OpenTelemetry", log)


class Encryption(unittest.TestCase):
    """Encryption at rest."""

    def test_the_api_does_not_know_it(self):
        with MailServer() as server:
            alice = server.account("alice")
            for method, body in (("GET", None), ("POST", b'{"type": "disabled"}')):
                with self.subTest(method):
                    status, _, _ = server.http(method, "/api/account/crypto", body, alice,
                                               "pass word")
                    self.assertEqual(status, 404)

    def test_mail_for_who_asked_for_it_waits(self):
        with MailServer() as server:
            alice, bob = server.account("alice"), server.account("bob")
            number = server.api("GET", f"/principal/{alice}")["id"]
            server.stop()
            # What a server that can encrypt has stored: no certificate, S/MIME, AES-128.
            key = struct.pack(">IBBI", number, 7, 46, 0)
            value = bytes(8) + struct.pack("<Q", 18) + b"\x80"
            with sqlite3.connect(server.directory / "state" / "mail.sqlite") as database:
                database.execute("INSERT INTO p (k, v) VALUES (?, ?)", (key, value))
            database.close()
            server.start()
            server.deliver(MESSAGE.replace(b"alice", b"bob"), to=bob)
            server.deliver(MESSAGE, to=alice)
            end, waiting = time.monotonic() + 20, ""
            while time.monotonic() < end and "has to be encrypted" not in waiting:
                time.sleep(0.2)
                waiting = str(server.api("GET", "/queue/messages?values=1"))
            self.assertIn(alice, waiting)
            self.assertIn("has to be encrypted", waiting)
            for user, messages in ((alice, 0), (bob, 1)):
                got = [server.fetch(user, folder, wait=0) for folder in ("INBOX", '"Junk Mail"')]
                self.assertEqual(len(sum(got, [])), messages)


if __name__ == "__main__":
    unittest.main()
