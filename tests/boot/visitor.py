"""Those who come to the web unit from outside: by the names that the DNS has, to port 443, and they trust the authority's root alone."""

import functools
import http.client
import os
import pathlib
import re
import socket
import socketserver
import ssl
import sys
import threading
import urllib.request

from clients import LOCAL, port

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "units/web/tests"))
from web import Browser, Page  # noqa: E402

HOST, HTTPS = "mail.example.test", 443
# Pages of an emulated machine take their time.
SECONDS = 120


class Passage(socketserver.BaseRequestHandler):
    """Bytes to the machine's port and back, until both sides have ended."""

    def handle(self):
        with socket.create_connection((LOCAL, port(HTTPS)), timeout=SECONDS) as machine:
            machine.settimeout(None)
            back = threading.Thread(target=self.carry, args=(machine, self.request), daemon=True)
            back.start()
            self.carry(self.request, machine)
            back.join()

    @staticmethod
    def carry(source, sink):
        """One direction."""
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other side has left


class Door(socketserver.ThreadingTCPServer):
    """Port 443 of loopback, where the names lead."""

    allow_reuse_address = True
    daemon_threads = True


@functools.cache
def open_door():
    """Programs that take no port find the machine as they would outside."""
    door = Door((LOCAL, HTTPS), Passage)
    threading.Thread(target=door.serve_forever, daemon=True).start()
    return door


def root_of(world):
    """The file of the root that a visitor trusts."""
    open_door()
    path = world.authority.folder / "pebble-root.pem"
    path.write_bytes(world.authority.get("/roots/0"))
    return path


def environment(world):
    """For programs that take their roots from OpenSSL, and for all that would ask a proxy for names of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return kept | {"SSL_CERT_FILE": str(root_of(world)), "SSL_CERT_DIR": "/nonexistent"}


def context(world):
    """TLS as a visitor has it: root and name are checked."""
    return ssl.create_default_context(cafile=root_of(world))


def fetch(world, url, body=None, **headers):
    """What a program gets at an address; it follows redirects."""
    handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context(world)))
    request = urllib.request.Request(url, body, {name.replace("_", "-"): value for name, value in headers.items()})
    with urllib.request.build_opener(*handlers).open(request, timeout=SECONDS) as answer:
        return Page(answer.status, answer.headers, answer.read())


class Visitor(Browser):
    """A browser at the appliance's name."""

    def __init__(self, world):
        super().__init__(None)
        self.context = context(world)

    def connect(self):
        """By name, to the port that browsers take."""
        return http.client.HTTPSConnection(HOST, HTTPS, timeout=SECONDS, context=self.context)

    def write(self, page, **fields):
        """Fills in the page to write on, and presses the button `do`."""
        form = page.form("/compose")
        form.pop("files", None)  # nobody chose one
        text = re.search(r'<textarea id="text"[^>]*>\n?(.*?)</textarea>', page.text, re.S)
        values = form | {"text": text[1] if text else ""} | fields
        boundary = "----form"
        parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in values.items()]
        body = "".join([*parts, f"--{boundary}--\r\n"]).encode()
        answer = self.post("/compose", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})
        return self.get(answer.headers["Location"]) if answer.status in (302, 303) else answer
