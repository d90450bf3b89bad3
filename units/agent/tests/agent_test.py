"""The agent's commands against the real mail server, judged by Python's own mail clients."""

import contextlib
import imaplib
import json
import os
import pathlib
import pty
import re
import shutil
import smtplib
import ssl
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "mail-server" / "tests"))
from server import DOMAIN, HOST, PORTS, MailServer, trusting  # noqa: E402

ALICE, BOB = f"alice@{DOMAIN}", f"bob@{DOMAIN}"


class Appliance(MailServer):
    """A mail server whose secrets, accounts and certificate come from the agent."""

    def __init__(self, consoles=()):
        super().__init__()
        self.root = self.directory / "root"
        self.secrets = self.root / "var/lib/mailkiln/secrets"
        self.consoles = list(consoles)
        self.description = {
            "host": HOST,
            "domains": [{"name": DOMAIN, "catch_all": BOB}, {"name": "second.test", "catch_all": None}],
            "accounts": [
                {"address": ALICE, "name": "Alice", "aliases": [f"postmaster@{DOMAIN}"], "quota": 1 << 30},
                {"address": BOB, "name": "Bob", "aliases": [], "quota": None},
            ],
            "api": f"http://{self.ip}:{PORTS['http']}",
            "consoles": self.consoles,
            "postmaster": f"postmaster@{DOMAIN}",
            "relay_user": None,
            "ssh": False,
            "loopback": {"submissions": f"{self.ip}:{PORTS['submissions']}",
                         "imaps": f"{self.ip}:{PORTS['imaps']}"},
        }

    def __enter__(self):
        try:
            self.write_secrets()
            self.write_configuration()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def write_secrets(self):
        """What units do on an appliance: `prepare`, then LoadCredential."""
        (self.directory / "state").mkdir(exist_ok=True)
        for directory in ("etc/mailkiln", "var/lib/mailkiln", "var/lib/mailkiln-acme/live"):
            (self.root / directory).mkdir(parents=True, exist_ok=True)
        self.describe()
        self.agent("prepare")
        self.load_credentials()

    def describe(self):
        (self.root / "etc/mailkiln/appliance.json").write_text(json.dumps(self.description))
        (self.root / "etc/resolv.conf").write_text("nameserver 127.0.0.254\n")

    def load_credentials(self):
        for path in self.secrets.iterdir():
            shutil.copy(path, self.directory / path.name)
        for name in ("fullchain.pem", "key.pem"):
            shutil.copy(self.root / "var/lib/mailkiln-acme/live" / HOST / name, self.directory / name)

    def agent(self, *arguments, status=0, stdin="", credentials=None):
        """Runs the agent; returns standard output and error."""
        given = {"CREDENTIALS_DIRECTORY": str(credentials)} if credentials else {}
        done = subprocess.run([os.environ["AGENT"], "--root", str(self.root), *arguments],
                              input=stdin, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **given})
        assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout, done.stderr

    def secret(self, name):
        return (self.secrets / name).read_text()

    def http(self, method, path, body=None, user="admin", password=None, headers=None):
        return super().http(method, path, body, user, password or self.secret("admin-password"), headers)

    def emails(self, name):
        return self.api("GET", f"/principal/{name}")["emails"]

    def error(self, name):
        """What the API says instead of the domain or account."""
        return json.loads(self.http("GET", f"/api/principal/{name}")[2]).get("error")

    def password(self, address):
        return self.secret(f"account-{address}")

    def can_log_in(self, address, password):
        try:
            self.imap(address, password).logout()
            return True
        except imaplib.IMAP4.error:
            return False


