# SPDX-License-Identifier: AGPL-3.0-only
"""Values from outside that enter a header of ours, and the ends of a message: nothing of them
becomes a field, a command or a second message."""

import base64
import re
import smtplib
import socket
import time
import unittest

from server import HOST, MailServer, trusting

INJECTED = "X-Injected: yes"
TEXT = "From: stranger@elsewhere.test\r\nTo: alice@example.test\r\nSubject: {0}\r\n\r\n{1}\r\n"
VACATION = """require ["vacation", "variables", "enotify"];
if header :matches "subject" "*" { set "s" "${1}"; }
vacation :subject "${s}" "away";
"""


def encoded(text):
    """As DKIM quotes it (RFC 6376 section 2.11)."""
    return "".join(f"={byte:02X}" for byte in text.encode())


def fields(message):
    """Names of the header's fields, in lower case."""
    lines = re.sub(rb"\r\n[ \t]+", b" ", message.split(b"\r\n\r\n")[0]).split(b"\r\n")
    return [line.split(b":")[0].strip().lower().decode() for line in lines]


class Headers(unittest.TestCase):
    """Fields that the server writes."""

    @classmethod
    def setUpClass(cls):
        cls.server = MailServer(lambda text: text.replace('rate = "10/1s"', 'rate = "1000/1s"')
                                ).__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.alice, cls.bob = cls.server.account("alice"), cls.server.account("bob")

    def arrived(self, user, needle, wait=20):
        """The message of `user` that holds `needle`."""
        end = time.monotonic() + wait
        while time.monotonic() < end:
            for folder in ("INBOX", '"Junk Mail"'):
                for message in self.server.fetch(user, folder, wait=0):
                    if needle in message:
                        return message
            time.sleep(0.3)
        self.fail(f"{needle} has not arrived")

    def test_a_signature_that_does_not_verify_adds_nothing(self):
        line_end = encoded("\r\n")
        for tag in ("i", "s", "d"):
            for n, value in enumerate((f"{line_end}{encoded(INJECTED)}",
                                       f"{encoded(chr(10))}{encoded(INJECTED)}",
                                       f"{line_end * 2}{encoded('a body')}",
                                       "; dmarc=pass header.from=bank.test",
                                       f"{encoded('; dmarc=pass header.from=bank.test')}")):
                with self.subTest(tag=tag, value=value):
                    tags = {"i": "@evil.test", "d": "evil.test", "s": "x"}
                    tags[tag] += value
                    mark = f"mark-{tag}-{n}"
                    signature = (f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;"
                                 f" d={tags['d']}; s={tags['s']}; i={tags['i']};\r\n h=From;"
                                 f" bh={'A' * 43}=; b={'A' * 20}\r\n")
                    self.server.deliver((signature + TEXT.format(mark, "text")).encode())
                    message = self.arrived(self.alice, mark.encode())
                    self.assertNotIn("x-injected", fields(message))
                    self.assertIn("subject", fields(message))
                    results = re.sub(rb'"[^"]*"', b"", re.sub(rb"\r\n[ \t]+", b" ", message))
                    for line in results.split(b"\r\n"):
                        if line.startswith((b"Authentication-Results", b"ARC-Auth")):
                            self.assertNotIn(b"dmarc=pass", line)

    def test_names_and_senders(self):
        for n, (ehlo, sender) in enumerate((
                ("a(b);dmarc=pass", "x@elsewhere.test"),
                ("mx.elsewhere.test", '"a) dmarc=pass (b"@elsewhere.test'),
                ("mx.elsewhere.test", '"a\\"; dmarc=pass; x=\\""@elsewhere.test'))):
            with self.subTest(ehlo=ehlo, sender=sender):
                with smtplib.SMTP(self.server.ip, 2525, local_hostname=ehlo) as session:
                    if session.ehlo()[0] != 250:
                        continue
                    if session.docmd(f"MAIL FROM:<{sender}>")[0] != 250:
                        continue
                    session.rcpt(self.alice)
                    session.data(TEXT.format(f"name-{n}", "text").encode())
                message = self.arrived(self.alice, f"name-{n}".encode())
                results = re.sub(rb"\r\n[ \t]+", b" ", message).split(b"Authentication-Results:")[1]
                results = re.sub(rb'"(\\.|[^"\\])*"', b"", results.split(b"\r\n")[0])
                results = re.sub(rb"\((\\.|[^()\\])*\)", b"", results)
                self.assertNotIn(b"dmarc=pass", results)

    def test_an_answer_takes_no_field_from_an_encoded_subject(self):
        session = socket.create_connection((self.server.ip, 2190), 30)
        sieve = Sieve(session)
        sieve.login(self.alice, "pass word")
        sieve.put("away", VACATION)
        for n, script in enumerate((VACATION, VACATION.replace(':subject "${s}" ', ""))):
            sieve.put("away", script.replace('"away"', f'"away {n}"'))
            words = base64.b64encode(f"hi\r\n{INJECTED}\r\n\r\nbody".encode()).decode()
            message = (f"From: {self.bob}\r\nTo: {self.alice}\r\nMessage-ID: <v{n}@x.test>\r\n"
                       f"Subject: =?utf-8?b?{words}?=\r\n\r\ntext\r\n")
            with self.server.submission(self.bob) as submission:
                submission.sendmail(self.bob, [self.alice], message)
            answer = self.arrived(self.bob, f"away {n}".encode())
            self.assertNotIn("x-injected", fields(answer))
            self.assertIn("auto-submitted", fields(answer))
            self.assertIn("mime-version", fields(answer))
            self.assertIn(f"@{HOST}>".encode(), answer)

    def test_an_envelope_id_is_no_command(self):
        with self.server.submission(self.alice) as session:
            session.ehlo()
            for value in ("a+0D+0ARSET", "a+0ARSET", "+00"):
                self.assertEqual(session.docmd(f"MAIL FROM:<{self.alice}> ENVID={value}")[0], 501)
            session.docmd(f"MAIL FROM:<{self.alice}>")
            answer = session.docmd(f"RCPT TO:<{self.bob}> ORCPT=rfc822;a+0D+0AX:+20y")
            self.assertEqual(answer[0], 501)


