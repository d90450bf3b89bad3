"""What people do with the webmail, in chromium: with and without its script, on a wide screen and on a telephone (browser/)."""

import os
import re
import shutil
import unittest

import hostile_mail
from judge import Judged
from mail_test import message

MESSAGE_ID = re.compile("Message-ID: (<.*>)")


def make_small(path):
    """Gives a picture of a page a palette: a page has few colours."""
    # Only this needs Debian's module, which other Pythons than Debian's lack.
    from PIL import Image

    Image.open(path).convert("RGB").quantize(64).save(path, optimize=True)


class Browser(Judged):
    def deliver(self, to, subject):
        """A mail from outside."""
        self.mail.deliver(message(subject, sender="Stranger <stranger@elsewhere.test>").replace("reader@example.test", to), to=to)
        return True

    def write(self, sender, to):
        """A mail from an account here."""
        with self.mail.submission(sender) as session:
            session.sendmail(sender, [to], message("Are you there?", sender=sender).replace("reader@example.test", to))
        return True

    def asks(self):
        return super().asks() | {"deliver": self.deliver, "write": self.write}

    def test_the_judge_sees_what_it_must(self):
        self.play("judge")

    def test_reading_answering_with_a_file_and_searching(self):
        friend = self.account("friend")
        ways = ["wide", "wide-plain", "phone", "phone-plain"]
        accounts = {way: self.account(f"reads-{way}", message("Plan", "See you at *noon*", sender=f"Friend <{friend}>"),
                                      message("Bill", "please pay"), message("Holiday", "sun")) for way in ways}
        self.play("reading", accounts=accounts)
        answers = self.arrived(friend, len(ways))
        self.assertEqual(len(answers), len(ways))
        for text in answers:
            self.assertIn("Subject: Re: Plan", text)
            self.assertIn("> See you at *noon*", text)
            self.assertIn('filename="plan.txt"', text)
            self.assertIn("In-Reply-To: <", text)

    def test_every_page_is_accessible_and_well_formed(self):
        everything = message("Everything", "See the file\r\n", '"ann@bank.test" <ann@elsewhere.test>', "List-Unsubscribe: <https://list.test/leave>\r\n"
                             "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n")
        head, text = everything.split("\r\n\r\n", 1)
        everything = (f"{head}\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>{text}<img src=\"https://elsewhere.test/x.png\">\r\n"
                      "--b\r\nContent-Type: application/pdf; name=plan.pdf\r\nContent-Disposition: attachment\r\n\r\n%PDF\r\n--b--\r\n")
        first = message("Tea")
        answer = message("Re: Tea", more=f"In-Reply-To: {MESSAGE_ID.search(first)[1]}\r\n")
        account = self.account("pages", first, answer, message("Bill"), everything)
        self.play("pages", account=account)

    def test_nothing_in_a_hostile_mail_runs_asks_or_leads_away(self):
        account = self.mail.account("hostile")
        mails = list(hostile_mail.mails())
        with self.mail.imap(account) as session:
            for name, text in mails:
                self.assertEqual(session.append("INBOX", "", None, text)[0], "OK", name)
        # The first message of a mailbox has the UID 1.
        self.play("hostile", account=account, mails=[{"uid": uid, "name": name} for uid, (name, _) in enumerate(mails, 1)])

    def test_second_factor_filters_absence_undo_later_snooze_and_keys(self):
        first = message("Tea", "Shall we?")
        answers = [message("Re: Tea", text, more=f"In-Reply-To: {MESSAGE_ID.search(first)[1]}\r\nReferences: {MESSAGE_ID.search(first)[1]}\r\n")
                   for text in ("Yes", "When?")]
        account = self.account("habits", first, *answers, message("Bill", "words"))
        self.play("habits", account=account, friend=self.account("habits-friend"), other=self.account("habits-other"))

    def test_pictures(self):
        mails = [("Mailkiln <updates@project.test>", "Version 1.4 is out", "What is new in this version"),
                 ("Jonas Weber <jonas@elsewhere.test>", "Re: Minutes of Tuesday", "Thanks, two small corrections below."),
                 ("Library <desk@library.test>", "Your books are due on Friday", "Three books are due. You can renew them once."),
                 ("Mira Okafor <mira@elsewhere.test>", "Photos from the lake", "All of them are in the album now."),
                 ("Bike shop <hello@bikes.test>", "Your bicycle is ready", "We changed the chain and both brakes."),
                 ("Ann Lindqvist <ann@elsewhere.test>", "Summer fair", "Hello,\r\n\r\nTables and benches come at nine. Who can help to carry them?\r\n"
                  "The programme is at https://fair.test/programme\r\n\r\n> Shall we meet at the gate?\r\n\r\nAnn")]
        account = self.account("jo", *(message(subject, text, sender).replace("reader@example.test", "jo@example.test") for sender, subject, text in mails))
        self.play("pictures", account=account, pictures=str(self.web.directory))
        for path in self.web.directory.glob("*.png"):
            make_small(path)
            if wanted := os.environ.get("PICTURES"):
                shutil.copy(path, wanted)


if __name__ == "__main__":
    unittest.main()
