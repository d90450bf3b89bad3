"""A binary cache behind https, whose certificate a private authority signed, and whose line breaks once.

In: a folder as `nix copy` writes it. Out: its address; the largest archive is cut off in its middle when it is first asked
for, so that who takes it must go on where that ended. What was asked for is kept.
"""

import http.server
import ssl
import threading


class HttpsCache:
    """Serves `folder` on loopback; `certificates` has server.pem and server.key."""

    def __init__(self, folder, certificates):
        self.folder, self.asked = folder, []
        self.breaks = max((folder / "nar").iterdir(), key=lambda archive: archive.stat().st_size)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        # A client that does not trust the authority hangs up, which is no news.
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"https://127.0.0.1:{self.server.server_port}"

    def handler(self):
        cache = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                path = cache.folder / self.path.lstrip("/")
                if not path.is_file():
                    return self.send_error(404)
                content = path.read_bytes()
                start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
                first = path == cache.breaks and (self.path, 0) not in cache.asked
                cache.asked.append((self.path, start))
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                self.wfile.write(content[start:len(content) // 2] if first else content[start:])
                self.close_connection = first
                return None

            def log_message(self, *_):
                """Says nothing: what counts is in `asked`."""

        return Handler

    def resumed(self):
        """Where the archive that was cut off was asked for again; it was not read from its beginning twice."""
        name = f"/nar/{self.breaks.name}"
        starts = [start for path, start in self.asked if path == name]
        assert starts[0] == 0 and len(starts) == 2 and starts[1] > 0, starts
        return starts[1]

    def stop(self):
        """Ends it."""
        self.server.shutdown()
