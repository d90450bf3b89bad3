# SPDX-License-Identifier: AGPL-3.0-only
"""TLS on every port: which versions and ciphers there are, what is refused, and that nothing said before it counts in it (RFC 3207
section 4.2, RFC 9051 section 6.2.1, RFC 5804 section 2.2)."""

import concurrent.futures
import contextlib
import json
import os
import shutil
import ssl
import struct
import subprocess
import tempfile
import time
import unittest

from server import HOST, PORTS, MailServer

# What a client says before TLS, how it begins it, and how the answer to that begins; on other ports TLS comes first.
PLAIN = {
    "smtp": (b"EHLO mx.elsewhere.test\r\n", b"STARTTLS\r\n", b"220"),
    "submission": (b"EHLO client.test\r\n", b"STARTTLS\r\n", b"220"),
    "imap": (b"", b"a STARTTLS\r\n", b"a OK"),
    "sieve": (b"", b"STARTTLS\r\n", b"OK"),
}
LISTENERS = (*PLAIN, "submissions", "imaps", "pop3s")
# What testssl calls the protocol before TLS.
JUDGED = {"smtp": "smtp", "submission": "smtp", "imap": "imap", "submissions": None, "imaps": None, "pop3s": None}
CIPHERS = {"ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"}
# Alerts, as OpenSSL calls them.
REFUSED = ("SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV1_ALERT_PROTOCOL_VERSION")
EVERYTHING = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
# A command, and what its answer holds when it is executed.
INJECTED = {
    "smtp": (b"VRFY injected\r\n", b"252 "),
    "submission": (b"VRFY injected\r\n", b"252 "),
    "imap": (b"injected NOOP\r\n", b"injected OK"),
    "sieve": (b'NOOP "injected"\r\n', b"TAG"),
}
# A command, and how the last line of its answer begins.
HARMLESS = {
    "smtp": (b"NOOP\r\n", b"250 "),
    "submission": (b"NOOP\r\n", b"250 "),
    "imap": (b"z NOOP\r\n", b"z OK"),
    "sieve": (b'CAPABILITY\r\n', b"OK"),
}


