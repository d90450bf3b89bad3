"""Rules from an address: over https, from a server that only a private authority vouches for."""

import base64
import http.server
import os
import pathlib
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
from unittest import mock

from setup import BOB, Filtered, message

PORT = 2443
MARK = b"a word that only these rules know"


def openssl(*arguments, **more):
    """Runs openssl and returns what it prints."""
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, **more).stdout


def rules(serial, mark=MARK):
    """A file of rules, as somebody publishes it."""
    return b'// serial %d\nrule ours { strings: $a = "%s" condition: $a }\n' % (serial, mark)


class Publisher:
    """Signs rules, and serves them on https with a certificate of its own authority."""

    def __init__(self, folder, ip):
        self.folder, self.pages = pathlib.Path(folder), {}
        self.roots, self.key = self.folder / "roots.pem", self.folder / "signer.pem"
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30")
        openssl("req", "-x509", *key, "-subj", "/CN=private authority", "-keyout", self.folder / "root.key", "-out", self.roots)
        openssl("req", "-x509", *key, "-subj", "/CN=rules", "-addext", f"subjectAltName=IP:{ip}",
                "-addext", "basicConstraints=critical,CA:FALSE", "-CA", self.roots, "-CAkey", self.folder / "root.key",
                "-keyout", self.folder / "server.key", "-out", self.folder / "server.pem")
        openssl("genpkey", "-algorithm", "ed25519", "-out", self.key)
        self.server = http.server.ThreadingHTTPServer((ip, PORT), self.handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.pem", self.folder / "server.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def handler(self):
        pages = self.pages

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                status, headers, body = pages.get(self.path, (404, {}, b""))
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        return Handler

    def publish(self, text, signed=None):
        """Puts rules there, with the signature of these or of others."""
        (self.folder / "text").write_bytes(signed or text)
        signature = openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.key, "-in", self.folder / "text")
        self.pages["/mail.yar"] = (200, {}, text)
        self.pages["/mail.yar.sig"] = (200, {}, base64.b64encode(signature) + b"\n")

    def public_key(self):
        """What `rules_key` says."""
        return base64.b64encode(openssl("pkey", "-in", self.key, "-pubout", "-outform", "DER")[-32:]).decode()

    def stop(self):
        """Ends it."""
        self.server.shutdown()
        self.server.server_close()


class Update(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Filtered()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.publisher = Publisher(folder.name, cls.server.ip)
        cls.addClassCleanup(cls.publisher.stop)
        cls.server.extra = (f'[rules]\nurl = "https://{cls.server.ip}:{PORT}/mail.yar"\n'
                            f'key = "{cls.publisher.public_key()}"')
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__)

    def update(self, status=0, roots=None):
        with mock.patch.dict(os.environ, {"SSL_CERT_FILE": str(roots or self.publisher.roots)}):
            return self.server.command("rules", "update", status=status).decode()

    def kept(self):
        """The rules at hand."""
        path = self.server.directory / "filter/rules/downloaded.yar"
        return path.read_bytes() if path.exists() else None

    def test_signed_rules_come_over_https_and_count_within_seconds(self):
        self.publisher.publish(rules(2))
        self.assertEqual(self.update(), "new rules, serial 2\n")
        self.assertEqual(self.update(), "no newer rules than serial 2\n")
        sent = message("with a mark", text=f"Hello,\r\n\r\n{MARK.decode()}\r\n")
        end = time.monotonic() + 30
        while "changed rules are in use" not in self.server.log_of_filter() and time.monotonic() < end:
            time.sleep(0.2)
        code, text = self.server.refused(sent, to=BOB)
        self.assertEqual(code, 550)
        self.assertIn("ours", text)
        self.refused_ones_change_nothing()

    def refused_ones_change_nothing(self):
        """Old, altered, and unreachable rules, and those of a server that nobody vouches for."""
        before = self.kept()
        self.assertEqual(before, rules(2))
        self.publisher.publish(rules(1))
        self.assertIn("serial 1", self.update(status=1))
        self.publisher.publish(rules(3, b"an altered word"), signed=rules(3))
        self.assertIn("signature", self.update(status=1))
        self.publisher.publish(rules(3))
        other = self.publisher.folder / "other.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=other",
                "-keyout", self.publisher.folder / "other.key", "-out", other)
        said = self.update(status=1, roots=other)
        self.assertIn("the rules at hand stay", said)
        self.assertRegex(said.lower(), "certificate|issuer")
        self.publisher.pages["/mail.yar"] = (302, {"Location": f"http://{self.server.ip}:{PORT}/mail.yar"}, b"")
        self.assertIn("the rules at hand stay", self.update(status=1))
        del self.publisher.pages["/mail.yar"]
        self.assertIn("404", self.update(status=1))
        self.assertEqual(self.kept(), before)
        self.publisher.publish(rules(3))
        self.assertEqual(self.update(), "new rules, serial 3\n")


if __name__ == "__main__":
    unittest.main()