class Sieve:
    """As much of ManageSieve as a test needs."""

    def __init__(self, connection):
        self.connection, self.reader = connection, connection.makefile("rb")
        self.answer()
        self.command("STARTTLS")
        self.connection = trusting().wrap_socket(connection)
        self.reader = self.connection.makefile("rb")
        self.answer()

    def answer(self):
        while line := self.reader.readline():
            if line.startswith((b"OK", b"NO", b"BYE")):
                assert line.startswith(b"OK"), line
                return

    def command(self, text):
        self.connection.sendall(text.encode() + b"\r\n")
        self.answer()

    def login(self, user, password):
        token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self.command(f'AUTHENTICATE "PLAIN" "{token}"')

    def put(self, name, script):
        """Makes `script` the one that runs."""
        self.command(f'PUTSCRIPT "{name}" {{{len(script.encode())}+}}\r\n{script}')
        self.command(f'SETACTIVE "{name}"')


class Ends(unittest.TestCase):
    """Messages of nothing, and where a session begins anew. Where a message ends: smuggling_test.py."""

    @classmethod
    def setUpClass(cls):
        cls.server = MailServer(lambda text: text.replace('rate = "10/1s"', 'rate = "1000/1s"')
                                ).__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.alice = cls.server.account("alice")

    def replies(self, data):
        """Answers to `data` after DATA, until the server is silent."""
        with self.server.tcp("smtp") as connection:
            reader = connection.makefile("rb")
            reader.readline()
            for line in ("HELO mx.elsewhere.test", "MAIL FROM:<stranger@elsewhere.test>",
                         f"RCPT TO:<{self.alice}>", "DATA"):
                connection.sendall(line.encode() + b"\r\n")
                reader.readline()
            connection.sendall(data)
            connection.settimeout(2)
            found = []
            try:
                while line := reader.readline():
                    found.append(line[:3])
            except TimeoutError:
                pass
            return found

    def test_a_message_of_nothing_is_answered(self):
        self.assertEqual(self.replies(b".\r\n"), [b"550"])
        self.assertEqual(self.replies(b"\r\n.\r\n"), [b"550"])

    def test_a_dot_at_the_beginning_of_the_first_line_is_taken_off(self):
        self.assertEqual(self.replies(b"." + TEXT.format("dotted", "text").encode() + b".\r\n"),
                         [b"250"])
        messages = self.server.fetch(self.alice) + self.server.fetch(self.alice, '"Junk Mail"', 1)
        dotted = [one for one in messages if b"Subject: dotted" in one]
        self.assertIn("from", fields(dotted[0]))

    def test_what_was_said_before_starttls_is_forgotten(self):
        with smtplib.SMTP(self.server.ip, 2525, local_hostname="mx.elsewhere.test") as session:
            session.ehlo()
            session.mail("stranger@elsewhere.test")
            session.rcpt(self.alice)
            session.docmd("STARTTLS")
            session.sock = trusting().wrap_socket(session.sock)
            session.file = None
            self.assertEqual(session.docmd("DATA")[0], 503)
            self.assertEqual(session.docmd("MAIL FROM:<a@b.test>")[0], 503)
            self.assertEqual(session.docmd("EHLO mx.elsewhere.test")[0], 250)
            self.assertEqual(session.docmd("MAIL FROM:<a@b.test>")[0], 250)

    def test_nobody_acts_for_another(self):
        for authzid, code in (("bob@example.test", 500), ("", 235), (self.alice, 235)):
            with self.subTest(authzid), smtplib.SMTP_SSL(
                    self.server.ip, 2465, context=trusting()) as session:
                session.ehlo()
                token = base64.b64encode(f"{authzid}\0{self.alice}\0pass word".encode()).decode()
                self.assertEqual(session.docmd(f"AUTH PLAIN {token}")[0], code)


if __name__ == "__main__":
    unittest.main()
