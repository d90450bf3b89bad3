"""Proofs in the DNS through companies' interfaces, spoken to over TLS.

No company is reachable from a test, so two of them are played here as their documentation describes them (api.cloudflare.com/client/v4,
desec.io/api/v1). What they are told is real: the authority looks for it in the DNS.
"""

import http.server
import json
import os
import ssl
import threading
import unittest
import unittest.mock
import urllib.parse

from acme_test import NAMES, Internet
from pebble import DOMAIN, HOST

PORT = 8443


class Company(http.server.BaseHTTPRequestHandler):
    """One request to an interface that keeps records by name and value; `answer` says what comes back."""

    authorization = None

    def handle_any(self):
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        path, _, query = self.path.partition("?")
        self.server.seen.append(f"{self.command} {path}")
        if self.headers.get("Authorization") != self.authorization:
            return self.reply(401, self.refusal)
        return self.reply(*self.answer(path.strip("/").split("/"), dict(urllib.parse.parse_qsl(query)), body))

    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    def reply(self, status, value):
        content = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def publish(self, name, values):
        self.server.records[name] = values
        self.server.dns.post("clear-txt", host=f"{name}.")
        for value in values:
            self.server.dns.post("set-txt", host=f"{name}.", value=value)

    def log_message(self, *_):
        pass


class Cloudflare(Company):
    """Records one by one, each with a number."""

    authorization = "Bearer right"
    refusal = {"success": False, "errors": [{"code": 9109, "message": "Invalid access token"}], "messages": [], "result": None}

    def answer(self, path, query, body):
        def result(value):
            return 200, {"success": True, "errors": [], "messages": [], "result": value}

        if path == ["zones"]:
            return result([{"id": "z1", "name": DOMAIN}] if query["name"] == DOMAIN else [])
        assert path[:3] == ["zones", "z1", "dns_records"], path
        records = self.server.records
        if self.command == "POST":
            assert (body["type"], body["proxied"]) == ("TXT", False), body
            self.publish(body["name"], records.get(body["name"], []) + [body["content"].strip('"')])
            return result({"id": "new"})
        if self.command == "DELETE":
            name, _, at = path[3].rpartition("@")
            value = records[name].pop(int(at))
            self.publish(name, records[name])
            return result({"id": value})
        found = records.get(query["name"], [])
        return result([{"id": f"{query['name']}@{at}", "name": query["name"], "type": "TXT", "content": f'"{value}"', "ttl": 600}
                       for at, value in enumerate(found)])


class Desec(Company):
    """All records of a name at once."""

    authorization = "Token right"
    refusal = {"detail": "Invalid token."}

    def answer(self, path, query, body):
        if path == ["domains", DOMAIN]:
            return 200, {"name": DOMAIN}
        if path[:3] != ["domains", DOMAIN, "rrsets"]:
            return 404, {"detail": "Not found."}
        name = f"{body['subname'] if body else path[3]}.{DOMAIN}"
        values = self.server.records.get(name, [])
        if self.command == "GET" and not values:
            return 404, {"detail": "Not found."}
        if self.command in ("POST", "PUT"):
            assert body["ttl"] >= 3600, "less is refused"
            values = [value.strip('"') for value in body["records"]]
            self.publish(name, values)
        if self.command == "DELETE":
            self.publish(name, [])
            return 204, None
        rrset = {"domain": DOMAIN, "subname": name.removesuffix(f".{DOMAIN}"), "name": f"{name}.", "type": "TXT", "ttl": 3600,
                 "records": [f'"{value}"' for value in values], "created": "2026-01-01T00:00:00Z", "touched": "2026-01-01T00:00:00Z"}
        return 201 if self.command == "POST" else 200, rrset


class Companies(Internet):
    def play(self, company):
        """Starts it, and has the client ask it instead of the real one."""
        server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), company)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.folder / "server.pem", self.folder / "server.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.records, server.seen, server.dns = {}, [], self.dns
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        name = company.__name__.lower()
        known = {f"{name.upper()}_API_ENDPOINT": f"https://127.0.0.1:{PORT}", "SSL_CERT_FILE": str(self.folder / "authority.pem")}
        environment = unittest.mock.patch.dict(os.environ, known)
        environment.start()
        self.addCleanup(environment.stop)
        provider = {"kind": "company", "company": name, "zones": [DOMAIN]}
        return server, self.client(challenge={"kind": "dns-01", "wait": 0, "provider": provider})

    def records_come_and_go(self, company):
        server, client = self.play(company)
        own = f"_acme-challenge.{HOST}"
        server.records[own] = ["somebody else's"]
        (client.credentials / "acme-dns-key").write_text("right\n")
        said = client.run()
        self.assertTrue((client.certificate / "fullchain.pem").exists(), (said, server.seen))
        self.assertEqual(client.names(), NAMES)
        left = {name: values for name, values in server.records.items() if values}
        self.assertEqual(left, {own: ["somebody else's"]}, "others' records stay, ours do not")

    def test_records_at_cloudflare(self):
        self.records_come_and_go(Cloudflare)

    def test_records_at_desec(self):
        self.records_come_and_go(Desec)

    def test_what_is_wrong_with_the_secret_is_said_and_the_secret_is_not(self):
        server, client = self.play(Cloudflare)
        self.assertIn("mailkiln-agent secret set acme-dns-key", client.run())
        client.forget_pause()
        (client.credentials / "acme-dns-key").write_text("one two")
        said = client.run()
        self.assertIn("not what Cloudflare asks for: store its API token", said)
        self.assertEqual(server.seen, [], "nothing is sent that cannot be right")
        client.forget_pause()
        (client.credentials / "acme-dns-key").write_text("wrongtoken")
        said = client.run()
        self.assertIn("Cloudflare did not take _acme-challenge.", said)
        self.assertNotIn("wrongtoken", said)
        self.assertNotIn("wrongtoken", json.dumps(client.known()))


if __name__ == "__main__":
    unittest.main()