class AgentTest(unittest.TestCase):
    """One server for what does not disturb the others."""

    @classmethod
    def setUpClass(cls):
        cls.server = Appliance()
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.server.agent("provision")

    def test_accounts_work_with_their_initial_passwords(self):
        server = self.server
        self.assertEqual(server.emails(ALICE), [ALICE, f"postmaster@{DOMAIN}"])
        # The catch-all owns no address but its own: it must not send as everybody of the domain.
        self.assertEqual(server.emails(BOB), [BOB])
        self.assertEqual(server.api("GET", f"/principal/{ALICE}")["quota"], 1 << 30)
        with server.submission(ALICE, server.password(ALICE)) as session:
            text = f"From: {ALICE}\r\nTo: {BOB}\r\nSubject: first\r\n\r\nhello\r\n"
            session.sendmail(ALICE, [BOB], text)
        session = server.imap(BOB, server.password(BOB))
        for _ in range(100):
            session.select("INBOX")
            if session.search(None, "SUBJECT", "first")[1][0]:
                break
            time.sleep(0.2)
        else:
            self.fail("the message did not arrive")
        session.logout()

    def test_health_is_measured(self):
        out, _ = self.server.agent("health")
        self.assertRegex(out, r"(?m)^mail +ok +a message was sent and read$")
        self.assertRegex(out, r"(?m)^certificate +ok +self-signed, valid for (800|799) days$")
        health = json.loads(self.server.agent("health", "--json")[0])
        self.assertTrue(health["healthy"])
        self.assertIn({"name": "mail", "ok": True, "warning": False, "detail": "a message was sent and read"}, health["checks"])
        # The probe leaves nothing behind.
        session = self.server.imap(f"mailkiln-probe@{DOMAIN}", self.server.secret("probe-password"))
        self.assertEqual(session.select("INBOX")[1], [b"0"])
        session.logout()

    def test_status_prints_no_secret(self):
        out, err = self.server.agent("status")
        self.assertRegex(out, r"(?m)^mailkiln: ready$")
        self.assertRegex(out, r"(?m)^mailkiln: dns unknown: ")
        for path in self.server.secrets.iterdir():
            self.assertNotIn(path.read_text(), out + err)

    def test_the_server_offers_the_certificate_that_the_agent_made(self):
        with smtplib.SMTP(self.server.ip, PORTS["submission"], local_hostname="client.test") as session:
            session.starttls(context=trusting())
            with open(self.server.root / "var/lib/mailkiln-acme/live" / HOST / "fullchain.pem") as file:
                self.assertEqual(ssl.DER_cert_to_PEM_cert(session.sock.getpeercert(True)).split(),
                                 file.read().split())


