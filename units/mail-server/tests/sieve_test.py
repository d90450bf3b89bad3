# SPDX-License-Identifier: AGPL-3.0-only
"""ManageSieve, and scripts that send mail in circles."""

import base64
import socket
import ssl
import threading
import time
import unittest

from server import HOST, MailServer, trusting

MESSAGE = b"From: a@elsewhere.test\r\nTo: alice@example.test\r\nSubject: round\r\n\r\nbody\r\n"


class Session:
    """A ManageSieve session (RFC 5804), logged in over STARTTLS."""

    def __init__(self, server, user):
        self.plain = server.tcp("sieve")
        self.file = self.plain.makefile("rb")
        self.answer()
        self.plain.sendall(b"STARTTLS\r\n")
        self.answer()
        self.socket = trusting().wrap_socket(self.plain, server_hostname=HOST)
        self.file = self.socket.makefile("rb")
        self.answer()
        token = base64.b64encode(f"\0{user}\0pass word".encode()).decode()
        assert self.ask(f'AUTHENTICATE "PLAIN" "{token}"\r\n'.encode()).startswith(b"OK")

    def answer(self):
        """The line that ends a reply."""
        while True:
            line = self.file.readline()
            assert line, "closed"
            if line.startswith((b"OK", b"NO", b"BAD", b"BYE")):
                return line

    def ask(self, octets):
        """Sends octets, returns the end of the reply."""
        self.socket.sendall(octets)
        return self.answer()

    def put(self, name, script):
        """Uploads a script."""
        body = script.encode()
        answer = self.ask(f'PUTSCRIPT "{name}" {{{len(body)}+}}\r\n'.encode() + body + b"\r\n")
        assert answer.startswith(b"OK"), answer

    def activate(self, name, script):
        """Uploads and activates a script."""
        self.put(name, script)
        answer = self.ask(f'SETACTIVE "{name}"\r\n'.encode())
        assert answer.startswith(b"OK"), answer

    def close(self):
        """Ends the session."""
        self.file.close()
        self.socket.close()


class Fetching(unittest.TestCase):
    """What scripts of an administrator fetch."""

    SCRIPT = """
[sieve.trusted.scripts.probe]
contents = '''require ["vnd.stalwart.expressions", "variables"];
let "x" "http_header('https://192.0.2.2:8443/', 'location', 'test', 3000)";
'''
"""

    def test_http_header_asks_nobody_whose_certificate_is_wrong(self):
        asked = []

        def serve(listener, context):
            while True:
                try:
                    plain, _ = listener.accept()
                    asked.append("connected")
                    with context.wrap_socket(plain, server_side=True) as tls:
                        asked.append(tls.recv(4096))
                        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                except OSError:
                    if listener.fileno() < 0:
                        return

        edit = lambda text: text.replace("[session.data]\n", "[session.data]\nscript = \"'probe'\"\n"
                                         ) + self.SCRIPT
        with MailServer(edit) as server, socket.create_server(("192.0.2.2", 8443)) as listener:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(server.directory / "fullchain.pem", server.directory / "key.pem")
            threading.Thread(target=serve, args=(listener, context), daemon=True).start()
            server.account("alice")
            server.deliver(MESSAGE)
            listener.shutdown(socket.SHUT_RDWR)
        self.assertEqual(asked, ["connected"], "it has to come, and to leave without asking")


class Scripts(unittest.TestCase):
    """Uploaded over the wire, run on delivery."""

    def test_a_script_files_a_message(self):
        with MailServer() as server:
            alice = server.account("alice")
            session = Session(server, alice)
            session.activate("file", 'require ["fileinto", "mailbox"];\r\n'
                             'if header :contains "subject" "round" '
                             '{ fileinto :create "Rounds"; }\r\n')
            session.close()
            server.deliver(MESSAGE)
            self.assertTrue(server.fetch(alice, "Rounds"))
            self.assertFalse(server.fetch(alice, wait=1))

    def test_a_script_is_included_whatever_the_case_of_its_name(self):
        with MailServer() as server:
            alice = server.account("alice")
            session = Session(server, alice)
            session.put("My Rules", 'require ["fileinto", "mailbox"];\r\n'
                        'fileinto :create "Rounds";\r\n')
            session.activate("main", 'require ["include"];\r\ninclude :personal "My Rules";\r\n')
            session.close()
            server.deliver(MESSAGE)
            self.assertTrue(server.fetch(alice, "Rounds"))

    def test_a_circle_of_redirects_ends_with_the_message_kept(self):
        with MailServer() as server:
            alice, bob = server.account("alice"), server.account("bob")
            for here, there in ((alice, bob), (bob, alice)):
                session = Session(server, here)
                session.activate("loop", f'redirect "{there}";\r\n')
                session.close()
            server.deliver(MESSAGE)
            kept = server.fetch(alice, wait=20) + server.fetch(bob, wait=1)
            self.assertEqual(len(kept), 1)
            self.assertIn(b"Sieve of alice@example.test", kept[0])
            sent = server.log.read_text().count("sieve.send-message")
            time.sleep(2)
            self.assertEqual(server.log.read_text().count("sieve.send-message"), sent)

    def test_a_refused_literal_is_not_read_as_commands(self):
        # ManageSieve has the limit of IMAP
        edit = lambda text: text.replace("request.max-size = 52428800", "request.max-size = 9999")
        with MailServer(edit) as server:
            session = Session(server, server.account("alice"))
            # The client waits for the answer, so that the body comes in a piece of its own
            answer = session.ask(b'PUTSCRIPT "big" {30000+}\r\n')
            self.assertTrue(answer.startswith((b"NO", b"BAD")), answer)
            command = b'PUTSCRIPT "injected" "keep;"\r\n'
            session.socket.sendall(command)
            time.sleep(0.5)
            session.socket.sendall(b"x" * (30000 - len(command)) + b"\r\n")
            session.socket.sendall(b"LISTSCRIPTS\r\nLOGOUT\r\n")
            listed = session.file.read().splitlines()
            session.close()
            self.assertEqual([line for line in listed if b"injected" in line], [])
            self.assertTrue(listed[-1].startswith(b"OK"), listed)


if __name__ == "__main__":
    unittest.main()
