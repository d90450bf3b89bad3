"""How fast `mailkiln upload s3` sends an image, beside curl: `./bench --upload`.

Both send the same bytes to the same server on loopback, which reads and drops them; curl computes no checksum. Rounds are in turns.
"""

import http.server
import os
import statistics
import subprocess
import threading
import time
from typing import ClassVar

BYTES = 512 << 20
ROOT_X86_64 = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"


class Sink(http.server.BaseHTTPRequestHandler):
    """As much of S3 as an upload needs; what it is sent it drops."""

    protocol_version = "HTTP/1.1"
    whole = ""
    tags: ClassVar[dict[str, str]] = {}

    def log_message(self, *_):
        pass

    def say(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if self.command != "HEAD":
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def drop(self):
        left, buffer = int(self.headers.get("content-length", 0)), memoryview(bytearray(1 << 20))
        while left:
            left -= self.rfile.readinto(buffer[: min(left, len(buffer))])

    def do_PUT(self):
        self.drop()
        self.say(200, etag='"part"')

    def do_POST(self):
        self.drop()
        if "uploads" in self.path:
            Sink.tags = {name: value for name, value in self.headers.items() if name.lower().startswith("x-amz-meta-")}
            self.say(200, b"<R><UploadId>u</UploadId></R>")
        else:
            Sink.whole = "yes"
            self.say(200, b"<R></R>")

    def do_HEAD(self):
        if Sink.whole:
            self.say(200, content_length=str(BYTES), **Sink.tags)
        else:
            self.say(404)


def figures(mailkiln, work, rounds):
    """Prints seconds and the ratio of rates."""
    image = work / "mail.example.test-x86_64.img"
    with open(image, "wb") as file:
        for _ in range(BYTES >> 20):
            file.write(os.urandom(1 << 20))
    table = f"label: gpt\nstart=2048, size=4096, type={ROOT_X86_64}\n"
    subprocess.run(["/usr/sbin/sfdisk", "--quiet", image], input=table, text=True, check=True, stdout=subprocess.DEVNULL)
    digest = subprocess.run(["sha256sum", image], capture_output=True, check=True).stdout
    image.with_name(image.name + ".sha256").write_bytes(digest)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    keys = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
    commands = {
        "curl": ["curl", "-sf", "-T", image, f"{address}/bucket/image"],
        "mailkiln upload s3": [mailkiln, "-q", "upload", "s3", image, "--endpoint", address, "--bucket", "bucket"],
    }
    seconds = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            Sink.whole = ""
            started = time.monotonic()
            subprocess.run([*map(str, command)], check=True, stdout=subprocess.DEVNULL, env=os.environ | keys)
            seconds[name].append(time.monotonic() - started)
    server.shutdown()
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    for name, each in seconds.items():
        print(f"  {name:<46} {medians[name]:8.2f} s  ({min(each):.2f}–{max(each):.2f})  {BYTES / medians[name] / 1e6:7.0f} MB/s")
    print(f"  upload / curl: {medians['curl'] / medians['mailkiln upload s3']:.2f}")
