"""A strict server in front of a real one, or in its place: it checks what arrives, notes it, and fails on purpose.

Test servers take what clouds refuse: wrong signatures, checksums and lengths. So nothing reaches one unchecked.
"""

import base64
import collections
import datetime
import hashlib
import hmac
import http.client
import http.server
import json
import socket
import threading
import urllib.parse

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Request:
    """What has arrived."""

    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body
        parts = urllib.parse.urlsplit(target)
        self.path, self.query_text = parts.path, parts.query
        self.query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))

    def json(self):
        return json.loads(self.body)


class Reply:
    """What is answered."""

    def __init__(self, status, body=b"", **headers):
        self.status, self.headers = status, {name.replace("_", "-"): value for name, value in headers.items()}
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode() if not isinstance(body, str) else body.encode()
        if not isinstance(body, (bytes, str)):
            self.headers["content-type"] = "application/json"


class Refused(Exception):
    """The gate's own refusal."""

    def __init__(self, reply):
        super().__init__(reply.status)
        self.reply = reply


RESET, LOST = "reset", "lost"


class Gate:
    """A server on loopback. `play` answers, or returns nothing so that the request is passed on to `upstream`."""

    def __init__(self, upstream=None, check=None, play=None):
        self.upstream, self.check, self.play = upstream, check, play
        self.log, self.faults, self.lock = [], collections.deque(), threading.Lock()
        gate = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except OSError:
                    self.close_connection = True

            def log_message(self, *_):
                pass

            def answer(self):
                gate.answer(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = answer

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        self.address = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def fail(self, fits, fault, times=1):
        """The next `times` requests for which `fits` is true get this Reply, lose their connection (RESET) or their answer (LOST), or
        call a function before they go on."""
        self.faults.extend([(fits, fault)] * times)

    def heal(self):
        self.faults.clear()

    def count(self, method, word=""):
        return sum(one.method == method and word in one.target for one in self.log)

    def fault(self, request):
        with self.lock:
            for one in self.faults:
                if one[0](request):
                    self.faults.remove(one)
                    return one[1]
        return None

    def answer(self, handler):
        headers = {name.lower(): value for name, value in handler.headers.items()}
        assert "transfer-encoding" not in headers, "a length must be said"
        length = int(headers.get("content-length", 0))
        request = Request(handler.command, handler.path, headers, b"")
        fault = self.fault(request)
        if fault is RESET:
            handler.rfile.read(min(length, 70_000))
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
            return
        request.body = handler.rfile.read(length)
        with self.lock:
            self.log.append(request)
        if callable(fault):
            fault()
        try:
            reply = fault if isinstance(fault, Reply) else self.reply(request)
        except Refused as refused:
            reply = refused.reply
        if fault is LOST:
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
            return
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        if request.method != "HEAD" and reply.status != 204:
            handler.send_header("content-length", str(len(reply.body)))
        handler.end_headers()
        if request.method != "HEAD":
            handler.wfile.write(reply.body)

    def reply(self, request):
        if self.check:
            self.check(request)
        if self.play and (reply := self.play(request)) is not None:
            return reply
        if self.upstream is None:
            return Reply(404, {"error": {"code": "not_found", "message": f"the gate does not know {request.method} {request.path}"}})
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=60)
        headers = {name: value for name, value in request.headers.items() if name not in HOP_BY_HOP}
        connection.request(request.method, request.target, request.body or None, headers | {"content-length": str(len(request.body))})
        got = connection.getresponse()
        body = got.read()
        reply = Reply(got.status, body)
        reply.headers = {name: value for name, value in got.getheaders() if name.lower() not in HOP_BY_HOP or request.method == "HEAD"}
        connection.close()
        return reply


def signed_by(secret, regions):
    """A check of AWS's Signature Version 4, written from the specification and not from our program."""

    def check(request):
        def refuse(status, code, **headers):
            raise Refused(Reply(status, f"<Error><Code>{code}</Code><Message>the gate says {code}</Message></Error>", **headers))

        fields = dict(field.strip().split("=", 1) for field in request.headers["authorization"].split(" ", 1)[1].split(","))
        _, day, region, service, end = fields["Credential"].split("/")
        date = request.headers["x-amz-date"]
        moment = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
        if abs((datetime.datetime.now(datetime.UTC) - moment).total_seconds()) > 900 or end != "aws4_request":
            refuse(403, "RequestTimeTooSkewed")
        if region not in regions:
            refuse(400, "AuthorizationHeaderMalformed", x_amz_bucket_region=regions[0])
        names = fields["SignedHeaders"].split(";")
        assert names == sorted(names) and "host" in names, names
        assert all(name in names for name in request.headers if name.startswith("x-amz-")), "an x-amz- header is not signed"
        digest = hashlib.sha256(request.body).hexdigest()
        if request.headers.get("x-amz-content-sha256", digest) != digest:
            refuse(400, "XAmzContentSHA256Mismatch")
        pairs = sorted(tuple(pair.split("=", 1)) if "=" in pair else (pair, "") for pair in request.query_text.split("&") if pair)
        canonical = "\n".join([
            request.method, request.path, "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:{' '.join(request.headers[name].split())}" for name in names), "", ";".join(names), digest,
        ])  # fmt: skip
        scope = f"{day}/{region}/{service}/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = b"AWS4" + secret.encode()
        for word in (day, region, service, "aws4_request", text):
            key = hmac.new(key, word.encode(), hashlib.sha256).digest()
        if key.hex() != fields["Signature"]:
            refuse(403, "SignatureDoesNotMatch")

    return check


def sha256_base64(data):
    return base64.b64encode(hashlib.sha256(data).digest()).decode()