def context(lowest=ssl.TLSVersion.TLSv1_2, highest=ssl.TLSVersion.TLSv1_3, ciphers=None):
    """A client that takes any certificate."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    if ciphers:
        made.set_ciphers(ciphers)
    made.minimum_version, made.maximum_version = lowest, highest
    return made


def line_of(connection, begin):
    """Reads until a line begins so, octet by octet where TLS may follow; all that came."""
    seen = b""
    while not seen.rpartition(b"\r\n")[0].rpartition(b"\r\n")[2].startswith(begin) or not seen.endswith(b"\r\n"):
        more = connection.recv(1)
        assert more, f"closed after {seen!r}"
        seen += more
    return seen


def before_tls(server, listener):
    """A connection with the greeting read, and what is said before STARTTLS."""
    connection = server.tcp(listener)
    connection.settimeout(10)
    if listener in PLAIN:
        line_of(connection, {"imap": b"* OK", "sieve": b"OK"}.get(listener, b"220 "))
        first, _, _ = PLAIN[listener]
        if first:
            connection.sendall(first)
            line_of(connection, b"250 ")
    return connection


def connected(server, listener, settings, with_it=b""):
    """A connection inside TLS; `with_it` goes in the packet of STARTTLS. What a server says by itself then is read."""
    connection = before_tls(server, listener)
    try:
        if listener in PLAIN:
            _, command, answer = PLAIN[listener]
            connection.sendall(command + with_it)
            line_of(connection, answer)
        inside = settings.wrap_socket(connection, server_hostname=HOST)
    except BaseException:
        connection.close()
        raise
    if listener == "sieve":
        line_of(inside, b"OK")
    return inside


class Handshakes(unittest.TestCase):
    """On all ports that an appliance has."""

    @classmethod
    def setUpClass(cls):
        cls.server = MailServer().__enter__()
        cls.addClassCleanup(cls.server.__exit__)

    def refusal(self, listener, settings):
        """The alert that a handshake ends with."""
        with self.assertRaises(ssl.SSLError) as caught, connected(self.server, listener, settings):
            pass
        return caught.exception.reason

    def test_versions(self):
        for listener in LISTENERS:
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                with self.subTest(listener, version=version), connected(self.server, listener, context(version, version)) as inside:
                    self.assertIn(inside.version(), ("TLSv1.2", "TLSv1.3"))
            for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
                with self.subTest(listener, version=version):
                    # An alert of the server: a client that could not offer the version would name another reason.
                    self.assertIn(self.refusal(listener, context(version, version, EVERYTHING)), REFUSED)

    def test_ciphers(self):
        old = ssl.TLSVersion.TLSv1_2
        offered = {one["name"] for one in context(old, old, EVERYTHING).get_ciphers() if one["protocol"] != "TLSv1.3"}
        self.assertGreater(len(offered), 60)
        taken = set()
        for name in sorted(offered):
            with contextlib.suppress(ssl.SSLError), connected(self.server, "imaps", context(old, old, f"{name}:@SECLEVEL=0")) as inside:
                taken.add(inside.cipher()[0])
        self.assertEqual(taken, CIPHERS)
        others = context(old, old, ":".join(sorted(offered - CIPHERS)) + ":@SECLEVEL=0")
        for listener in LISTENERS:
            with self.subTest(listener):
                self.assertIn(self.refusal(listener, others), REFUSED)

    def test_compression(self):
        """RFC 3749 by a client that would have it: only what is compressed (CRIME) is refused, with a choice there is none."""
        for methods, compressed in ((b"\x01\x00", 0), (b"\x01", None)):
            for listener in LISTENERS:
                with self.subTest(listener, methods=methods):
                    self.assertEqual(self.chosen_compression(listener, methods), compressed)

    def chosen_compression(self, listener, methods):
        """The method in a server's hello; None where there is no hello."""
        extensions = b"".join(struct.pack("!HH", kind, len(data)) + data for kind, data in (
            (10, b"\x00\x04\x00\x17\x00\x1d"), (11, b"\x01\x00"), (13, b"\x00\x04\x04\x03\x08\x04"), (0xff01, b"\0"), (23, b"")))
        hello = (b"\x03\x03" + os.urandom(32) + b"\0" + b"\x00\x04\xc0\x2b\xc0\x2f" + bytes([len(methods)]) + methods
                 + struct.pack("!H", len(extensions)) + extensions)
        shake = b"\x01" + struct.pack("!I", len(hello))[1:] + hello
        with before_tls(self.server, listener) as connection:
            if listener in PLAIN:
                _, command, answer = PLAIN[listener]
                connection.sendall(command)
                line_of(connection, answer)
            connection.sendall(b"\x16\x03\x01" + struct.pack("!H", len(shake)) + shake)
            answer = connection.recv(1000)
        if answer[:1] != b"\x16":
            return None
        body = answer[5 + 4 + 2 + 32:]
        return body[1 + body[0] + 2]

    def test_renegotiation(self):
        """Asked for by a client, inside TLS 1.2: nobody answers."""
        for listener in ("imaps", "submissions", "pop3s"):
            command = ["openssl", "s_client", "-connect", f"{self.server.ip}:{PORTS[listener]}", "-tls1_2", "-msg"]
            with self.subTest(listener), tempfile.TemporaryFile("w+") as said, \
                    subprocess.Popen(command, stdin=subprocess.PIPE, stdout=said, stderr=said, text=True) as client:
                time.sleep(1)
                client.stdin.write("R\n")
                client.stdin.flush()
                time.sleep(2)
                client.kill()
                said.seek(0)
                before, _, after = said.read().partition("RENEGOTIATING")
                self.assertIn("Secure Renegotiation IS supported", before)
                self.assertIn(" ServerHello", before)
                self.assertIn(" ClientHello", after)
                self.assertNotIn(" ServerHello", after)


