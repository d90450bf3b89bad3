# SPDX-License-Identifier: AGPL-3.0-only
"""ManageSieve, and scripts that send mail in circles."""

import base64
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

    def activate(self, name, script):
        """Uploads and activates a script."""
        body = script.encode()
        put = f'PUTSCRIPT "{name}" {{{len(body)}+}}\r\n'.encode() + body + b"\r\n"
        answers = self.ask(put), self.ask(f'SETACTIVE "{name}"\r\n'.encode())
        assert all(answer.startswith(b"OK") for answer in answers), answers

    def close(self):
        """Ends the session."""
        self.file.close()
        self.socket.close()


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
            body = b'PUTSCRIPT "injected" "keep;"\r\n' * 1000
            answer = session.ask(b'PUTSCRIPT "big" {%d+}\r\n' % len(body) + body + b"\r\n")
            self.assertTrue(answer.startswith((b"NO", b"BAD")), answer)
            session.socket.sendall(b"LISTSCRIPTS\r\nLOGOUT\r\n")
            listed = session.file.read().splitlines()
            session.close()
            self.assertEqual([line for line in listed if b"injected" in line], [])
            self.assertTrue(listed[-1].startswith(b"OK"), listed)


if __name__ == "__main__":
    unittest.main()
