# SPDX-License-Identifier: AGPL-3.0-only
"""The process: it answers on every listener, reloads, and ends in order."""

import hashlib
import os
import signal
import subprocess
import unittest

from server import HOST, PORTS, TODAY, MailServer, certificate, trusting

GREETINGS = {"smtp": b"220 ", "submission": b"220 ", "lmtp": b"220 ", "imap": b"* OK",
             "sieve": b'"IMPLEMENTATION"'}
TLS_GREETINGS = {"submissions": b"220 ", "imaps": b"* OK", "pop3s": b"+OK"}


def fingerprint(server):
    """The certificate that IMAPS shows."""
    with server.tcp("imaps") as plain, trusting().wrap_socket(plain, server_hostname=HOST) as tls:
        return hashlib.sha256(tls.getpeercert(binary_form=True)).hexdigest()

MESSAGE = f"""From: A <a@elsewhere.org>\r
To: alice@example.test\r
Subject: kept\r
Date: {TODAY}\r
Message-ID: <a.b@elsewhere.org>\r
\r
Something to keep for longer than the process lives, and long enough not to look short.\r
""".encode()


class Lifecycle(unittest.TestCase):
    """One server for each test: they end it."""

    def test_every_listener_answers(self):
        with MailServer() as server:
            for listener, greeting in GREETINGS.items():
                with self.subTest(listener), server.tcp(listener) as plain:
                    self.assertTrue(plain.recv(4096).startswith(greeting))
            for listener, greeting in TLS_GREETINGS.items():
                with self.subTest(listener), server.tcp(listener) as plain, \
                        trusting().wrap_socket(plain, server_hostname=HOST) as tls:
                    self.assertTrue(tls.recv(4096).startswith(greeting))
            status, _, _ = server.http("GET", "/healthz/live", user=None)
            self.assertEqual(status, 200)
            self.assertEqual(len(GREETINGS) + len(TLS_GREETINGS) + 1, len(PORTS))
            errors = [line for line in server.log.read_text().splitlines() if " ERROR " in line]
            self.assertEqual(errors, [])

    def test_sigterm_ends_sessions_and_the_process(self):
        with MailServer() as server:
            server.account("alice")
            session = server.imap("alice@example.test")
            idle_http = server.tcp("http")
            idle_http.sendall(b"GET /healthz/live HTTP/1.1\r\nHost: x\r\n\r\n")
            idle_http.recv(4096)
            status, seconds = server.stop()
            self.assertEqual(status, 0, server.log.read_text())
            self.assertLess(seconds, 5, "waited for sessions that were idle")
            with self.assertRaises(session.abort):
                session.noop()
            session.shutdown()
            self.assertIn("STOPPING=1", server.notified.recv(4096).decode())
            idle_http.close()

    def test_sighup_reads_certificates_again(self):
        with MailServer() as server:
            before = fingerprint(server)
            certificate(server.directory)
            server.process.send_signal(signal.SIGHUP)
            messages = server.wait_notified("READY=1")
            self.assertIn("RELOADING=1", messages)
            self.assertTrue(any(line.startswith("MONOTONIC_USEC=") for line in messages), messages)
            self.assertNotEqual(before, fingerprint(server))

    def test_a_broken_certificate_leaves_the_old_one(self):
        with MailServer() as server:
            before = fingerprint(server)
            (server.directory / "fullchain.pem").write_text("not a certificate")
            server.process.send_signal(signal.SIGHUP)
            server.wait_notified("READY=1")
            self.assertEqual(before, fingerprint(server))
            self.assertIn("the old certificate stays", server.log.read_text())

    def test_a_taken_port_is_an_error(self):
        with MailServer() as server:
            program = [os.environ["MAIL_SERVER"], "--config", server.directory / "config.toml"]
            second = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(second.returncode, 1)
            self.assertIn("server.listener.", second.stderr)

    def test_it_starts_again_with_its_mail(self):
        with MailServer() as server:
            server.account("alice")
            server.deliver(MESSAGE)
            self.assertTrue(server.fetch("alice@example.test"))
            server.stop()
            server.start()
            self.assertIn(b"Subject: kept", server.fetch("alice@example.test")[0])

    def test_mail_from_before_the_store_compressed(self):
        plain = lambda text: text.replace('compression = "lz4"', 'compression = "none"')
        with MailServer(plain) as server:
            server.account("alice")
            server.deliver(MESSAGE)
            stored = server.fetch("alice@example.test")
            server.stop()
            settings = server.directory / "config.toml"
            settings.write_text(settings.read_text().replace('compression = "none"', 'compression = "lz4"'))
            server.start()
            self.assertEqual(server.fetch("alice@example.test"), stored)
            self.assertNotIn("missing-marker", server.log.read_text())


if __name__ == "__main__":
    unittest.main()
