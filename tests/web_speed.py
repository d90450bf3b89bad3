"""How fast the webmail is, beside Roundcube at the same mail server and mailbox: `./bench --web`.

Both are asked in turns by the same client over TLS connections that are kept; times are of answers, without a browser's drawing.
In: $WEB and $MAIL_SERVER, the programs. Nothing here is a test: times depend on the machine, and ratios are what to quote.
"""

import base64
import contextlib
import html
import http.client
import itertools
import pathlib
import re
import shutil
import socket
import statistics
import sys
import threading
import time

import peers
import roundcube

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "units/web/tests"), str(ROOT / "units/mail-server/tests")]

import judge  # noqa: E402
import web as tests  # noqa: E402
from server import PORTS, TODAY, trusting  # noqa: E402

USERS, SECONDS, PAUSE = 200, 60, 2.0
EVENTS = 200
EVENT = """BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//test//EN\r
BEGIN:VEVENT\r
UID:{number}@example.test\r
DTSTAMP:20261128T120000Z\r
DTSTART:20261201T12{minute:02}00Z\r
SUMMARY:Number {number}\r
END:VEVENT\r
END:VCALENDAR\r
"""


class Kept(tests.Browser):
    """A browser that keeps its connection, from an address of its own."""

    def __init__(self, web, address=None):
        super().__init__(web)
        self.kept, self.address = None, address

    def connect(self):
        if self.kept is None:
            self.kept = super().connect()
            if self.address:
                self.kept.source_address = (self.address, 0)
        return self.kept

    def leave(self, connection):
        """It stays; http.client opens it again where the server has closed it."""


class At:
    """Where a browser finds a server that is not ours."""

    def __init__(self, ip, port):
        self.ip, self.https = ip, port


def fill(mail, address, count, batch=250):
    """Appends messages by MULTIAPPEND (RFC 3502)."""
    plain = socket.create_connection((mail.ip, PORTS["imaps"]), 60)
    with trusting().wrap_socket(plain) as stream:
        lines = stream.makefile("rb")
        lines.readline()

        def run(tag, command):
            stream.sendall(tag + b" " + command + b"\r\n")
            while not (line := lines.readline()).startswith(tag + b" "):
                assert line, "closed"
            assert line.startswith(tag + b" OK"), line

        run(b"a", f'LOGIN "{address}" "pass word"'.encode())
        for start in range(0, count, batch):
            parts = []
            for number in range(start, min(start + batch, count)):
                text = (f"From: Sender {number % 97} <s{number % 97}@elsewhere.test>\r\nTo: {address}\r\nSubject: Number {number}\r\n"
                        f"Date: {TODAY}\r\nMessage-ID: <{number}@elsewhere.test>\r\n\r\nText of {number}\r\n").encode()
                parts.append(b" {%d+}\r\n%s" % (len(text), text))
            run(b"t%d" % start, b"APPEND INBOX" + b"".join(parts))


def timed(ask):
    """Milliseconds, and the page."""
    begin = time.perf_counter()
    page = ask()
    took = (time.perf_counter() - begin) * 1000
    assert page.status in (200, 207), f"{page.status} {page.text[:500]}"
    return took, page


def beside(name, ours, theirs, times, peer="Roundcube"):
    """Measures both in turns and prints medians, the 95th percentiles and the ratio. Each is asked with the number of the round."""
    took = {"ours": [], peer: []}
    size = {}
    for number in range(times):
        for who, ask in (("ours", ours), (peer, theirs)):
            if ask:
                milliseconds, page = timed(lambda ask=ask, number=number: ask(number))
                took[who].append(milliseconds)
                size[who] = len(page.body)
    medians = {who: statistics.median(each) for who, each in took.items() if each}
    words = [f"{who} {medians[who]:7.1f} (95 %: {statistics.quantiles(took[who], n=20)[-1]:7.1f}) ms {size[who]:7} bytes" for who in medians]
    ratio = f"  ratio {medians['ours'] / medians[peer]:.2f}" if len(medians) > 1 else ""
    print(f"  {name:22} {'; '.join(words)}{ratio}", flush=True)


def pages(web, peer, address, times):
    """Signing in, the list, messages, a search."""
    our = Kept(web)
    their = roundcube.Reader(Kept(At(peer.ip, peer.port))) if peer else None
    first = {}

    def sign_in(_):
        our.cookies.clear()
        our.sign_in(address)
        first["page"] = our.get("/mail")
        return first["page"]

    def sign_in_there(_):
        their.browser.cookies.clear()
        return their.sign_in(address)

    beside("sign-in to rows", sign_in, their and sign_in_there, 5)
    older = html.unescape(re.search(r'rel="next" href="([^"]+)"', first["page"].text)[1])
    opened = [html.unescape(link) for link in re.findall(r'<li class="row.*?href="([^"]+)"', first["page"].text, re.DOTALL)]
    there = [int(number) for number in re.findall(r"add_message_row\((\d+)", their.rows(1).text)] if their else []
    beside("next page", lambda _: our.get(older, headers={"x-part": "list"}), their and (lambda number: their.rows(2 + number % 5)), times)
    beside("next page, whole", lambda _: our.get(older), None, times)
    beside("open a message", lambda number: our.get(opened[number % len(opened)], headers={"x-part": "pane"}),
           their and (lambda number: their.open(there[number % len(there)])), times)
    beside("search from:", lambda number: our.get(f"/mail?q=from%3As{number % 90}", headers={"x-part": "list"}),
           their and (lambda number: their.search(f"s{number % 90}@")), times)


