"""The mail pages in front of the real mail server: lists, messages, search, what is done to them, and what strangers wrote."""

import html
import http.client
import re
import time
import unittest
import urllib.parse

from web import Served  # first: it says where `server` is

from server import TODAY, trusting

PASSWORD = "pass word"
HOSTILE = """<html><body><p>Hello <b>there</b></p><script>alert(1)</script><img src="https://evil.test/x.png">
<img src="cid:dot@a.test"><a href="javascript:alert(2)">x</a><svg onload=alert(3)></svg>
<style>body{background:url(https://evil.test/y)}</style><form action="https://evil.test"><input></form></body></html>"""
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def message(subject, text="Text", sender="Ann <ann@elsewhere.test>", more=""):
    """A plain message as another server sends it."""
    return (f"From: {sender}\r\nTo: reader@example.test\r\nSubject: {subject}\r\nDate: {TODAY}\r\n"
            f"Message-ID: <{abs(hash((subject, text)))}@elsewhere.test>\r\n{more}\r\n{text}\r\n")


def hostile():
    """A message with everything that a frame must not run."""
    return (f"From: \"boss@bank.test\" <evil@evil.test>\r\nTo: reader@example.test\r\nSubject: <i>hostile</i>\r\nDate: {TODAY}\r\n"
            "Message-ID: <hostile@evil.test>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n"
            "--m\r\nContent-Type: multipart/related; boundary=r\r\n\r\n"
            f"--r\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{HOSTILE}\r\n"
            f"--r\r\nContent-Type: image/png\r\nContent-ID: <dot@a.test>\r\nContent-Transfer-Encoding: base64\r\n\r\n{DOT}\r\n--r--\r\n"
            "--m\r\nContent-Type: text/html; name=\"page.html\"\r\nContent-Disposition: attachment; filename=\"page.html\"\r\n\r\n"
            "<script>alert(1)</script>\r\n--m--\r\n")


