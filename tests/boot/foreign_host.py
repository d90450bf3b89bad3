"""The mail host of another organisation: takes what the appliance delivers to the outside.

A tiny SMTP receiver on loopback port 25 (RFC 5321: EHLO, MAIL, RCPT, DATA, RSET, NOOP, QUIT). It keeps each message with
its envelope, so that a check can verify the DKIM signature on the bytes that really travelled.
"""

import socketserver
import threading
import time


class _Session(socketserver.StreamRequestHandler):
    timeout = 300

    def reply(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        envelope: dict = {"from": None, "to": []}
        self.reply("220 mx.example.org ESMTP")
        while line := self.rfile.readline():
            verb = line.strip().decode("latin-1")
            command = verb.upper()
            if command.startswith("EHLO"):
                self.reply("250-mx.example.org")
                self.reply("250 8BITMIME")
            elif command.startswith("MAIL FROM:"):
                envelope = {"from": verb[10:].split(">")[0].lstrip("<"), "to": []}
                self.reply("250 ok")
            elif command.startswith("RCPT TO:"):
                envelope["to"].append(verb[8:].split(">")[0].lstrip("<"))
                self.reply("250 ok")
            elif command == "DATA":
                self.reply("354 go on")
                data = b""
                while (text := self.rfile.readline()) not in (b".\r\n", b""):
                    data += text[1:] if text.startswith(b"..") else text
                self.server.inbox.append({**envelope, "data": data})  # type: ignore[attr-defined]
                self.reply("250 taken")
            elif command == "QUIT":
                return self.reply("221 bye")
            else:
                self.reply("250 ok" if command.split(" ")[0] in ("HELO", "RSET", "NOOP") else "502 no")


class ForeignHost(socketserver.ThreadingTCPServer):
    """Listens on loopback; `inbox` holds {"from", "to", "data"} in order of arrival."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address="127.0.0.1", port=25):
        super().__init__((address, port), _Session)
        self.inbox = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def wait_for(self, recipient, seconds):
        """The first message to `recipient`, or None when none came within `seconds`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for message in list(self.inbox):
                if recipient in message["to"]:
                    return message
            time.sleep(0.5)
        return None
