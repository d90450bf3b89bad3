# SPDX-License-Identifier: AGPL-3.0-only
"""A disk that fills: mail is deferred while there is still room to delete."""

import pathlib
import smtplib
import time
import unittest

from server import MailServer

MEBIBYTE = 1 << 20
MESSAGE = b"From: stranger@elsewhere.test\r\nSubject: Tea\r\n\r\nHello\r\n"
# A file system of its own, which only the server sees.
WRAPPER = ["unshare", "--mount", "sh", "-euc",
           'mkdir -p "$SMALL"; mount -t tmpfs -o size=64m none "$SMALL"; exec "$@"', "small"]


class Space(unittest.TestCase):
    """64 MiB, of which a quarter is kept: the reserve that is asked for is larger."""

    @classmethod
    def setUpClass(cls):
        cls.small = pathlib.Path("/tmp/mail-server-space-test")
        space = f'[server.space]\npath = "{cls.small}"\nreserve = {150 * MEBIBYTE}\n\n'
        cls.server = MailServer(edit=lambda text: space + text, environment={"SMALL": str(cls.small)},
                                wrapper=WRAPPER).__enter__()
        cls.addClassCleanup(cls.small.rmdir)
        cls.addClassCleanup(cls.server.__exit__)
        cls.alice = cls.server.account("alice")
        cls.filling = pathlib.Path(f"/proc/{cls.server.process.pid}/root{cls.small}/filling")

    def fill(self, mebibytes):
        """Leaves `64 - mebibytes` free, and waits until the server has looked again."""
        self.filling.write_bytes(bytes(mebibytes * MEBIBYTE))
        time.sleep(1.2)

    def test_mail_is_deferred_and_deleting_works(self):
        self.fill(40)
        self.server.deliver(MESSAGE)
        session = self.server.imap(self.alice)
        self.server.fetch(self.alice)
        self.fill(50)
        with self.assertRaises(smtplib.SMTPSenderRefused) as refused:
            self.server.deliver(MESSAGE)
        self.assertEqual(refused.exception.smtp_code, 452)
        with self.assertRaises(smtplib.SMTPSenderRefused) as refused:
            with self.server.submission(self.alice) as client:
                client.sendmail(self.alice, [self.alice], MESSAGE)
        self.assertEqual(refused.exception.smtp_code, 452)
        status, answer = session.append("INBOX", None, None, MESSAGE)
        self.assertEqual(status, "NO", answer)
        self.assertIn(b"UNAVAILABLE", answer[0])
        status = self.server.http("PUT", "/dav/card/alice%40example.test/default/one.vcf",
                                  b"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:One\r\nEND:VCARD\r\n", self.alice,
                                  "pass word", {"Content-Type": "text/vcard"})[0]
        self.assertEqual(status, 507)
        session.select("INBOX")
        session.store("1:*", "+FLAGS", r"(\Deleted)")
        self.assertEqual(session.expunge()[0], "OK")
        self.fill(20)
        self.server.deliver(MESSAGE)
        session.logout()


if __name__ == "__main__":
    unittest.main()
