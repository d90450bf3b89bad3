# SPDX-License-Identifier: AGPL-3.0-only
"""HTTP: no secret is published, and no setting makes a request panic."""

import json
import socket
import unittest

from bans_test import quick, refused_recipients
from server import PORTS, MailServer, openssl


class Keys(unittest.TestCase):
    """/auth/jwks.json, which anybody may read."""

    def published(self, edit=None):
        """The keys that a server configured so publishes."""
        with MailServer(edit) as server:
            status, _, body = server.http("GET", "/auth/jwks.json", user=None)
        self.assertEqual(status, 200)
        return json.loads(body)["keys"]

    def test_a_symmetric_key_is_not_published(self):
        self.assertEqual(self.published(), [])
        secret = lambda text: text.replace(
            "[oauth]\n", '[oauth]\noidc.signature-algorithm = "HS512"\n'
            'oidc.signature-key = "not for everybody"\n')
        self.assertEqual(self.published(secret), [])

    def test_a_public_key_is(self):
        pem = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        public = lambda text: text.replace(
            "[oauth]\n", '[oauth]\noidc.signature-algorithm = "ES256"\n'
            f"oidc.signature-key = '''{pem}'''\n")
        keys = self.published(public)
        self.assertEqual([key["kty"] for key in keys], ["EC"])
        self.assertNotIn("d", keys[0])


class Userinfo(unittest.TestCase):
    """What a client that has signed in may know of its user."""

    def test_every_address_is_there(self):
        with MailServer() as server:
            addresses = ["alice@example.test", "tea@example.test"]
            server.account("alice", emails=[*addresses, "@example.test"])
            status, _, body = server.http("GET", "/auth/userinfo", None, "alice@example.test", "pass word")
            self.assertEqual(status, 200, body)
            self.assertEqual(json.loads(body)["emails"], addresses)


class Settings(unittest.TestCase):
    """A value that used to panic."""

    def test_mta_sts_mode_none(self):
        edit = lambda text: text.replace('mode = "testing"', 'mode = "none"')
        with MailServer(edit) as server:
            status, _, body = server.http("GET", "/.well-known/mta-sts.txt", user=None)
            self.assertEqual(status, 200)
            self.assertIn(b"mode: none\r\n", body)


class Blocked(unittest.TestCase):
    """A ban holds for connections that are open already."""

    def test_a_kept_alive_connection_is_refused_too(self):
        edit = lambda text: quick(text).replace("use-x-forwarded = true", "use-x-forwarded = false")
        with MailServer(edit) as server:
            address = server.ip, PORTS["http"]
            connection = socket.create_connection(address, 30, ("127.8.9.1", 0))
            connection.sendall(b"GET /healthz/live HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertIn(b"200 OK", connection.recv(65536))
            refused_recipients(server, "127.8.9.1", 40)
            connection.sendall(b"GET /healthz/live HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertIn(b"403 Forbidden", connection.recv(65536))
            connection.close()


if __name__ == "__main__":
    unittest.main()
