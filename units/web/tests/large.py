"""How fast the pages are in a large mailbox: WEB=… MAIL_SERVER=… large.py [MESSAGES]. Prints medians and the slowest of 20; not a test, as
times depend on the machine."""

import html
import re
import socket
import statistics
import sys
import time

from server import PORTS, TODAY, trusting
from web import Web, mail_server, oauth_client


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


def measure(name, ask, times=20):
    """Runs `ask` and prints how long it took."""
    took = []
    for _ in range(times):
        begin = time.perf_counter()
        page = ask()
        took.append((time.perf_counter() - begin) * 1000)
        assert page.status == 200, page.status
    print(f"{name:24} first {took[0]:7.1f}  median {statistics.median(took):7.1f}  slowest after {max(took[1:]):7.1f} ms  {len(page.body)} bytes",
          flush=True)
    return page


def resident(process):
    """MiB of a process."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) / 1024


def main(count):
    with mail_server() as mail:
        oauth_client(mail)
        address = mail.account("large")
        begin = time.monotonic()
        fill(mail, address, count)
        print(f"{count} messages appended in {time.monotonic() - begin:.0f} s", flush=True)
        with Web(mail) as web:
            print(f"web unit, nobody signed in: {resident(web.process):.1f} MiB")
            browser = web.browser()
            begin = time.perf_counter()
            browser.sign_in(address)
            print(f"sign-in {(time.perf_counter() - begin) * 1000:.0f} ms")
            page = measure("first page", lambda: browser.get("/mail"))
            older = html.unescape(re.search(r'rel="next" href="([^"]+)"', page.text)[1])
            measure("next page", lambda: browser.get(older))
            row = html.unescape(re.search(r'<li class="row.*?href="([^"]+)"', page.text, re.S)[1])
            measure("next page, list alone", lambda: browser.get(older, headers={"x-part": "list"}))
            measure("open a message", lambda: browser.get(row, headers={"x-part": "pane"}))
            measure("by subject", lambda: browser.get("/mail?o=subject"))
            measure("by conversation", lambda: browser.get("/mail?g=1"))
            measure("search from:", lambda: browser.get("/mail?q=from%3As7"))
            print(f"web unit, one signed in: {resident(web.process):.1f} MiB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
