"""Writing in front of the real mail server: drafts, files, answers, the outbox over a restart, filters, absence, preferences."""

import email
import html
import re
import time
import unittest
import urllib.parse

from web import Served, Web, mail_server, oauth_client

BOUNDARY = "----form"


class Compose(Served):
    def writer(self, name):
        address = self.mail.account(name)
        browser = self.web.browser()
        browser.sign_in(address)
        return address, browser

    def press(self, browser, page, button, files=(), follow=True, **fields):
        """Presses a button of the page to write on, as a browser sends it: the hidden fields as they are."""
        form = page.form("/compose")
        text = re.search(r'<textarea id="text"[^>]*>\n?(.*?)</textarea>', page.text, re.S)
        values = {"csrf": form["csrf"]} | {name: form.get(name, "") for name in
                  ("draft", "in-reply-to", "references", "original", "sure", "to", "cc", "bcc", "subject")}
        values["text"] = html.unescape(text[1]) if text else ""
        values |= fields
        values["do"] = button
        body = b""
        for name, value in values.items():
            body += (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n').encode()
        for name, data in files:
            body += (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
                     'Content-Type: application/pdf\r\n\r\n').encode() + data + b"\r\n"
        body += f"--{BOUNDARY}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        answer = browser.post("/compose", body, kind)
        if follow and answer.status in (302, 303):
            return browser.get(answer.headers["Location"])
        return answer

    def folder(self, address, name):
        """The messages of a folder."""
        with self.mail.imap(address) as session:
            if session.select(f'"{name}"')[0] != "OK":
                return []
            found = session.search(None, "ALL")[1][0].split()
            return [session.fetch(number, "(BODY.PEEK[])")[1][0][1].decode() for number in found]

    def until(self, what, seconds=60):
        end = time.monotonic() + seconds
        while True:
            found = what()
            if found or time.monotonic() > end:
                return found
            time.sleep(0.5)

    def test_a_draft_keeps_text_and_files_and_is_sent_after_the_time_to_undo(self):
        ann, browser = self.writer("ann")
        bob = self.mail.account("bob")
        self.mail.account("carl")
        page = browser.get("/compose?to=" + urllib.parse.quote(bob))
        page = self.press(browser, page, "attach", subject="Tea", text="Grüße\n\n> old\nnew", bcc="",
                          files=[("Übersicht.pdf", b"%PDF\r\n.\r\n\0")])
        self.assertTrue(page.said("The draft is saved."), page.text)
        self.assertIn("Übersicht.pdf", page.text)
        self.assertIn("Grüße\n\n&gt; old\nnew", page.text)
        # Once more: the file stays, and there is one draft.
        page = self.press(browser, page, "save", text="Changed text")
        self.assertIn("Übersicht.pdf", page.text)
        self.assertEqual(len(self.folder(ann, "Drafts")), 1)
        page = self.press(browser, page, "send")
        self.assertTrue(page.said("The message is sent in"), page.text)
        self.assertEqual(self.folder(bob, "INBOX"), [], "not before the time to undo is over")
        # Undone: the draft is on the page again.
        stop = re.search(r'name="id" value="(\d+)"', page.text)[1]
        page = browser.send(page, "/compose/outbox/stop", id=stop)
        self.assertIn("Changed text", page.text)
        page = self.press(browser, page, "send", bcc="carl@example.test, " + ann)
        self.assertTrue(page.said("The message is sent in"), page.text)
        received = self.until(lambda: self.folder(bob, "INBOX"))
        self.assertEqual(len(received), 1, browser.get("/compose/outbox").text)
        self.assertIn("Subject: Tea", received[0])
        self.assertNotIn("carl@", received[0])
        self.assertNotIn("Bcc", received[0])
        self.assertIn("=C3=9Cbersicht".replace("=", "%"), received[0])
        self.assertTrue(self.until(lambda: self.folder(ann, "Sent Items") and not self.folder(ann, "Drafts")))
        self.assertIn("Nothing waits", browser.get("/compose/outbox").text)

    def test_a_message_larger_than_what_the_pages_read_elsewhere_is_opened_again_and_sent(self):
        ulf, browser = self.writer("ulf")
        vera = self.mail.account("vera")
        data = bytes(range(256)) * 35_200
        page = self.press(browser, browser.get("/compose"), "attach", to=vera, subject="Film", text="Big",
                          files=[("film.bin", data)])
        self.assertTrue(page.said("The draft is saved."), page.text)
        uid = page.form("/compose")["draft"]
        page = browser.get(f"/compose?draft={uid}")
        self.assertTrue(page.said("film.bin (9,012 kB)"), page.text)
        page = self.press(browser, page, "send", text="Big one")
        self.assertTrue(page.said("The message is sent in"), page.text)
        received = self.until(lambda: self.folder(vera, "INBOX"), 120)
        self.assertEqual(len(received), 1, browser.get("/compose/outbox").text)
        message = email.message_from_string(received[0])
        self.assertEqual([part.get_payload(decode=True) for part in message.walk() if part.get_filename()], [data])
        self.assertTrue(self.until(lambda: not self.folder(ulf, "Drafts")))

    def test_uploads_that_add_up_to_more_than_can_be_opened_again_are_not_stored(self):
        with mail_server() as mail:
            oauth_client(mail)
            mail.account("walt")
            # The largest message has 4 MiB besides the files.
            with Web(mail, "[limits]\nupload_bytes = 2_000_000") as web:
                browser = web.browser()
                browser.sign_in("walt@example.test")
                page = browser.get("/compose")
                for number in range(3):
                    page = self.press(browser, page, "attach", text="Much text", files=[(f"{number}.bin", bytes(1_900_000))])
                self.assertFalse(page.said("The draft is saved."), page.text)
                self.assertIn("Much text", page.text)
                self.assertEqual(re.findall(r"(\d)\.bin \(", page.text), ["0", "1"])
                page = self.press(browser, page, "save")
                self.assertTrue(page.said("The draft is saved."), page.text)

    def test_an_answer_is_in_the_conversation_and_its_original_is_marked(self):
        dora, browser = self.writer("dora")
        emil = self.mail.account("emil")
        original = (f"From: Emil <{emil}>\r\nTo: {dora}\r\nSubject: =?utf-8?q?Stra=C3=9Fe?=\r\nMessage-ID: <first@elsewhere.test>\r\n"
                    "Date: Sat, 28 Nov 2026 10:00:00 +0000\r\nContent-Type: text/html\r\n\r\n<p>Hello<script>alert(1)</script></p>\r\n")
        with self.mail.imap(dora) as session:
            session.append("INBOX", "", None, original.encode())
            session.select("INBOX")
            uid = session.uid("search", None, "ALL")[1][0].decode()
        page = browser.get(f"/compose?reply={uid}&f=INBOX")
        self.assertIn("&gt; Hello", page.text)
        self.assertNotIn("alert(1)", page.text)
        self.assertIn("Re: Straße", page.text)
        self.press(browser, page, "send")
        answer = self.until(lambda: self.folder(emil, "INBOX"))
        self.assertEqual(len(answer), 1, browser.get("/compose/outbox").text)
        self.assertIn("In-Reply-To: <first@elsewhere.test>", answer[0])
        self.assertIn("References: <first@elsewhere.test>", answer[0])

        def flags():
            with self.mail.imap(dora) as session:
                session.select("INBOX")
                return b"\\Answered" in session.uid("fetch", uid, "(FLAGS)")[1][0]
        self.assertTrue(self.until(flags))

    def test_what_waits_survives_a_restart_and_can_be_put_off(self):
        fred, browser = self.writer("fred")
        gina = self.mail.account("gina")
        page = browser.get("/compose")
        when = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() + 7200))
        page = self.press(browser, page, "later", to=gina, subject="Later", text="x", when=when)
        self.assertTrue(page.said("The message is sent on"), page.text)
        page = browser.get("/compose")
        page = self.press(browser, page, "send", to=gina, subject="Soon", text="x")
        self.web.stop()
        self.web.start()
        received = self.until(lambda: self.folder(gina, "INBOX"))
        self.assertEqual([re.search("Subject: (.*)\r", one)[1] for one in received], ["Soon"])
        # It leaves the outbox when its copy is in Sent Items too.
        self.assertTrue(self.until(lambda: "Soon" not in browser.get("/compose/outbox").text))
        self.assertIn("Later", browser.get("/compose/outbox").text)

    def test_what_is_wrong_is_said_and_nothing_is_lost(self):
        hans, browser = self.writer("hans")
        page = browser.get("/compose")
        page = self.press(browser, page, "send", to="nobody at all", subject="S", text="Much text",
                          files=[("a.pdf", b"x")])
        self.assertIn("“nobody at all” is not a mail address", page.text)
        self.assertIn("Much text", page.text)
        self.assertIn("a.pdf", page.text)
        self.assertIn('value="nobody at all"', page.text)
        page = self.press(browser, page, "send", to="")
        self.assertTrue(page.said("name a recipient"), page.text)
        page = self.press(browser, page, "send", to="x@exampel.test", subject="")
        self.assertTrue(page.said("There is no subject"), page.text)
        self.assertTrue(page.said("differs from yours by one letter"), page.text)
        self.assertEqual(len(self.folder(hans, "Drafts")), 1)
        # A header can't be broken, and a foreign form is refused.
        page = self.press(browser, page, "save", subject="a\r\nX-Evil: 1")
        self.assertNotIn("\nX-Evil", self.folder(hans, "Drafts")[0])
        self.assertEqual(self.press(browser, page, "save", csrf="AAAA").status, 403)
        other, stranger = self.writer("ines")
        self.assertEqual(stranger.get("/compose/outbox").status, 200)

    def test_a_draft_that_another_window_took_is_not_sent_without_its_files(self):
        willi, browser = self.writer("willi")
        xenia = self.mail.account("xenia")
        first = self.press(browser, browser.get("/compose"), "attach", to=xenia, subject="Two windows", text="Old",
                           files=[("plan.pdf", b"plan")])
        self.press(browser, first, "save", text="Other")
        page = self.press(browser, first, "send", text="Typed here", files=[("new.pdf", b"new")])
        self.assertTrue(page.said("saved, sent or discarded elsewhere"), page.text)
        self.assertIn("Typed here", page.text)
        self.assertNotIn("plan.pdf", page.text)
        self.assertIn("new.pdf", page.text)
        self.assertIn("Nothing waits", browser.get("/compose/outbox").text)
        drafts = self.folder(willi, "Drafts")
        self.assertEqual([("Other" in one, "plan.pdf" in one, "Typed here" in one, "new.pdf" in one) for one in drafts],
                         [(True, True, False, False), (False, False, True, True)])
        # It is a draft as any other now.
        page = self.press(browser, page, "send")
        self.assertTrue(page.said("The message is sent in"), page.text)
        received = self.until(lambda: self.folder(xenia, "INBOX"))
        self.assertIn("new.pdf", received[0])

    def test_files_that_could_not_be_stored_are_not_listed(self):
        self.mail.account("yann", quota=60_000)
        browser = self.web.browser()
        browser.sign_in("yann@example.test")
        page = self.press(browser, browser.get("/compose"), "attach", subject="Room", text="Old", files=[("small.pdf", b"x")])
        for _ in range(2):
            page = self.press(browser, page, "remove-0", text="Much text", files=[("large.pdf", b"y" * 90_000)])
            self.assertIn('role="alert"', page.text)
            self.assertIn("Much text", page.text)
            self.assertIn("small.pdf", page.text)
            self.assertNotIn("large.pdf", page.text)
        page = self.press(browser, page, "save")
        self.assertTrue(page.said("The draft is saved."), page.text)
        self.assertIn("small.pdf", page.text)
        self.assertEqual(len(self.folder("yann@example.test", "Drafts")), 1)

    def test_an_answer_to_all_tells_who_was_a_blind_copy(self):
        zoe, browser = self.writer("zoe")
        with self.mail.imap(zoe) as session:
            for to in ("other@elsewhere.test", zoe):
                session.append("INBOX", "", None, f"From: a@elsewhere.test\r\nTo: {to}\r\nSubject: S\r\n\r\nx\r\n".encode())
            session.select("INBOX")
            blind, named = session.uid("search", None, "ALL")[1][0].decode().split()
        warning = "You received the original as a blind copy."
        self.assertTrue(browser.get(f"/compose?reply-all={blind}&f=INBOX").said(warning))
        self.assertFalse(browser.get(f"/compose?reply={blind}&f=INBOX").said(warning))
        self.assertFalse(browser.get(f"/compose?reply-all={named}&f=INBOX").said(warning))

    def test_snoozed_mail_goes_and_can_be_brought_back(self):
        jo, browser = self.writer("jo")
        with self.mail.imap(jo) as session:
            session.append("INBOX", "", None, b"Subject: Bill\r\nMessage-ID: <bill@x.test>\r\n\r\nx\r\n")
            session.select("INBOX")
            uid = session.uid("search", None, "ALL")[1][0].decode()
        page = browser.get(f"/mail?f=INBOX&m={uid}")
        browser.send(page, "/compose/snooze", **{"in": "24"})
        self.assertEqual((len(self.folder(jo, "INBOX")), len(self.folder(jo, "Snoozed"))), (0, 1))
        page = browser.get("/compose/outbox")
        self.assertIn("Bill", page.text)
        # A mail server that fails takes nothing away: the message still comes back.
        self.mail.stop()
        try:
            self.assertEqual(browser.send(page, "/compose/outbox/stop").status, 502)
        finally:
            self.mail.start()
        page = browser.get("/compose/outbox")
        self.assertIn("Bill", page.text)
        browser.send(page, "/compose/outbox/stop")
        self.assertIn("Nothing waits", browser.get("/compose/outbox").text)
        self.assertEqual((len(self.folder(jo, "INBOX")), len(self.folder(jo, "Snoozed"))), (1, 0))

    def test_a_rule_files_mail_and_foreign_scripts_stay(self):
        kim, browser = self.writer("kim")
        with self.mail.imap(kim) as session:
            session.create("Lists")
        page = browser.get("/settings/filters/rule")
        fields = {"name": "A \"rule\"", "all": "0", "field-0": "subject", "how-0": "contains", "value-0": "[rust] \"x\" \\",
                  "into": "Lists", "seen": "1", "stops": "1", "off": "", "discard": "", "flagged": "", "copy": ""}
        page = browser.send(page, "/settings/filters/rule", **fields)
        self.assertTrue(page.said("Saved."), page.text)
        self.assertIn("A &quot;rule&quot;", page.text)
        self.mail.deliver(f"From: l@elsewhere.test\r\nTo: {kim}\r\nSubject: [rust] \"x\" \\ y\r\nMessage-ID: <l@x.test>\r\n\r\nx\r\n",
                          "l@elsewhere.test", kim)
        self.assertEqual(len(self.until(lambda: self.folder(kim, "Lists"))), 1)
        # A mistake is the server's to find, and its words are shown.
        page = browser.get("/settings/filters/raw")
        page = browser.send(page, "/settings/filters/raw", do="save", name="own", source="if {", active="1")
        self.assertIn('role="alert"', page.text)
        page = browser.send(page, "/settings/filters/raw", do="save", name="own", source="# mine\r\nkeep;\r\n", active="1")
        self.assertTrue(page.said("Saved."), page.text)
        page = browser.get("/settings/away")
        self.assertTrue(page.said("Another script, “own”, filters your mail now"), page.text)
        page = browser.send(page, "/settings/filters/adopt")
        self.assertTrue(page.said("The script “own” runs first."), page.text)

    def test_an_absence_note_answers(self):
        lea, browser = self.writer("lea")
        page = browser.get("/settings/away")
        page = browser.send(page, "/settings/away", on="1", text="Back on Monday.\r\n.\r\n", subject="Away", days="7",
                            until="2020-01-01", **{"from": "2020-02-01"})
        self.assertIn("before it begins", page.text)
        page = browser.send(page, "/settings/away", on="1", text="Back on Monday.\r\n.\r\n", subject="Away", days="7",
                            until="", **{"from": ""})
        self.assertTrue(page.said("Saved."), page.text)
        self.assertIn("Back on Monday.\n.</textarea>", page.text)

    def test_preferences_are_kept_and_checked(self):
        _, browser = self.writer("nora")
        page = browser.get("/settings")
        page = browser.send(page, "/settings", **{"language": "de", "time-zone": "Mars/Olympus"})
        self.assertIn("There is no time zone “Mars/Olympus”", page.text)
        page = browser.send(page, "/settings", **{"language": "de", "time-zone": "Europe/Berlin", "density": "dense"})
        self.assertTrue(page.said("Gespeichert."), page.text)
        self.assertIn('data-density="dense"', page.text)

    def test_a_message_that_is_sent_but_not_filed_stays_in_the_outbox(self):
        # There is room for the draft, and none for a second copy of it.
        self.mail.account("rita", quota=60_000)
        browser = self.web.browser()
        browser.sign_in("rita@example.test")
        sam = self.mail.account("sam")
        page = self.press(browser, browser.get("/compose"), "send", to=sam, subject="Full", text="0123456789\n" * 4000)
        self.assertTrue(page.said("The message is sent in"), page.text)
        self.assertEqual(len(self.until(lambda: self.folder(sam, "INBOX"))), 1)
        self.until(lambda: browser.get("/compose/outbox").said("could not be filed in Sent"))
        page = browser.get("/compose/outbox")
        self.assertTrue(page.said("could not be filed in Sent"), page.text)
        self.assertTrue(page.said("before you send it again"), page.text)
        self.assertEqual(len(self.folder(sam, "INBOX")), 1)

    def test_times_are_by_the_clock_that_was_chosen(self):
        olaf, browser = self.writer("olaf")
        pia = self.mail.account("pia")
        with self.mail.imap(olaf) as session:
            session.append("INBOX", "", None, b"Subject: Old\r\nDate: Sat, 28 Nov 2020 23:30:00 +0000\r\n\r\nx\r\n")
        # Without a choice the script shows the browser's own time; with one it leaves the page alone.
        self.assertRegex(browser.get("/mail").text, "<time [^>]*data-short>")
        browser.send(browser.get("/settings"), "/settings", **{"time-zone": "Asia/Tokyo"})
        self.assertRegex(browser.get("/mail").text, "<time [^>]*data-short data-local>")
        self.press(browser, browser.get("/compose"), "send", to=pia, subject="Clock", text="x")
        received = self.until(lambda: self.folder(pia, "INBOX"))
        self.assertRegex(received[0], r"(?m)^Date: .* \+0900\r$")


if __name__ == "__main__":
    unittest.main()