class Mail(Served):
    def reader(self, name, *messages):
        """A new account with messages in its inbox, and its browser."""
        address = self.mail.account(name)
        self.fill(address, *messages)
        browser = self.web.browser()
        page = browser.sign_in(address)
        self.assertNotIn("/sign-in", page.text[:200])
        return address, browser

    def fill(self, address, *messages, folder="INBOX", flags=""):
        with self.mail.imap(address) as session:
            for text in messages:
                status, answer = session.append(f'"{folder}"', flags, None, text.encode())
                self.assertEqual(status, "OK", answer)

    def subjects(self, page):
        return [html.unescape(text) for text in re.findall(r'class="subject">([^<]*)<', page.text)]

    def link(self, page, subject):
        """The address of the row of this subject."""
        for row in re.findall(r'<li class="row.*?</li>', page.text, re.S):
            if f'class="subject">{html.escape(subject)}<' in row:
                return html.unescape(re.search(r'href="([^"]+)"', row)[1])
        self.fail(f"no row {subject} in {self.subjects(page)}")

    def uid(self, page, subject):
        return urllib.parse.parse_qs(urllib.parse.urlsplit(self.link(page, subject)).query)["m"][0]

    def act(self, browser, page, **fields):
        """Presses a button above the list."""
        # As a browser does: boxes that nobody ticked are not sent.
        hidden = {name: value for name, value in page.form("/mail/do").items() if name not in ("u", "all")}
        answer = browser.post("/mail/do", urllib.parse.urlencode(hidden | fields))
        self.assertEqual(answer.status, 303, answer.text)
        return browser.get(answer.headers["Location"])

    def eventually(self, what, seconds=20):
        """The server's index is some seconds late."""
        end = time.monotonic() + seconds
        while True:
            found = what()
            if found or time.monotonic() > end:
                return found
            time.sleep(0.3)

    def test_lists_have_pages_that_new_mail_does_not_shift(self):
        address, browser = self.reader("pages", *(message(f"Number {n}") for n in range(1, 121)))
        first = browser.get("/mail")
        self.assertEqual(self.subjects(first), [f"Number {n}" for n in range(120, 70, -1)])
        older = html.unescape(re.search(r'rel="next" href="([^"]+)"', first.text)[1])
        self.fill(address, message("New"))
        second = browser.get(older)
        self.assertEqual(self.subjects(second), [f"Number {n}" for n in range(70, 20, -1)])
        newer = html.unescape(re.search(r'rel="prev" href="([^"]+)"', second.text)[1])
        self.assertEqual(self.subjects(browser.get(newer))[0], "New")
        third = browser.get(html.unescape(re.search(r'rel="next" href="([^"]+)"', second.text)[1]))
        self.assertEqual(self.subjects(third)[-1], "Number 1")
        self.assertNotIn('rel="next"', third.text)

    def test_messages_are_read_marked_and_shown_in_a_harmless_frame(self):
        address, browser = self.reader("reads", hostile())
        page = browser.get("/mail")
        self.assertIn("unread", page.text)
        opened = browser.get(self.link(page, "<i>hostile</i>"))
        self.assertIn("another address than the message comes from", opened.text)
        self.assertNotIn("<i>hostile", opened.text)
        self.assertRegex(opened.text, r"\d remote images? w")
        self.assertNotIn('class="row unread"', opened.text)
        frame = browser.get(html.unescape(re.search(r'<iframe class="body" src="([^"]+)"', opened.text)[1]))
        policy = frame.headers["Content-Security-Policy"]
        self.assertIn("sandbox allow-popups", policy)
        self.assertNotIn("allow-scripts", policy)
        self.assertIn("default-src 'none'", policy)
        self.assertIn("<b>there</b>", frame.text)
        for refused in ("<script", "evil.test/x.png", "evil.test/y", "javascript:", "onload", "<form"):
            self.assertNotIn(refused, frame.text)
        # The image in the message, without a cookie as in an opaque frame.
        picture = re.search(r'src="(/mail/picture/[^"]+)"', frame.text)[1]
        stranger = self.web.browser()
        shown = stranger.request("GET", picture)
        self.assertEqual((shown.status, shown.headers["Content-Type"]), (200, "image/png"))
        self.assertEqual(shown.headers["Cross-Origin-Resource-Policy"], "cross-origin")
        other = "y" if picture.endswith("x") else "x"
        self.assertEqual(stranger.request("GET", picture[:-1] + other).status, 404)
        # The attachment is a file and no page.
        part = browser.get(html.unescape(re.findall(r'href="(/mail/part[^"]+)"', opened.text)[-1]))
        self.assertEqual(part.headers["Content-Type"], "application/octet-stream")
        self.assertTrue(part.headers["Content-Disposition"].startswith("attachment"))
        self.assertIn("sandbox", part.headers["Content-Security-Policy"])
        self.assertEqual(part.headers["X-Content-Type-Options"], "nosniff")
        self.assertIn(b"<script>", part.body)
        for path in ("headers", "source", "conversation"):
            page = browser.get(html.unescape(re.search(rf'href="(/mail/{path}[^"]+)"', opened.text)[1]))
            self.assertEqual(page.status, 200, path)
            self.assertTrue("hostile" in page.text, path)

    def test_deleting_is_undone_and_is_for_good_in_the_trash(self):
        _, browser = self.reader("deletes", message("One"), message("Two"), message("Three"))
        page = browser.get("/mail")
        after = self.act(browser, page, do="trash", u=self.uid(page, "Two"))
        self.assertEqual(self.subjects(after), ["Three", "One"])
        self.assertIn("1 message was moved to the trash", after.text)
        token = re.search(r'name="undo" value="([^"]+)"', after.text)[1]
        back = browser.send(after, "/mail/undo", undo=token)
        self.assertIn("Undone", back.text)
        self.assertEqual(sorted(self.subjects(back)), ["One", "Three", "Two"])
        again = browser.send(after, "/mail/undo", undo=token)
        self.assertIn("no longer", again.text)
        refused = self.act(browser, back, do="destroy", u=self.uid(back, "One"))
        self.assertIn("refused", refused.text)
        page = self.act(browser, browser.get("/mail"), do="trash", all="1")
        self.assertIn("3 messages were moved", page.text)
        trash = browser.get("/mail?f=Deleted+Items")
        self.assertEqual(len(self.subjects(trash)), 3)
        gone = self.act(browser, trash, do="destroy", all="1")
        self.assertEqual(self.subjects(gone), [])
        self.assertEqual(self.subjects(browser.get("/mail")), [])

    def test_flags_junk_and_moving(self):
        _, browser = self.reader("flags", message("One"), message("Two"))
        page = browser.get("/mail")
        flagged = self.act(browser, page, do="flag", u=self.uid(page, "One"))
        self.assertIn("Flagged", flagged.text)
        found = browser.get("/mail?q=is%3Aflagged")
        self.assertEqual(self.subjects(found), ["One"])
        read = self.act(browser, page, do="read", all="1")
        self.assertNotIn('row unread', read.text)
        junk = self.act(browser, page, do="junk", u=self.uid(page, "Two"))
        self.assertEqual(self.subjects(junk), ["One"])
        there = browser.get("/mail?f=Junk+Mail")
        self.assertEqual(self.subjects(there), ["Two"])
        back = self.act(browser, there, do="not-junk", u=self.uid(there, "Two"))
        self.assertEqual(self.subjects(back), [])
        self.assertEqual(sorted(self.subjects(browser.get("/mail"))), ["One", "Two"])
        refused = self.act(browser, browser.get("/mail"), do="move", to="No such folder", u=self.uid(page, "One"))
        self.assertIn("The mail server refused", refused.text)

    def test_search_finds_by_words_and_operators_in_all_folders(self):
        address, browser = self.reader("finds", message("Invoice April", "please pay"), message("Holiday", "sun", "Bob <bob@elsewhere.test>"))
        self.fill(address, message("Invoice March", "please pay"), folder="Sent Items", flags="\\Seen")
        ask = lambda text: self.subjects(browser.get("/mail?q=" + urllib.parse.quote(text)))
        self.assertEqual(self.eventually(lambda: ask("subject:invoice")), ["Invoice April"])
        self.assertEqual(self.eventually(lambda: ask("from:bob")), ["Holiday"])
        self.assertEqual(ask("from:bob subject:invoice"), [])
        self.assertEqual(self.eventually(lambda: ask("pay")), ["Invoice April"])
        self.assertEqual(sorted(self.eventually(lambda: len(ask("in:all subject:invoice")) == 2 and ask("in:all subject:invoice"))),
                         ["Invoice April", "Invoice March"])
        self.assertEqual(ask("is:unread larger:1M"), [])
        self.assertEqual(len(ask("is:unread smaller:1M after:2020-01-01")), 2)
        odd = browser.get("/mail?q=" + urllib.parse.quote('before:never "a\r\nA1 DELETE INBOX'))
        self.assertEqual(odd.status, 200)
        self.assertIn("Searched as text: before:never", odd.text)
        self.assertEqual(len(self.subjects(browser.get("/mail"))), 2)

    def test_orders_and_conversations(self):
        first = message("Plan", more="")
        identity = re.search(r"Message-ID: (<.*>)", first)[1]
        address, browser = self.reader("orders", first, message("Zebra"))
        answer = message("Re: Plan", "mine", "reader@example.test", f"In-Reply-To: {identity}\r\nReferences: {identity}\r\n")
        self.fill(address, answer, folder="Sent Items", flags="\\Seen")
        self.fill(address, message("Re: Plan", "third", more=f"In-Reply-To: {identity}\r\nReferences: {identity}\r\n"))
        sort = lambda: self.subjects(browser.get("/mail?o=subject"))
        self.assertTrue(self.eventually(lambda: sort()[-1] == "Zebra"), sort())
        grouped = browser.get("/mail?g=1")
        self.assertEqual(len(self.subjects(grouped)), 2, self.subjects(grouped))
        opened = browser.get(self.link(grouped, "Re: Plan"))
        found = self.eventually(lambda: re.search(r'<nav class="conversation".*?</nav>', browser.get(self.link(grouped, "Re: Plan")).text, re.S))
        self.assertTrue(found, opened.text)
        self.assertEqual(found[0].count("<li>"), 3, found[0])
        self.assertIn("Sent", found[0])

    def test_folders_are_made_renamed_and_removed(self):
        _, browser = self.reader("makes")
        page = browser.get("/mail/folders")
        page = browser.send(page, "/mail/folders", name="Ämter & \"Co\"", do="create")
        self.assertIn("Ämter &amp; &quot;Co&quot;", page.text)
        wire = html.unescape(re.search(r'name="f" value="([^"]+)"', page.text)[1])
        fields = {"csrf": page.form("/mail/folders")["csrf"], "f": wire, "name": "Neu", "do": "rename"}
        browser.post("/mail/folders", urllib.parse.urlencode(fields))
        page = browser.get("/mail/folders")
        self.assertIn("Neu", page.text)
        fields = {"csrf": page.form("/mail/folders")["csrf"], "f": "INBOX", "do": "remove"}
        self.assertEqual(browser.post("/mail/folders", urllib.parse.urlencode(fields)).status, 400)
        fields |= {"f": "Neu"}
        browser.post("/mail/folders", urllib.parse.urlencode(fields))
        self.assertNotIn("Neu", browser.get("/mail/folders").text)

    def test_large_messages_show_their_text_and_stream_their_parts(self):
        block = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJz\r\n" * 60000
        large = (message("Large").split("\r\n\r\n")[0] + "\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
                 "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGr\u00fc\u00dfe\r\n--b\r\nContent-Type: application/pdf; name=\"a b.pdf\"\r\n"
                 f"Content-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\n{block}--b--\r\n")
        _, browser = self.reader("large", large)
        opened = browser.get(self.link(browser.get("/mail"), "Large"))
        frame = browser.get(html.unescape(re.search(r'<iframe class="body" src="([^"]+)"', opened.text)[1]))
        self.assertIn("Gr\u00fc\u00dfe", frame.text)
        part = browser.get(html.unescape(re.findall(r'href="(/mail/part[^"]+)"', opened.text)[-1]))
        self.assertEqual(len(part.body), 45 * 60000)
        self.assertIn("a b.pdf", part.headers["Content-Disposition"])
        source = browser.get(html.unescape(re.search(r'href="(/mail/source[^"]+)"', opened.text)[1]))
        self.assertEqual(len(source.body), len(large.encode()))

    def listen(self, browser, source="127.0.0.1"):
        """A stream of events, until the end of the test."""
        connection = http.client.HTTPSConnection(self.web.ip, self.web.https, timeout=30, context=trusting(), source_address=(source, 0))
        self.addCleanup(connection.close)
        cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        connection.request("GET", "/mail/events", headers={"Host": "mail.example.test", "Cookie": cookies})
        answer = connection.getresponse()
        self.addCleanup(answer.close)
        return answer

    def test_a_page_hears_of_new_mail_at_once(self):
        address, browser = self.reader("hears")
        answer = self.listen(browser)
        self.assertEqual(answer.headers["Content-Type"], "text/event-stream")
        self.assertIn(b"retry", answer.readline())
        time.sleep(3)
        self.fill(address, message("News"))
        lines = [answer.readline() for _ in range(3)]
        self.assertTrue(any(b'"INBOX"' in line and b'"unseen":1' in line for line in lines), lines)

    def test_streams_that_are_hoarded_take_nothing_from_others(self):
        _, hoarder = self.reader("hoards")
        _, other = self.reader("beside-the-hoarder")
        kept = []

        def stream():
            kept.append(self.listen(hoarder, "127.0.9.1"))
            return kept[-1].status

        statuses = [200]
        while statuses[-1] == 200 and len(statuses) < 100:
            statuses.append(stream())
        self.assertEqual(statuses[-1], 429, f"{len(statuses)} streams")
        self.assertGreater(len(statuses), 8, "several windows of one person")
        self.assertEqual(hoarder.request("GET", "/mail").status, 200, "pages are not streams")
        self.assertEqual(other.request("GET", "/mail").status, 200)
        self.assertIn(b"retry", self.listen(other).readline(), "another person has a share of their own")
        self.doCleanups()
        self.assertTrue(self.eventually(lambda: stream() == 200, 60), "what was closed is free again")

    def test_one_account_never_reaches_what_another_has(self):
        _, alice = self.reader("mine", message("Secret of mine", "secret words"))
        _, mallory = self.reader("other")
        listed = alice.get("/mail")
        opened = alice.get(self.link(listed, "Secret of mine"))
        links = set(re.findall(r'(?:href|src)="(/mail[^"]+)"', listed.text + opened.text))
        self.assertGreater(len(links), 8)
        for link in map(html.unescape, links):
            page = mallory.get(link)
            self.assertNotIn("ecret of mine", page.text, link)
            self.assertNotIn(b"secret words", page.body, link)
        stranger = self.web.browser()
        for link in map(html.unescape, links):
            page = stranger.request("GET", link)
            self.assertIn(page.status, (303, 401, 404), link)
        # The first to act with another's form is refused, whatever it names.
        form = listed.form("/mail/do")
        answer = mallory.post("/mail/do", urllib.parse.urlencode(form | {"do": "trash", "all": "1"}))
        self.assertEqual(answer.status, 403)
        self.assertEqual(self.subjects(alice.get("/mail")), ["Secret of mine"])

    def test_pages_are_small_and_need_few_requests(self):
        _, browser = self.reader("small", *(message(f"Number {n}") for n in range(60)))
        page = browser.request("GET", "/mail", headers={"Accept-Encoding": "gzip"})
        assets = set(re.findall(r'"(/assets/[^"]+)"', page.text))
        sizes = {it: len(browser.request("GET", it, headers={"Accept-Encoding": "gzip"}).body) for it in assets}
        self.assertLessEqual(len(assets) + 1, 8)
        total = len(page.body) + sum(sizes.values())
        print(f"\nfirst view: {len(assets) + 1} requests, {total} bytes (page {len(page.body)})")
        self.assertLessEqual(total, 60_000, sizes)


if __name__ == "__main__":
    unittest.main()
