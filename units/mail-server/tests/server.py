# SPDX-License-Identifier: AGPL-3.0-only
"""One running mail server for tests: state, secrets and certificate made anew.

In: the program ($MAIL_SERVER) and config.toml. Out: a process that said READY=1, its
addresses, and the API calls that tests need. It is stopped with SIGTERM and must end.
"""

import base64
import email.utils
import http.client
import imaplib
import json
import os
import pathlib
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import tempfile
import time

from nameserver import NameServer

HERE = pathlib.Path(__file__).resolve().parent
HOST, DOMAIN = "mail.example.test", "example.test"
PORTS = {"smtp": 2525, "submissions": 2465, "submission": 2587, "imap": 2143, "imaps": 2993,
         "pop3s": 2995, "sieve": 2190, "lmtp": 2424, "http": 2080}
ADMIN = "correct horse"
BOOT_SECONDS = 60
# The server weighs how old a message is, so no test may keep a date.
TODAY = email.utils.formatdate()
ADDRESSES = iter(range(1, 250))


def own_network():
    """A network of loopback addresses, and the socket that keeps other processes from it for as long as this one lives."""
    for number in range(1, 255):
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind((f"127.77.{number}.254", 5353))
        except OSError:
            claim.close()
            continue
        return f"127.77.{number}", claim
    raise AssertionError("254 processes run tests here")


NETWORK, CLAIM = own_network()


def openssl(*arguments):
    """Runs openssl and returns what it prints."""
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True,
                          text=True).stdout


def certificate(directory, name=HOST):
    """Writes a self-signed certificate for `name` as fullchain.pem and key.pem."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "30", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
            "-keyout", f"{directory}/key.pem", "-out", f"{directory}/fullchain.pem")


def trusting():
    """A client's TLS settings: any certificate, as nothing here is signed by anybody."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class MailServer:
    """A server on a loopback address of its own. Use as a context manager."""

    def __init__(self, edit=None, environment=None, wrapper=()):
        """`edit` changes the text of the configuration; `wrapper` is put before the program."""
        self.ip = f"{NETWORK}.{next(ADDRESSES)}"
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="mail-server-test-"))
        self.dns = NameServer(self.ip)
        self.edit, self.environment, self.wrapper = edit, environment or {}, list(wrapper)
        self.process, self.notified, self.log = None, None, self.directory / "log"

    def __enter__(self):
        try:
            self.write_secrets()
            self.write_configuration()
            self.start()
            self.api("POST", "/principal", {"type": "domain", "name": DOMAIN})
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.notified:
            self.notified.close()
        self.dns.close()
        if os.environ.get("KEEP"):
            print(f"kept: {self.directory}")
        else:
            shutil.rmtree(self.directory)

    def write_secrets(self):
        """What the agent makes on an appliance."""
        (self.directory / "state").mkdir()
        certificate(self.directory)
        hashed = openssl("passwd", "-6", ADMIN).strip()
        (self.directory / "admin-hash").write_text(hashed)
        (self.directory / "oauth-key").write_text("k" * 64)
        for algorithm, options in (("rsa", ("-pkeyopt", "rsa_keygen_bits:2048")), ("ed25519", ())):
            key = openssl("genpkey", "-algorithm", algorithm, *options)
            (self.directory / f"dkim-{algorithm}-{DOMAIN}.pem").write_text(key)

    def write_configuration(self):
        """config.toml and the spam filter's files, as the builder joins them."""
        parts = [HERE / "config.toml", *sorted((HERE.parent / "spam").glob("*.toml"))]
        text = "\n".join(part.read_text() for part in parts)
        text = text.replace("@DIR@", str(self.directory)).replace("@IP@", self.ip)
        text = text.replace("@DNS@", self.dns.at)
        (self.directory / "config.toml").write_text(self.edit(text) if self.edit else text)

    def start(self):
        """Starts the program and waits for READY=1."""
        if self.notified:
            self.notified.close()
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = self.directory / "notify"
        path.unlink(missing_ok=True)
        self.notified.bind(str(path))
        self.notified.settimeout(1)
        program = [*self.wrapper, os.environ["MAIL_SERVER"], "--config",
                   str(self.directory / "config.toml")]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                program, stderr=log, stdout=log, cwd=self.directory,
                env=os.environ | {"NOTIFY_SOCKET": str(path)} | self.environment)
        self.wait_notified("READY=1")

    def wait_notified(self, wanted, seconds=BOOT_SECONDS):
        """Waits until the server told systemd `wanted`; returns all messages until then."""
        messages, end = [], time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            try:
                messages += self.notified.recv(4096).decode().splitlines()
            except TimeoutError:
                continue
            if wanted in messages:
                return messages
        raise AssertionError(f"no {wanted} but {messages}; log:\n{self.log.read_text()}")

    def stop(self):
        """Ends the server as systemd does; returns status and seconds."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30), time.monotonic() - begin

    # --- What tests do with it ---

    def http(self, method, path, body=None, user="admin", password=ADMIN, headers=None):
        """One request; returns (status, headers, body)."""
        connection = http.client.HTTPConnection(self.ip, PORTS["http"], timeout=30)
        headers = dict(headers or {})
        if user:
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            headers["Authorization"] = f"Basic {token}"
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = response.status, response.headers, response.read()
        connection.close()
        return answer

    def api(self, method, path, value=None):
        """A call of the management API, which must succeed; returns `data`."""
        body = None if value is None else json.dumps(value)
        status, _, answer = self.http(method, f"/api{path}", body,
                                      headers={"Content-Type": "application/json"})
        decoded = json.loads(answer or b"{}")
        assert status == 200 and "error" not in decoded, (method, path, status, answer)
        return decoded.get("data")

    def account(self, name, password="pass word", **more):
        """Makes name@example.test."""
        self.api("POST", "/principal", {
            "type": "individual", "name": f"{name}@{DOMAIN}", "secrets": [password],
            "emails": [f"{name}@{DOMAIN}"], "roles": ["user"]} | more)
        return f"{name}@{DOMAIN}"

    def tcp(self, listener):
        """A plain connection."""
        return socket.create_connection((self.ip, PORTS[listener]), 30)

    def imap(self, user, password="pass word"):
        """A session of imaplib over TLS."""
        session = imaplib.IMAP4_SSL(self.ip, PORTS["imaps"], ssl_context=trusting(), timeout=30)
        session.login(user, password)
        return session

    def submission(self, user, password="pass word"):
        """A session of smtplib over TLS, logged in."""
        session = smtplib.SMTP_SSL(self.ip, PORTS["submissions"], local_hostname="client.test",
                                   context=trusting(), timeout=30)
        session.login(user, password)
        return session

    def deliver(self, message, sender="stranger@elsewhere.test", to=f"alice@{DOMAIN}",
                ehlo="mx.elsewhere.test"):
        """Hands in `message` on port 25 as another server would."""
        with smtplib.SMTP(self.ip, PORTS["smtp"], local_hostname=ehlo, timeout=60) as session:
            return session.sendmail(sender, [to], message)

    def fetch(self, user, folder="INBOX", wait=20):
        """Waits for messages in a folder and returns their bytes."""
        session, end = self.imap(user), time.monotonic() + wait
        try:
            while True:
                status, data = session.select(folder, readonly=True)
                if status == "OK" and int(data[0]):
                    _, parts = session.fetch("1:*", "(RFC822)")
                    return [part[1] for part in parts if isinstance(part, tuple)]
                if time.monotonic() > end:
                    return []
                time.sleep(0.2)
        finally:
            session.logout()
