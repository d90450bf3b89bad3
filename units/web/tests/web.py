"""One running web unit for tests, in front of a real mail server (units/mail-server/tests/server.py).

In: the programs ($WEB, $MAIL_SERVER). Out: addresses, and a browser that keeps cookies and sends forms.
"""

import html.parser
import http.client
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "mail-server/tests"), str(HERE.parents[2] / "tests")]

import server  # noqa: E402
from server import DOMAIN, HOST, MailServer, trusting  # noqa: E402, F401

POLICY = f"version: STSv1\nmode: enforce\nmx: {HOST}\nmax_age: 604800\n"


def mail_server():
    """A mail server with what the web unit needs of it (docs/internals/contracts.md)."""
    bearer = lambda text: text.replace("[plain, login]", "[plain, login, oauthbearer]")
    return MailServer(bearer)


def oauth_client(mail):
    """The principal that tokens are given to."""
    mail.api("POST", "/principal", {"type": "oauthClient", "name": "mailkiln-web",
                                    "urls": [f"https://{HOST}/sign-in"]})


class Web:
    """A web unit on the mail server's loopback address. Use as a context manager."""

    def __init__(self, mail, more=""):
        self.mail, self.ip, self.more = mail, mail.ip, more
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="web-test-", dir=mail.directory))
        self.https, self.http, self.log = 8443, 8080, self.directory / "log"
        self.process = None

    def __enter__(self):
        (self.directory / "state").mkdir(mode=0o700)
        (self.directory / "challenges").mkdir()
        server.certificate(self.directory)
        self.write_configuration()
        self.start()
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def write_configuration(self):
        """web.toml as the builder writes it, with other ports."""
        tls = self.directory
        pin = self.mail.directory / "fullchain.pem"
        ports = server.PORTS
        text = f"""host = "{HOST}"
state = "{self.directory}/state"
challenges = "{self.directory}/challenges"
{self.more}
[listen]
https = ["{self.ip}:{self.https}"]
http = ["{self.ip}:{self.http}"]
[tls]
certificate = "{tls}/fullchain.pem"
key = "{tls}/key.pem"
[server]
api = "{self.ip}:{ports['http']}"
imap = {{ host = "{self.ip}", port = {ports['imaps']}, pin = "{pin}" }}
submission = {{ host = "{self.ip}", port = {ports['submissions']}, pin = "{pin}" }}
sieve = {{ host = "{self.ip}", port = {ports['sieve']}, security = "starttls", pin = "{pin}" }}
[domains."{DOMAIN}"]
mta_sts = "{POLICY.replace(chr(10), chr(92) + 'n')}"
"""
        (self.directory / "web.toml").write_text(text)

    def start(self):
        """Starts the program and waits until it is ready."""
        path = self.directory / "notify"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified, open(self.log, "ab") as log:
            notified.bind(str(path))
            notified.settimeout(30)
            self.process = subprocess.Popen(
                [os.environ["WEB"], "--config", str(self.directory / "web.toml")],
                stdout=log, stderr=log, env=os.environ | {"NOTIFY_SOCKET": str(path)})
            try:
                assert notified.recv(100) == b"READY=1"
            except TimeoutError:
                raise AssertionError(f"not ready:\n{self.log.read_text()}") from None

    def stop(self):
        """Ends it as systemd does; returns status and seconds."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30), time.monotonic() - begin

    def browser(self):
        """A browser without cookies."""
        return Browser(self)


class Served(unittest.TestCase):
    """Tests of a web unit in front of a mail server, which all of a class share."""

    mail: MailServer
    web: Web

    @classmethod
    def setUpClass(cls):
        cls.mail = mail_server().__enter__()
        cls.addClassCleanup(cls.mail.__exit__)
        oauth_client(cls.mail)
        cls.web = Web(cls.mail).__enter__()
        cls.addClassCleanup(cls.web.__exit__)


class Page:
    """An answer."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        self.text = body.decode("utf-8", "replace")

    def forms(self):
        """Address and fields of each form."""
        reader = Forms()
        reader.feed(self.text)
        return reader.forms

    def form(self, action):
        """The fields of the first form that is sent to `action`."""
        found = [fields for address, fields in self.forms() if address == action]
        assert found, f"no form for {action} in {self.status} {self.text}"
        return found[0]

    def said(self, words):
        """Whether the page has these words."""
        return words in re.sub(r"\s+", " ", self.text)


class Forms(html.parser.HTMLParser):
    """Finds forms and the values that they begin with."""

    def __init__(self):
        super().__init__()
        self.forms = []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self.forms.append((attributes.get("action"), {}))
        elif tag == "input" and self.forms and attributes.get("name"):
            self.forms[-1][1][attributes["name"]] = attributes.get("value") or ""


class Browser:
    """Keeps cookies, follows redirects, sends forms as our pages have them."""

    def __init__(self, web):
        self.web, self.cookies = web, {}

    def connect(self):
        """A connection for one request."""
        return http.client.HTTPSConnection(self.web.ip, self.web.https, timeout=60, context=trusting())

    def request(self, method, path, body=None, headers=None, host=HOST):
        """One request; redirects are not followed."""
        connection = self.connect()
        # The name that the browser believes to speak to.
        headers = {"Host": host, "Accept": "text/html", "User-Agent": "test browser"} | (headers or {})
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        page = Page(answer.status, answer.headers, answer.read())
        self.leave(connection)
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, value = cookie.split(";")[0].split("=", 1)
            if "Max-Age=0" in cookie:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return page

    def leave(self, connection):
        """Ends the connection of a request."""
        connection.close()

    def get(self, path, **more):
        """Goes to `path` and wherever it leads."""
        for _ in range(5):
            page = self.request("GET", path, **more)
            if page.status not in (302, 303, 307, 308):
                return page
            path = page.headers["Location"]
        raise AssertionError(f"a circle at {path}")

    def send(self, page, action, follow=True, **fields):
        """Fills in a form of `page` and sends it."""
        body = urllib.parse.urlencode(page.form(action) | fields)
        answer = self.post(action, body)
        if follow and answer.status in (302, 303):
            return self.get(answer.headers["Location"])
        return answer

    def post(self, path, body, headers=None):
        """Sends a form's bytes."""
        kind = {"Content-Type": "application/x-www-form-urlencoded",
                "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}
        return self.request("POST", path, body, kind | (headers or {}))

    def sign_in(self, account, password="pass word"):
        """The first step of a sign-in."""
        page = self.get("/sign-in?next=/account")
        return self.send(page, "/sign-in", account=account, password=password)


def ready(address, seconds=10):
    """Waits until something listens."""
    end = time.monotonic() + seconds
    while True:
        try:
            return socket.create_connection(address, 1).close()
        except OSError:
            assert time.monotonic() < end, address
            time.sleep(0.05)


__all__ = ["Browser", "Page", "Web", "mail_server", "oauth_client", "ready", "ssl"]