class Injection(unittest.TestCase):
    """What comes in the packet of STARTTLS is ignored, or the connection ends."""

    @classmethod
    def setUpClass(cls):
        cls.server = MailServer().__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.alice = cls.server.account("alice")

    def said_inside(self, listener, with_it, then=b""):
        """Everything that the server says inside TLS to `then` and a harmless command; nothing where it ends the connection."""
        command, answer = HARMLESS[listener]
        try:
            with connected(self.server, listener, context(), with_it) as inside:
                inside.sendall(then + command)
                return line_of(inside, answer)
        except (ssl.SSLError, ConnectionError):
            return b""

    def test_a_command_in_the_same_packet_is_not_executed(self):
        for listener, (command, sign) in INJECTED.items():
            # Inside TLS it is executed: else the rest proves nothing.
            self.assertIn(sign, self.said_inside(listener, b"", command), listener)
            plain = self.said_inside(listener, b"")
            for count in (1, 3, 2000):
                with self.subTest(listener, count=count):
                    self.assertIn(self.said_inside(listener, command * count), (b"", plain))

    def test_the_beginning_of_a_command_is_not_continued(self):
        for listener, (command, sign) in INJECTED.items():
            with self.subTest(listener):
                self.assertNotIn(sign, self.said_inside(listener, command[:4], command[4:]))

    def test_no_state_of_plain_text_is_left(self):
        for listener in ("smtp", "submission"):
            with self.subTest(listener):
                inside = b"MAIL FROM:<stranger@elsewhere.test>\r\nRCPT TO:<%s>\r\n" % self.alice.encode()
                said = self.said_inside(listener, b"EHLO mx.elsewhere.test\r\n" + inside, b"DATA\r\n")
                self.assertNotIn(b"354", said)
        with before_tls(self.server, "imap") as plain:
            plain.sendall(f'a LOGIN {self.alice} "pass word"\r\nb SELECT INBOX\r\n'.encode())
            said = line_of(plain, b"b ")
            self.assertNotIn(b"a OK", said)

    def test_tls_begins_once(self):
        again = {"smtp": (b"EHLO a.test\r\n", b"STARTTLS\r\n", b"5"), "submission": (b"EHLO a.test\r\n", b"STARTTLS\r\n", b"5"),
                 "imap": (b"", b"b STARTTLS\r\n", b"b "), "sieve": (b"", b"STARTTLS\r\n", b"NO"),
                 "pop3s": (b"", b"STLS\r\n", b"-ERR"), "submissions": (b"EHLO a.test\r\n", b"STARTTLS\r\n", b"5"),
                 "imaps": (b"", b"b STARTTLS\r\n", b"b ")}
        for listener, (first, command, refused) in again.items():
            with self.subTest(listener), connected(self.server, listener, context()) as inside:
                if listener not in PLAIN:
                    line_of(inside, {"imaps": b"* OK", "pop3s": b"+OK"}.get(listener, b"220 "))
                if first:
                    inside.sendall(first)
                    self.assertNotIn(b"STARTTLS", line_of(inside, b"250 "))
                inside.sendall(command)
                self.assertNotIn(b"OK", line_of(inside, refused).upper())


@unittest.skipUnless(shutil.which("testssl"), "testssl (package testssl.sh) is not installed")
class Judge(unittest.TestCase):
    """testssl.sh finds nothing, not even of low severity. It knows no ManageSieve."""

    def findings(self, server, listener, folder):
        """What it says of a port, by the name of each finding: (severity, words)."""
        report, begin = f"{folder}/{listener}.json", JUDGED[listener]
        command = ["testssl", "--quiet", "--color", "0", "--warnings", "off", "--jsonfile", report, "-p", "-s", "-f", "-U",
                   *(["-t", begin] if begin else []), f"{server.ip}:{PORTS[listener]}"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=600)
        with open(report, encoding="utf-8") as file:
            found = {one["id"]: (one["severity"], one["finding"]) for one in json.load(file)}
        # One that gave up finds nothing either.
        assert "RC4" in found and found["TLS1_3"][0] == "OK", done.stdout + done.stderr
        return found

    def test_no_finding(self):
        with MailServer() as server, tempfile.TemporaryDirectory() as folder, \
                concurrent.futures.ThreadPoolExecutor(len(JUDGED)) as pool:
            judged = pool.map(lambda listener: self.findings(server, listener, folder), JUDGED)
            for listener, found in zip(JUDGED, judged):
                with self.subTest(listener):
                    # INFO and DEBUG say what was not looked at, WARN what this machine's OpenSSL lacks.
                    bad = {name: one for name, one in found.items() if one[0] not in ("OK", "INFO", "DEBUG", "WARN")}
                    self.assertEqual(bad, {})


if __name__ == "__main__":
    unittest.main()
