"""What people do with the webmail, in chromium: with and without its script, on a wide screen and on a telephone (browser/)."""

import os
import pathlib
import re
import sqlite3
import time
import unittest

import hostile_mail
from judge import play
from mail_test import message
from picture import small
from web import Web, mail_server, oauth_client

MESSAGE_ID = re.compile("Message-ID: (<.*>)")


class Browser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mail = mail_server().__enter__()
        cls.addClassCleanup(cls.mail.__exit__)
        oauth_client(cls.mail)
        cls.web = Web(cls.mail).__enter__()
        cls.addClassCleanup(cls.web.__exit__)

    def account(self, name, *messages):
        """A new account with messages in its inbox."""
        address = self.mail.account(name)
        with self.mail.imap(address) as session:
            for text in messages:
                self.assertEqual(session.append("INBOX", "", None, text.encode())[0], "OK")
        return address

    def messages(self, account, folder="INBOX"):
        """The messages of a folder, as text."""
        with self.mail.imap(account) as session:
            if session.select(f'"{folder}"')[0] != "OK":
                return []
            numbers = session.search(None, "ALL")[1][0].split()
            return [session.fetch(number, "(BODY.PEEK[])")[1][0][1].decode("utf-8", "replace") for number in numbers]

    def arrived(self, account, count=1, folder="INBOX", seconds=120):
        """Waits for so many messages; returns those that there are then."""
        end = time.monotonic() + seconds
        while len(found := self.messages(account, folder)) < count and time.monotonic() < end:
            time.sleep(0.5)
        return found

    def deliver(self, to, subject):
        """A mail from outside."""
        self.mail.deliver(message(subject, sender="Stranger <stranger@elsewhere.test>").replace("reader@example.test", to), to=to)
        return True

    def write(self, sender, to):
        """A mail from an account here."""
        with self.mail.submission(sender) as session:
            session.sendmail(sender, [to], message("Are you there?", sender=sender).replace("reader@example.test", to))
        return True

    def expire(self):
        """All sessions have been idle for long."""
        with sqlite3.connect(self.web.directory / "state/web.sqlite") as database:
            database.execute("UPDATE sessions SET used = used - 100000000")
        return True

    def asks(self):
        return {"expire": self.expire, "arrived": self.arrived, "deliver": self.deliver, "messages": self.messages, "write": self.write}

    def test_the_judge_sees_what_it_must(self):
        play(self.web, "judge")

    def test_reading_answering_with_a_file_and_searching(self):
        friend = self.account("friend")
        ways = ["wide", "wide-plain", "phone", "phone-plain"]
        accounts = {way: self.account(f"reads-{way}", message("Plan", "See you at *noon*", sender=f"Friend <{friend}>"),
                                      message("Bill", "please pay"), message("Holiday", "sun")) for way in ways}
        play(self.web, "reading", self.asks(), accounts=accounts)
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
        play(self.web, "pages", account=account)

    def test_nothing_in_a_hostile_mail_runs_asks_or_leads_away(self):
        account = self.mail.account("hostile")
        mails = list(hostile_mail.mails())
        with self.mail.imap(account) as session:
            for name, text in mails:
                self.assertEqual(session.append("INBOX", "", None, text)[0], "OK", name)
        # The first message of a mailbox has the UID 1.
        play(self.web, "hostile", account=account, mails=[{"uid": uid, "name": name} for uid, (name, _) in enumerate(mails, 1)])

    def test_second_factor_filters_absence_undo_later_snooze_and_keys(self):
        first = message("Tea", "Shall we?")
        answers = [message("Re: Tea", text, more=f"In-Reply-To: {MESSAGE_ID.search(first)[1]}\r\nReferences: {MESSAGE_ID.search(first)[1]}\r\n")
                   for text in ("Yes", "When?")]
        account = self.account("habits", first, *answers, message("Bill", "words"))
        play(self.web, "habits", self.asks(), account=account, friend=self.account("habits-friend"), other=self.account("habits-other"))

    def test_pictures(self):
        mails = [("Mailkiln <updates@project.test>", "Version 1.4 is out", "What is new in this version"),
                 ("Jonas Weber <jonas@elsewhere.test>", "Re: Minutes of Tuesday", "Thanks, two small corrections below."),
                 ("Library <desk@library.test>", "Your books are due on Friday", "Three books are due. You can renew them once."),
                 ("Mira Okafor <mira@elsewhere.test>", "Photos from the lake", "All of them are in the album now."),
                 ("Bike shop <hello@bikes.test>", "Your bicycle is ready", "We changed the chain and both brakes."),
                 ("Ann Lindqvist <ann@elsewhere.test>", "Summer fair", "Hello,\r\n\r\nTables and benches come at nine. Who can help to carry them?\r\n"
                  "The programme is at https://fair.test/programme\r\n\r\n> Shall we meet at the gate?\r\n\r\nAnn")]
        account = self.account("jo", *(message(subject, text, sender).replace("reader@example.test", "jo@example.test") for sender, subject, text in mails))
        play(self.web, "pictures", account=account, pictures=str(self.web.directory))
        if wanted := os.environ.get("PICTURES"):
            for path in self.web.directory.glob("*.png"):
                (pathlib.Path(wanted) / path.name).write_bytes(small(path.read_bytes()))


if __name__ == "__main__":
    unittest.main()
