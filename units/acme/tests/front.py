"""What stands in front of a real authority: a reverse proxy that turns requests away, and remembers when which came.

In: an authority on port 14000, its certificate. Out: the same authority on port 14001, until a test says otherwise.
"""

import http.client
import http.server
import ssl
import threading
import time

from pebble import untrusting

PORT = 14001
DIRECTORY = f"https://127.0.0.1:{PORT}/dir"


class Front:
    """The proxy. `refuse` is asked about each path and gives (status, headers, body), or None to let it through; `slow_down` is
    a Retry-After that answers about orders get."""

    def __init__(self, folder):
        self.refuse = lambda path: None
        self.slow_down, self.requests = None, []
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                front.requests.append((time.monotonic(), self.command, self.path))
                self.answer(*(front.refuse(self.path) or self.authority(body)))

            do_GET = do_HEAD = do_POST = pass_on

            def authority(self, body):
                connection = http.client.HTTPSConnection("127.0.0.1", 14000, timeout=30, context=untrusting())
                # With the client's `Host`: the authority makes its addresses from it, and the client signs them.
                connection.request(self.command, self.path, body, dict(self.headers))
                answer = connection.getresponse()
                content, headers = answer.read(), answer.getheaders()
                connection.close()
                if front.slow_down and "my-order" in self.path:
                    headers = [pair for pair in headers if pair[0] != "Retry-After"] + [("Retry-After", front.slow_down)]
                return answer.status, headers, content

            def answer(self, status, headers, body):
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        """Ends it."""
        self.server.shutdown()
        self.server.server_close()
