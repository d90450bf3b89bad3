"""The mail server with a certificate of the authority: what its listeners show, before and after a renewal."""

import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

from acme_test import Internet
from pebble import HOST, openssl

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "mail-server" / "tests"))
from server import PORTS, MailServer  # noqa: E402

LISTENERS = {"imaps": (), "submissions": (), "pop3s": (), "imap": ("-starttls", "imap"),
             "submission": ("-starttls", "smtp"), "smtp": ("-starttls", "smtp")}


def shown(server, listener):
    """SHA-256 of the certificate that a listener shows to openssl s_client."""
    command = ["openssl", "s_client", "-connect", f"{server.ip}:{PORTS[listener]}", "-servername", HOST, *LISTENERS[listener]]
    said = subprocess.run(command, input="", capture_output=True, text=True, timeout=60, check=False).stdout
    return openssl("x509", "-noout", "-fingerprint", "-sha256", input=said).strip().split("=")[1].replace(":", "").lower()


class Service(Internet):
    def test_every_listener_shows_it_and_a_renewal_drops_nobody(self):
        client = self.client()
        client.run()
        folder = client.certificate

        def edit(text):
            for name in ("fullchain", "key"):
                text = text.replace(f"{server.directory}/{name}.pem", str(folder / f"{name}.pem"))
            return text

        server = MailServer()
        server.edit = edit
        with server:
            server.account("alice")
            digest = client.status()["sha256"]
            self.assertEqual({shown(server, listener) for listener in LISTENERS}, {digest})
            sessions = [server.imap("alice@example.test") for _ in range(5)]
            sending = server.submission("alice@example.test")
            client.run("renew")
            # What the path unit does on the appliance.
            server.process.send_signal(signal.SIGHUP)
            server.wait_notified("READY=1")
            renewed = client.status()["sha256"]
            self.assertNotEqual(renewed, digest)
            self.assertEqual({shown(server, listener) for listener in LISTENERS}, {renewed})
            for session in sessions:
                self.assertEqual(session.noop()[0], "OK")
                session.logout()
            self.assertEqual(sending.noop()[0], 250)
            sending.quit()


class Administrator(Internet):
    """Failures that last: told by the agent, since the client has no account to send mail with."""

    def test_after_three_days_the_postmaster_has_mail_and_health_warns(self):
        sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "agent" / "tests"))
        from agent_test import ALICE, Appliance

        with Appliance() as server:
            server.agent("provision")
            state = server.root / "var/lib/mailkiln-acme"
            state.mkdir(exist_ok=True)
            (state / "state.json").write_text('{"failing": {"since": 1000000, "reason": "the authority is away", "next": 5}}')
            health, _ = server.agent("health")
            self.assertRegex(health, r"renewal +WARN no certificate for \d+ days: the authority is away")
            self.assertIn("healthy", health.splitlines()[-1])
            console = subprocess.Popen([os.environ["AGENT"], "--root", str(server.root), "console"], stderr=subprocess.DEVNULL)
            try:
                found = self.mail(server, ALICE)
            finally:
                console.kill()
                console.wait()
            self.assertTrue(any(b"the authority is away" in message for message in found), found)
            notice = server.root / "var/lib/mailkiln/renewal-notice"
            self.assertTrue(notice.exists())
            (state / "state.json").write_text('{"failing": null}')
            self.assertNotIn("WARN", server.agent("health")[0])

    def mail(self, server, address):
        """What is in the inbox, waiting until there is something."""
        for _ in range(60):
            session = server.imap(address, server.password(address))
            status, data = session.select("INBOX", readonly=True)
            if status == "OK" and int(data[0]):
                return [part[1] for part in session.fetch("1:*", "(RFC822)")[1] if isinstance(part, tuple)]
            session.logout()
            time.sleep(1)
        return []


if __name__ == "__main__":
    unittest.main()