class Plain(Kept):
    """The mail server itself, which speaks HTTP on loopback."""

    def connect(self):
        self.kept = self.kept or http.client.HTTPConnection(self.web.ip, PORTS["http"], timeout=60)
        return self.kept


def calendars(mail, web, account, times):
    """Calendars through the web unit, beside the mail server itself."""
    token = base64.b64encode(f"{account}:pass word".encode()).decode()
    home = f"/dav/cal/{account.replace('@', '%40')}/default/"
    ours, direct = Kept(web), Plain(mail)

    def ask(browser, method, path, body=None):
        return browser.request(method, path, body, {"Authorization": f"Basic {token}", "Depth": "1", "Content-Type": "text/calendar"})

    for number in range(EVENTS):
        written = ask(direct, "PUT", f"{home}{number}.ics", EVENT.format(number=number, minute=number % 60))
        assert written.status == 201, written.text
    for name, method, path in (("all events of a calendar", "PROPFIND", home), ("one event", "GET", f"{home}7.ics")):
        beside(name, lambda _, method=method, path=path: ask(ours, method, path),
               lambda _, method=method, path=path: ask(direct, method, path), times, "without the web unit")  # fmt: skip


def load(web, accounts):
    """Many people who click for a minute, each from an address of its own."""
    took, errors, lock = [], [], threading.Lock()
    start = threading.Barrier(len(accounts) + 1)

    def person(number, account):
        browser = Kept(web, f"127.9.{number // 200}.{number % 200 + 1}")
        try:
            browser.sign_in(account)
            page = browser.get("/mail")
            links = [html.unescape(link) for link in re.findall(r'<li class="row.*?href="([^"]+)"', page.text, re.DOTALL)]
        except Exception as error:
            errors.append(repr(error))
            links = []
        start.wait()
        end = time.monotonic() + SECONDS
        time.sleep(PAUSE * number / len(accounts))
        for turn in itertools.count():
            if time.monotonic() > end or not links:
                return
            try:
                path, part = (links[turn % len(links)], "pane") if turn % 3 else ("/mail", "list")
                milliseconds, _ = timed(lambda path=path, part=part: browser.get(path, headers={"x-part": part}))
                with lock:
                    took.append(milliseconds)
            except Exception as error:
                errors.append(repr(error))
            time.sleep(PAUSE)

    people = [threading.Thread(target=person, args=pair, daemon=True) for pair in enumerate(accounts)]
    for one in people:
        one.start()
    start.wait()
    print(f"  web unit, {len(accounts)} signed in: {peers.share(web.process.pid):.1f} MiB", flush=True)
    for one in people:
        one.join()
    percentiles = statistics.quantiles(took, n=20)
    print(f"  {len(accounts)} people for {SECONDS} s: {len(took)} answers, {len(errors)} errors, median {statistics.median(took):.0f} ms, "
          f"95 % {percentiles[-1]:.0f} ms; web unit {peers.share(web.process.pid):.1f} MiB", flush=True)
    for error in sorted(set(errors))[:5]:
        print(f"    {error}")


def busy(text):
    """More connections and sign-ins from one address than strangers have: the web unit here shows no PROXY header."""
    text = text.replace("max-connections-per-client = 50", "max-connections-per-client = 1000")
    return text.replace("[plain, login]", "[plain, login, oauthbearer]")


def figures(messages, times, peer_folder=None):
    """All of it; Roundcube too where a folder for it is named."""
    with tests.MailServer(busy) as mail, contextlib.ExitStack() as stack:
        tests.oauth_client(mail)
        address = mail.account("large")
        begin = time.monotonic()
        fill(mail, address, messages)
        print(f"{messages} messages appended in {time.monotonic() - begin:.0f} s", flush=True)
        peer = None
        if peer_folder:
            peer = stack.enter_context(roundcube.Roundcube(roundcube.unpack(peer_folder), mail, PORTS))
        web = stack.enter_context(tests.Web(mail))
        print(f"  web unit, nobody signed in: {peers.share(web.process.pid):.1f} MiB")
        pages(web, peer, address, times)
        print(f"  web unit, one signed in: {peers.share(web.process.pid):.1f} MiB" + (f"; Roundcube {peer.resident():.1f} MiB" if peer else ""))
        if shutil.which("chromium"):
            judge.play(web, "weight", account=address)
        else:
            print("  chromium is not here: the first view is not measured")
        calendars(mail, web, mail.account("calendar"), times)
        accounts = [mail.account(f"person{number}") for number in range(USERS)]
        for account in accounts:
            fill(mail, account, 20)
        load(web, accounts)

