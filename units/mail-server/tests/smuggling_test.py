# SPDX-License-Identifier: AGPL-3.0-only
"""Where a message ends (RFC 5321 section 4.1.1.4): one line of a dot, between CR LF, and nothing that other servers may take for it.

In by DATA and BDAT from strangers, and out: what a lax server could take for the end never leaves.
"""

import re
import unittest

from message_test import PlainExchange, until
from server import DOMAIN, TODAY, MailServer, certificate

EXCHANGE, RECIPIENT = "192.0.2.2", "carol@example.net"
ZONE = {("example.net", "MX"): ["10 mx.example.net"], ("mx.example.net", "A"): [EXCHANGE]}
# None of them is the end of a message.
ENDS = (
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r.\n", b"\n.\r", b"\r\n.\r\r\n",
    b"\r\n.\r\r\r\n", b"\r\r\n.\r\r\n", b"\r\n\r.\r\n", b"\n\r\n.\r\r\n", b"\n\n.\n\n", b"\r\r.\r\r",
    b"\r\n.\0\r\n", b"\r\n\0.\r\n", b"\r\n.\r\0\n", b"\r\n.\n\r", b"\n\r.\n\r", b"\r\n. \r\n", b"\r\n.\t\r\n",
    b"\r\n .\r\n", b"\r\n..\r\n", b"\r\n.\x0b\r\n", b"\r\n.\x0c\r\n", b"\r\n.\x85\r\n", b"\xc2\x85.\xc2\x85",
    b"\xe2\x80\xa8.\xe2\x80\xa8", b"\xe5\x98\x8d\xe5\x98\x8a.\xe5\x98\x8d\xe5\x98\x8a",
)  # fmt: skip
SECOND = b"MAIL FROM:<smuggled@elsewhere.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nSubject: smuggled\r\n\r\ntext"
# What a lax server may take for the end: a dot between any two of CR and LF. A NUL before the dot is sent as it came, as Postfix
# does: only a server that drops NULs before it looks for the end would be fooled.
LAX = re.compile(rb"[\r\n]\.\0*[\r\n]")


def quick(text):
    """As many messages as the tables have."""
    return text.replace('rate = "10/1s"', 'rate = "1000/1s"').replace('"200/1h"', '"2000/1h"')


def head(to, number):
    """The header of a message, and its first line."""
    return (f"From: Alice <alice@{DOMAIN}>\r\nTo: {to}\r\nSubject: outer {number}\r\nDate: {TODAY}\r\n"
            f"Message-ID: <{number}.outer@{DOMAIN}>\r\n\r\nfirst").encode()


class Exchange(PlainExchange):
    """Keeps what stands between DATA and the end as RFC 5321 has it, octet by octet, and what it takes for commands."""

    extensions = (b"8BITMIME", b"SMTPUTF8")

    def _converse(self, connection):
        connection.sendall(b"220 mx.example.net ESMTP\r\n")
        seen, in_text = b"", False
        while more := connection.recv(65536):
            seen += more
            while (end := seen.find(b"\r\n.\r\n" if in_text else b"\r\n")) >= 0:
                line, seen = seen[:end], seen[end + (5 if in_text else 2):]
                if in_text:
                    self.messages.append((False, line))
                    in_text, answer = False, b"250 taken"
                elif line.upper().startswith(b"EHLO"):
                    answer = b"\r\n".join([b"250-mx.example.net", b"250-8BITMIME", b"250 SMTPUTF8"])
                elif line.upper() == b"DATA":
                    in_text, answer = True, b"354 go"
                else:
                    self.commands.append(line)
                    answer = b"250 ok"
                connection.sendall(answer + b"\r\n")


class Smuggling(unittest.TestCase):
    """A second message inside of a first."""

    @classmethod
    def setUpClass(cls):
        cls.server = MailServer(quick).__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.server.dns.records.update(ZONE)
        cls.alice = cls.server.account("alice")

    def replies(self, *octets):
        """The codes that answer these octets, sent one after another, up to the end of the connection."""
        with self.server.tcp("smtp") as connection:
            reader = connection.makefile("rb")
            reader.readline()
            for line in ("HELO mx.elsewhere.test", "MAIL FROM:<stranger@elsewhere.test>", f"RCPT TO:<{self.alice}>"):
                connection.sendall(line.encode() + b"\r\n")
                reader.readline()
            for piece in octets:
                connection.sendall(piece)
            codes = [line[:3] for line in reader]
            reader.close()
            return codes

    def test_in_by_data(self):
        for number, end in enumerate(ENDS):
            text = head(self.alice, number) + end + SECOND + b"\r\n.\r\n"
            for width in (len(text), 7):
                with self.subTest(end=end, width=width):
                    pieces = [text[at:at + width] for at in range(0, len(text), width)]
                    codes = self.replies(b"DATA\r\n", *pieces, b"QUIT\r\n")
                    self.assertEqual(codes, [b"354", b"250", b"221"])

    def test_in_by_chunks(self):
        for number, end in enumerate((*ENDS, b"\r\n.\r\n")):
            text = head(self.alice, number) + end + SECOND + b"\r\n.\r\n"
            with self.subTest(end=end):
                codes = self.replies(b"BDAT %d LAST\r\n" % len(text) + text + b"QUIT\r\n")
                self.assertEqual(codes, [b"250", b"221"])
            at = text.index(end) + len(end) - 1  # a chunk ends before the last octet
            chunks = b"BDAT %d\r\n" % at + text[:at] + b"BDAT %d LAST\r\n" % (len(text) - at) + text[at:]
            with self.subTest(end=end, chunks=2):
                self.assertEqual(self.replies(chunks + b"QUIT\r\n"), [b"250", b"250", b"221"])

    def submit(self, text, in_chunks):
        """Hands in a message to another server."""
        with self.server.submission(self.alice) as session:
            session.ehlo()
            self.assertEqual(session.mail(self.alice)[0], 250)
            self.assertEqual(session.rcpt(RECIPIENT)[0], 250)
            if in_chunks:
                session.send(b"BDAT %d LAST\r\n" % len(text) + text)
            else:
                self.assertEqual(session.docmd("DATA")[0], 354)
                stuffed = re.sub(rb"\r\n\.(?=\r\n)", b"\r\n..", text)
                session.send(stuffed + b"\r\n.\r\n")
            self.assertEqual(session.getreply()[0], 250, text)

    def test_out(self):
        exchange = Exchange(EXCHANGE, certificate)
        self.addCleanup(exchange.close)
        sent = [(end, in_chunks) for end in (*ENDS, b"\r\n.\r\n") for in_chunks in (False, True)]
        for number, (end, in_chunks) in enumerate(sent):
            self.submit(head(RECIPIENT, number) + end + SECOND, in_chunks)
        until(lambda: len(exchange.messages) >= len(sent), 60)
        self.assertEqual(len(exchange.messages), len(sent), self.server.log.read_text()[-2000:])
        self.assertFalse([line for line in exchange.commands if b"smuggled" in line])
        for _, octets in exchange.messages:
            number = int(re.search(rb"Subject: outer (\d+)", octets)[1])
            with self.subTest(end=sent[number][0], in_chunks=sent[number][1]):
                self.assertIsNone(LAX.search(octets), octets[-200:])


if __name__ == "__main__":
    unittest.main()
