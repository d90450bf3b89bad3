# SPDX-License-Identifier: AGPL-3.0-only
"""The spam filter with our rules and scores: what goes to the junk folder and what not."""

import email.message
import itertools
import re
import unittest

from server import TODAY, MailServer

FRIEND = {("friend.org", "TXT"): ["v=spf1 ip4:127.0.0.0/8 -all"],
          ("friend.org", "A"): ["192.0.2.4"], ("friend.org", "MX"): ["10 mx.friend.org"],
          ("mx.friend.org", "A"): ["127.0.0.1"], ("mx.friend.org", "TXT"): ["v=spf1 a -all"],
          ("1.0.0.127.in-addr.arpa", "PTR"): ["mx.friend.org"],
          ("bank.org", "TXT"): ["v=spf1 ip4:203.0.113.7 -all"],
          ("bank.org", "MX"): ["10 bank.org"], ("bank.org", "A"): ["203.0.113.7"],
          ("_dmarc.bank.org", "TXT"): ["v=DMARC1; p=reject"]}
NUMBERS = itertools.count()
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
TEXT = """Hello Alice,

shall we have lunch tomorrow at the usual place? It would be good to see you again.

Best wishes
"""


def message(text=TEXT, sender="Friend <friend@friend.org>", subject="Lunch tomorrow", **fields):
    """A well-formed message of a friend."""
    mail = email.message.EmailMessage()
    mail["From"], mail["To"] = sender, "Alice <alice@example.test>"
    mail["Subject"], mail["Date"] = subject, TODAY
    mail["Message-ID"] = "<abc.def@friend.org>"
    for name, value in fields.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text)
    return mail


def attached(name):
    """The same with an attachment."""
    mail = message()
    mail.add_attachment(b"MZ" + bytes(200), maintype="application", subtype="octet-stream",
                        filename=name)
    return mail


class Spam(unittest.TestCase):
    """Each message goes through port 25's listener and is looked for in both folders."""

    @classmethod
    def setUpClass(cls):
        unlimited = lambda text: text.replace('rate = "10/1s"', 'rate = "100/1s"')
        cls.server = MailServer(unlimited).__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.server.dns.records.update(FRIEND)

    def verdict(self, mail, sender="friend@friend.org"):
        """(is it in the junk folder, its tags with scores) for an account of its own."""
        user = self.server.account(f"user{next(NUMBERS)}")
        self.server.deliver(mail.as_bytes(), sender=sender, to=user, ehlo="mx.friend.org")
        for folder, is_junk in (("INBOX", False), ('"Junk Mail"', True)) * 10:
            found = self.server.fetch(user, folder, wait=0.3)
            if found:
                header = found[0].split(b"\r\n\r\n")[0].decode()
                return is_junk, dict(re.findall(r"([A-Z0-9_]+) \((-?[\d.]+)\)", header))
        self.fail(self.server.log.read_text()[-3000:])

    def test_honest_mail_is_not_junk(self):
        for name, mail in {
                "plain": message(),
                "answer": message(In_Reply_To="<x@example.test>", References="<x@example.test>"),
                "pdf": attached("minutes.pdf"),
                "link": message("The minutes: https://friend.org/minutes\n\n" + TEXT),
        }.items():
            with self.subTest(name):
                is_junk, tags = self.verdict(mail)
                self.assertFalse(is_junk, tags)

    def test_a_small_server_without_reverse_dns_or_dkim_is_not_junk(self):
        mail = message(sender="Neighbour <n@tiny.net>")
        is_junk, tags = self.verdict(mail, sender="n@tiny.net")
        self.assertFalse(is_junk, tags)

    def test_spam_is_junk(self):
        scam = ("I am the lawyer of your late client. As next of kin you receive 12 million "
                "dollars, strictly confidential, send your bank account for the transfer.\n")
        for tag, mail in {
                "GTUBE_TEST": message(TEXT + GTUBE + "\n"),
                "DMARC_POLICY_REJECT": message(sender="Bank <service@bank.org>"),
                "MIME_DOUBLE_BAD_EXTENSION": attached("invoice.js.exe"),
                "ADVANCE_FEE": message(scam, subject="URGENT BUSINESS PROPOSAL",
                                       Reply_To="lawyer@gmail.com"),
                "FORGED_LOCAL_SENDER": message(sender="Admin <admin@example.test>"),
                "BRAND_DISPLAY_NAME": message(
                    "https://bit.ly/x", sender="PayPal Service <a@cheap.net>",
                    subject="Your account has been suspended"),
        }.items():
            with self.subTest(tag):
                is_junk, tags = self.verdict(mail, sender=mail["From"].split("<")[1][:-1])
                self.assertIn(tag, tags)
                self.assertTrue(is_junk, tags)

    def test_single_signs_score(self):
        for tag, mail in {
                "MIME_BAD_EXTENSION": attached("invoice.exe"),
                "SUSPICIOUS_SUBJECT": message(subject="Your mailbox is full"),
                "URL_SHORTENER": message("See https://bit.ly/abc\n" + TEXT),
                "EXECUTABLE_URL": message("See https://friend.org/update.exe\n" + TEXT),
                "SUSPICIOUS_URL": message("See http://192.0.2.77/login\n" + TEXT),
                "FREEMAIL_REPLYTO": message(Reply_To="someone@gmail.com"),
                "SPF_FAIL": message(sender="Bank <service@bank.org>"),
                "SUBJ_ALL_CAPS": message(subject="READ THIS AT ONCE"),
                "BRAND_DISPLAY_NAME": message(sender="PayPal <friend@friend.org>"),
        }.items():
            with self.subTest(tag):
                _, tags = self.verdict(mail, sender=mail["From"].split("<")[1][:-1])
                self.assertGreater(float(tags.get(tag, 0)), 0, tags)

    def test_nothing_is_fetched_and_every_setting_parses(self):
        log = self.server.log.read_text()
        self.assertFalse([line for line in log.splitlines() if "(config." in line], log)
        outside = {name for name, _ in self.server.dns.asked if "stalw" in name or
                   "github" in name or "pyzor" in name}
        self.assertFalse(outside)


if __name__ == "__main__":
    unittest.main()