class ChangeTest(unittest.TestCase):
    """A server for each, since these change it."""

    def test_a_second_provisioning_keeps_what_was_made_by_hand(self):
        with Appliance() as server:
            server.agent("provision")
            _, err = server.agent("provision")
            self.assertEqual(err, "", "nothing to do the second time")
            # By hand: another password, quota and address; an alias of mail.toml given away.
            out, _ = server.agent("password", ALICE, "--stdin", stdin="by hand, with blanks\n")
            self.assertEqual(out, "")
            self.assertFalse((server.secrets / f"account-{ALICE}").exists())
            server.api("PATCH", f"/principal/{ALICE}", [
                {"action": "set", "field": "quota", "value": 5},
                {"action": "addItem", "field": "emails", "value": f"extra@{DOMAIN}"},
                {"action": "removeItem", "field": "emails", "value": f"postmaster@{DOMAIN}"}])
            server.api("PATCH", f"/principal/{BOB}", [
                {"action": "addItem", "field": "emails", "value": f"postmaster@{DOMAIN}"}])
            server.account("carol")
            server.description["domains"].append({"name": "third.test", "catch_all": None})
            server.describe()
            _, err = server.agent("provision")
            self.assertIn("create the domain third.test", err)
            self.assertIn(f"{ALICE} does not get postmaster@{DOMAIN}", err)
            self.assertEqual(server.emails(ALICE), [ALICE, f"extra@{DOMAIN}"])
            # The file has a quota, so that is what counts.
            self.assertEqual(server.api("GET", f"/principal/{ALICE}")["quota"], 1 << 30)
            self.assertTrue(server.can_log_in(ALICE, "by hand, with blanks"))
            self.assertTrue(server.can_log_in(f"carol@{DOMAIN}", "pass word"))

    def test_an_account_taken_out_cannot_sign_in_and_comes_back_whole(self):
        for mail in ("refuse", "defer"):
            with self.subTest(mail), Appliance() as server:
                server.description["removed"] = {"mail": mail, "grace_days": 30}
                server.describe()
                server.agent("provision")
                server.account("carol")
                password = server.password(ALICE)
                server.api("PATCH", f"/principal/{ALICE}", [{"action": "addItem", "field": "emails", "value": f"hand@{DOMAIN}"}])
                self.deliver(server, ALICE, "kept")
                before = server.api("GET", f"/principal/{ALICE}")
                alice = server.description["accounts"].pop(0)
                server.describe()
                plan, _ = server.agent("provision", "--plan")
                self.assertIn(f"suspend {ALICE}: no sign-in, new mail is {mail}", plan)
                self.assertTrue(server.can_log_in(ALICE, password), "a plan changes nothing")
                server.agent("provision")
                self.assertFalse(server.can_log_in(ALICE, password))
                self.assertTrue(server.can_log_in(f"carol@{DOMAIN}", "pass word"))
                self.assertTrue(server.can_log_in(BOB, server.password(BOB)))
                self.assertTrue(self.answers(server, ALICE, 550 if mail == "refuse" else 452))
                self.assertEqual(server.agent("provision", "--plan")[0], "nothing to change\n")
                _, err = server.agent("provision")
                self.assertEqual(err, "", "nothing to do the second time")
                server.description["accounts"].insert(0, alice)
                server.describe()
                server.agent("provision")
                after = server.api("GET", f"/principal/{ALICE}")
                for known in (before, after):
                    known.pop("usedQuota", None)
                    known["emails"].sort()
                self.assertEqual(after, before)
                session = server.imap(ALICE, password)
                session.select("INBOX")
                self.assertTrue(session.search(None, "SUBJECT", "kept")[1][0])
                session.logout()

    def test_an_account_taken_out_is_deleted_after_its_time(self):
        with Appliance() as server:
            server.agent("provision")
            server.description["accounts"].pop(0)
            server.description["domains"][0]["catch_all"] = None
            server.description["removed"] = {"mail": "refuse", "grace_days": 1}
            server.describe()
            server.agent("provision")
            path = server.root / "var/lib/mailkiln/provisioned.json"
            self.assertEqual(path.stat().st_mode & 0o777, 0o600)
            record = json.loads(path.read_text())
            record["accounts"][ALICE]["suspended"]["since"] -= 86401
            path.write_text(json.dumps(record))
            _, err = server.agent("provision")
            self.assertIn(f"delete {ALICE} and its mail", err)
            self.assertEqual(server.error(ALICE), "notFound")
            self.assertEqual(server.agent("provision")[1], "")

    def test_the_web_unit_has_an_oauth_client_and_nobody_else(self):
        name, redirect = "mailkiln-web", f"https://{HOST}/sign-in"
        with Appliance() as server:
            server.agent("provision")
            self.assertEqual(server.error(name), "notFound")
            for address in (redirect, f"https://other.{DOMAIN}/sign-in"):
                server.description["web"] = {"oauth_client": name, "redirect": address}
                server.describe()
                server.agent("provision")
                client = server.api("GET", f"/principal/{name}")
                self.assertEqual((client["type"], client["urls"]), ("oauthClient", [address]))
            del server.description["web"]
            server.describe()
            server.agent("provision")
            self.assertEqual(server.error(name), "notFound")

    def test_a_domain_taken_out_goes_when_nobody_uses_it(self):
        with Appliance() as server:
            server.agent("provision")
            server.api("POST", "/principal", {"type": "individual", "name": "hand@second.test", "emails": ["hand@second.test"],
                                              "secrets": ["x"], "roles": ["user"]})
            server.description["domains"].pop(1)
            server.describe()
            _, err = server.agent("provision")
            self.assertIn("the domain second.test stays: hand@second.test", err)
            server.api("DELETE", "/principal/hand@second.test")
            server.agent("provision")
            self.assertEqual(server.error("second.test"), "notFound")

    def test_names_quotas_and_aliases_follow_the_file(self):
        with Appliance() as server:
            server.agent("provision")
            alice, bob = server.description["accounts"]
            bob["aliases"], alice["aliases"], alice["name"], alice["quota"] = alice["aliases"], [], "Alice B.", None
            server.describe()
            server.agent("provision")
            found = server.api("GET", f"/principal/{ALICE}")
            self.assertEqual((found["description"], found.get("quota", 0), found["emails"]), ("Alice B.", 0, [ALICE]))
            self.assertEqual(server.emails(BOB), [BOB, f"postmaster@{DOMAIN}"])
            self.assertEqual(server.agent("provision")[1], "")

    def test_a_hash_of_a_password_by_file(self):
        with Appliance() as server:
            folder = server.directory / "credentials"
            folder.mkdir()
            done = subprocess.run(["openssl", "passwd", "-6", "-salt", "saltstring", "correct horse"], capture_output=True, text=True, check=True)
            (folder / "account-hash-1").write_text(done.stdout)
            for _ in range(2):
                server.agent("provision", credentials=folder)
                self.assertTrue(server.can_log_in(BOB, "correct horse"))
            self.assertFalse((server.secrets / f"account-{BOB}").exists())
            (folder / "account-hash-1").write_text("$y$j9T$abcdefghijklmnopqrstuv$abcdefghijk\n")
            _, err = server.agent("provision", status=1, credentials=folder)
            self.assertIn("mkpasswd -m sha-512", err)
            self.assertNotIn("$y$", err)
            self.assertTrue(server.can_log_in(BOB, "correct horse"))

    def deliver(self, server, address, subject):
        with server.submission(BOB, server.password(BOB)) as session:
            session.sendmail(BOB, [address], f"From: {BOB}\r\nTo: {address}\r\nSubject: {subject}\r\n\r\nhello\r\n")
        session = server.imap(address, server.password(address))
        for _ in range(100):
            session.select("INBOX")
            if session.search(None, "SUBJECT", subject)[1][0]:
                session.logout()
                return
            time.sleep(0.2)
        self.fail("the message did not arrive")

    def answers(self, server, recipient, code):
        """Whether the server answers one of its own users so to a recipient, once it has forgotten whom it knew."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with server.submission(BOB, server.password(BOB)) as session:
                session.mail(BOB)
                if session.rcpt(recipient)[0] == code:
                    return True
            time.sleep(1)
        return False

    def test_passwords(self):
        with Appliance() as server:
            server.agent("provision")
            new = server.agent("password", BOB)[0].strip()
            self.assertRegex(new, r"^([a-z2-9]{5}-){3}[a-z2-9]{5}$")
            self.assertTrue(server.can_log_in(BOB, new))
            _, err = server.agent("password", f"nobody@{DOMAIN}", status=1)
            self.assertIn("there is no account", err)
            _, err = server.agent("password", ALICE, "--stdin", stdin="\n", status=1)
            self.assertIn("printable characters", err)
            # The administrator's counts after a restart of the server.
            server.agent("password", "admin", "--stdin", stdin="another")
            server.stop()
            server.agent("prepare")
            server.load_credentials()
            server.start()
            self.assertEqual(server.secret("admin-password"), "another")
            server.agent("provision")
            server.agent("forget-passwords")
            self.assertEqual([p.name for p in server.secrets.glob("account-*")], [])

    def test_passwords_that_a_seed_brought(self):
        # `openssl passwd -6`: "correct horse" of the administrator, "battery staple" of alice.
        hashes = {who: subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=f"{password}\n", check=True,
                                      capture_output=True, text=True).stdout.strip()
                  for who, password in (("admin", "correct horse"), (ALICE, "battery staple"))}
        with Appliance() as server:
            for who, hash in hashes.items():
                (server.secrets / f"hash-{who}").write_text(hash)
            for _ in range(2):
                server.agent("provision")
            self.assertTrue(server.can_log_in(ALICE, "battery staple"))
            self.assertFalse((server.secrets / f"account-{ALICE}").exists())
            self.assertTrue(server.can_log_in(BOB, server.password(BOB)))
            status = lambda password: server.http("GET", "/api/principal?types=domain", password=password)[0]  # noqa: E731
            self.assertEqual(status("correct horse"), 200)
            # The agent goes on with its own, and a new password of the administrator voids the seed's.
            self.assertEqual(status(server.secret("admin-password")), 200)
            own = server.secret("admin-password")
            server.agent("password", "admin", "--stdin", stdin="another")
            self.assertEqual(server.secret("admin-password"), own)
            self.assertEqual((status("another"), status("correct horse")), (200, 401))
            server.agent("password", ALICE, "--stdin", stdin="a third")
            self.assertFalse((server.secrets / f"hash-{ALICE}").exists())
            server.agent("provision")
            self.assertEqual(status("another"), 200)

    def test_passwords_that_came_as_files(self):
        with Appliance() as server:
            folder = server.directory / "brought"
            folder.mkdir()
            server.agent("provision")
            first = server.password(BOB)
            # An account that exists gets it too, and at every start.
            for password in ("correct horse", "battery staple"):
                (folder / "account-password-1").write_text(f"{password}\n")
                (folder / "admin-password").write_text(f"{password} too\n")
                server.agent("provision", credentials=folder)
                self.assertTrue(server.can_log_in(BOB, password))
                self.assertFalse(server.can_log_in(BOB, first))
                first = password
                status = lambda password: server.http("GET", "/api/principal?types=domain", password=password)[0]  # noqa: E731
                self.assertEqual(status(f"{password} too"), 200)
                self.assertEqual(status(server.secret("admin-password")), 200)
            self.assertFalse((server.secrets / f"account-{BOB}").exists())
            self.assertTrue(server.can_log_in(ALICE, server.password(ALICE)))
            (folder / "account-password-0").write_text("two\nlines\n")
            _, err = server.agent("provision", status=1, credentials=folder)
            self.assertIn(ALICE, err)

    def test_a_lost_hash_is_no_trap(self):
        with Appliance() as server:
            (server.secrets / "admin-password").write_text("not the server's")
            _, err = server.agent("provision", status=1)
            self.assertIn("does not accept the administrator's password", err)
            server.agent("prepare")
            server.stop()
            server.load_credentials()
            server.start()
            server.agent("provision")

    def test_health_says_what_is_broken(self):
        with Appliance() as server:
            server.agent("provision")
            # The certificate on disk is no longer the one the server uses.
            shutil.rmtree(server.root / "var/lib/mailkiln-acme/live" / HOST)
            server.agent("prepare")
            out, _ = server.agent("health", status=1)
            self.assertRegex(out, r"mail +BAD +a message cannot be submitted: port \d+: invalid peer certificate")
            server.load_credentials()
            server.process.send_signal(1)
            server.wait_notified("READY=1")
            server.agent("health")
            server.stop()
            out, _ = server.agent("health", status=1)
            self.assertRegex(out, r"mail +BAD +a message cannot be submitted: .*[Rr]efused")
            self.assertTrue(out.endswith("not healthy\n"))

    def test_console_shows_passwords_until_they_are_written_down(self):
        with contextlib.ExitStack() as stack:
            leader, follower = pty.openpty()
            stack.callback(os.close, leader)
            stack.callback(os.close, follower)
            server = stack.enter_context(Appliance(consoles=["/dev/tty-that-is-gone", os.ttyname(follower)]))
            server.agent("provision")
            shown, errors = self.console(server, leader)
            self.assertEqual(dict(re.findall(r"(?m)^mailkiln: account (\S+) password (\S+)\r*$", shown)),
                             {ALICE: server.password(ALICE), BOB: server.password(BOB)})
            self.assertRegex(shown, rf"(?m)^mailkiln: admin password {server.secret('admin-password')}\r*$")
            self.assertLess(shown.index("mailkiln: account"), shown.index("mailkiln: ready"))
            self.assertIn("/dev/tty-that-is-gone", errors)
            self.assertNotIn(server.password(ALICE), errors)
            server.agent("forget-passwords")
            shown, _ = self.console(server, leader)
            self.assertNotIn("password", shown)

    def console(self, server, leader):
        """Runs `console` until it has said that all is well; returns what it wrote where."""
        program = [os.environ["AGENT"], "--root", str(server.root), "console"]
        shown, end = b"", time.monotonic() + 60
        with subprocess.Popen(program, stderr=subprocess.PIPE, text=True) as process:
            os.set_blocking(leader, False)
            while time.monotonic() < end and not re.search(rb"(?m)^mailkiln: dns ", shown):
                with contextlib.suppress(BlockingIOError):
                    shown += os.read(leader, 4096)
                time.sleep(0.05)
            process.terminate()
            errors = process.stderr.read()
        self.assertRegex(shown.decode(), r"(?m)^mailkiln: ready\r*$")
        return shown.decode(), errors


if __name__ == "__main__":
    unittest.main()
