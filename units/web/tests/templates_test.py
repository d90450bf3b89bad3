"""Templates and signatures: without a script, as the server keeps and sends them, and in chromium (browser/scenarios/templates.mjs)."""

import base64
import email
import email.policy
import html
import re
import urllib.parse

from judge import Judged
from writing_test import HOSTILE, KINDS, PNG, REFUSED, kinds, text
from writing_test import html as html_of

DATA = "data:image/png;base64," + base64.b64encode(PNG).decode()
SIGNATURE = '<div><b>Ida</b> of <a href="https://example.org/">Example</a></div><div><img src="{}" alt="logo.png"></div>'
# As Thunderbird stores a template.
FOREIGN = f"""From: Uwe <uwe@example.test>
To: club@example.test
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
Message-ID: <template@elsewhere.test>
References: <old@elsewhere.test>
X-Mozilla-Draft-Info: internal/draft; vcard=0; receipt=0
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=m

--m
Content-Type: multipart/related; boundary=r

--r
Content-Type: text/html; charset=utf-8

<html><body><p>Dear <b>club</b>{HOSTILE}</p><img src="cid:part1@x.test"></body></html>
--r
Content-Type: image/png
Content-Transfer-Encoding: base64
Content-ID: <part1@x.test>
Content-Disposition: inline

{base64.b64encode(PNG).decode()}
--r--
--m
Content-Type: text/plain; name=rules.txt
Content-Disposition: attachment; filename=rules.txt

Be kind
--m--
""".replace("\n", "\r\n")


def written(page):
    """What is in the field for plain text."""
    found = re.search(r'<textarea id="text"[^>]*>\n?(.*?)</textarea>', page.text, re.S)
    assert found, page.text
    return html.unescape(found[1])


def formatted(page):
    """What the script makes an editor of."""
    found = re.search(r'<textarea id="html"[^>]*>\n?(.*?)</textarea>', page.text, re.S)
    return html.unescape(found[1]) if found else None


def press(browser, page, button, action="/compose", files=(), **fields):
    """Presses a button of a page with an editor, as a browser sends it, and returns what follows."""
    values = {"text": written(page), "do": button} | fields
    values = page.form(action) | values
    values.pop("files", None)
    body = b""
    for name, value in values.items():
        body += f'--form\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    for field, name, data in files:
        body += (f'--form\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
                 "Content-Type: application/octet-stream\r\n\r\n").encode() + data + b"\r\n"
    answer = browser.post(action, body + b"--form--\r\n", {"Content-Type": "multipart/form-data; boundary=form"})
    return browser.get(answer.headers["Location"]) if answer.status in (302, 303) else answer


class Templates(Judged):
    def writer(self, name):
        """A new account, and a browser in which it is signed in."""
        address = self.account(name)
        browser = self.web.browser()
        browser.sign_in(address)
        return address, browser

    def read(self, account, folder):
        """The messages of a folder, taken apart."""
        return [email.message_from_bytes(raw, policy=email.policy.default) for raw in self.stored(account, folder)]

    def store(self, account, folder, *messages):
        """Puts messages into a folder, and returns the numbers of the newest."""
        with self.mail.imap(account) as session:
            session.create(folder)
            for text in messages:
                self.assertEqual(session.append(folder, "(\\Seen)", None, text.encode())[0], "OK")
            session.select(folder)
            return session.uid("search", None, "ALL")[1][0].decode().split()[-len(messages):]

    def first(self, browser):
        """The number of the first template in the list."""
        found = re.search(r'href="/compose\?template=(\d+)"', browser.get("/compose/templates").text)
        assert found, "no template is listed"
        return found[1]

    def test_a_message_becomes_a_template_that_begins_others(self):
        ann, browser = self.writer("ann")
        bob = self.account("bob")
        page = browser.get("/compose/templates")
        self.assertTrue(page.said("There are no templates yet."), page.text)
        self.assertNotIn("Templates", str(self.mail.imap(ann).list()), "looking makes no folder")
        page = browser.get("/compose?to=" + urllib.parse.quote(bob))
        page = press(browser, page, "template", subject="Minutes", text="Dear all,\n\nsee the file.\n", references="<old@x.test>",
                     files=[("files", "plan.pdf", b"%PDF\0")], **{"in-reply-to": "old@x.test"})
        self.assertTrue(page.said("The template is saved."), page.text)
        self.assertIn("plan.pdf", page.text, "the message itself goes on")
        [kept], [draft] = self.read(ann, "Templates"), self.read(ann, "Drafts")
        self.assertEqual((kept["Subject"], kept["To"], kept["In-Reply-To"], kept["References"]), ("Minutes", bob, None, None))
        self.assertNotEqual(kept["Message-ID"], draft["Message-ID"])
        press(browser, page, "discard")
        page = browser.get(f"/compose?template={self.first(browser)}")
        self.assertEqual(written(page), "Dear all,\n\nsee the file.\n")
        self.assertIn('value="Minutes"', page.text)
        page = press(browser, page, "send")
        self.assertTrue(page.said("The message is sent in"), page.text)
        self.arrived(bob)
        [message] = self.read(bob, "INBOX")
        self.assertEqual([part.get_payload(decode=True) for part in message.iter_attachments()], [b"%PDF\0"])
        self.assertEqual(len(self.read(ann, "Templates")), 1, "a template stays")

    def test_a_template_is_written_edited_and_deleted_and_never_sent(self):
        carla, browser = self.writer("carla")
        page = browser.get("/compose?place=templates")
        self.assertNotIn('value="send"', page.text)
        page = press(browser, page, "attach", subject="Offer", text="Old words", to=carla, files=[("files", "prices.pdf", b"1")])
        self.assertTrue(page.said("The template is saved."), page.text)
        page = browser.get(re.search(r'href="(/compose\?place=templates&amp;draft=\d+)"', browser.get("/compose/templates").text)[1].replace("&amp;", "&"))
        self.assertEqual(written(page).strip(), "Old words")
        stale = page
        page = press(browser, page, "save", text="New words")
        page = press(browser, page, "send")
        self.assertTrue(page.said("The template is saved."), page.text)
        [kept] = self.read(carla, "Templates")
        self.assertIn("New words", text(kept))
        self.assertEqual(kinds(kept)[-1], "application/octet-stream")
        self.assertEqual(self.read(carla, "Drafts"), [])
        self.assertIn("Nothing waits", browser.get("/compose/outbox").text)
        # Another window: nothing is lost.
        again = press(browser, stale, "save", text="Other words", subject="Offer 2")
        self.assertTrue(again.said("This template was saved or deleted elsewhere meanwhile"), again.text)
        self.assertEqual(len(self.read(carla, "Templates")), 2)
        for expected in ("Offer", "Offer 2"):
            self.assertIn(f">{expected}</a>", browser.get("/compose/templates").text)
        page = browser.send(browser.get("/compose/templates"), "/compose/templates", do="remove")
        self.assertTrue(page.said("The template was moved to the trash."), page.text)
        page = press(browser, again, "discard")
        self.assertTrue(page.said("There are no templates yet."), page.text)
        self.assertEqual(len(self.read(carla, "Deleted Items")), 2)

    def test_a_template_of_another_program_goes_into_an_answer_with_its_image(self):
        uwe, browser = self.writer("uwe")
        [template] = self.store(uwe, "Templates", FOREIGN)
        [question] = self.store(uwe, "INBOX", "From: vic@example.test\r\nMessage-ID: <q@x.test>\r\nSubject: Question\r\n\r\nWhen?\r\n")
        page = browser.get(f"/compose?reply={question}&f=INBOX")
        self.assertIn(">Grüße</option>", page.text)
        for _ in range(2):
            page = press(browser, page, "insert", template=template, rich="1", html=formatted(page))
            self.assertTrue(page.said("The template was inserted."), page.text)
        [draft] = self.read(uwe, "Drafts")
        self.assertEqual(kinds(draft), ["multipart/mixed", *KINDS, "text/plain", "text/plain"], "the same image is there once")
        self.assertEqual((draft["Subject"], draft["To"], draft["In-Reply-To"]), ("Re: Question", "vic@example.test", "<q@x.test>"))
        self.assertLess(html_of(draft).index("Dear <b>club</b>"), html_of(draft).index("When?"))
        for words in REFUSED:
            self.assertNotIn(words, html_of(draft))
        # Without a script the same is text, and its image a file.
        page = press(browser, browser.get("/compose"), "insert", template=template, text="Mine")
        self.assertIn("Dear club", written(page))
        self.assertTrue(written(page).rstrip().endswith("Mine"), written(page))
        self.assertEqual(re.findall(r"([\w.]+) \(\d", page.text), ["rules.txt", "image.png"])

    def test_a_formatted_template_begins_a_message_with_its_image(self):
        vera, browser = self.writer("vera")
        [template] = self.store(vera, "Templates", FOREIGN)
        page = browser.get(f"/compose?template={template}")
        image = re.search(r'src="(/compose/image/\d+/[^"]+)"', formatted(page))[1]
        self.assertEqual(browser.request("GET", image).body, PNG)
        self.assertEqual((page.form("/compose")["to"], page.form("/compose")["references"]), ("club@example.test", ""))
        self.assertIn("rules.txt", page.text)
        # Where it lies it has other addresses.
        page = browser.get(f"/compose?place=templates&draft={template}")
        image = re.search(r'src="(/compose/templates/image/\d+/[^"]+)"', formatted(page))[1]
        self.assertEqual(browser.request("GET", image).body, PNG)
        self.assertEqual(self.writer("vic")[1].request("GET", image).status, 404, "another account has other templates")
        self.assertEqual(browser.get("/compose?template=77").status, 404)
        page = browser.get(f"/mail?f=Templates&m={template}")
        self.assertIn("Write from this template", page.text)

    def test_a_signature_without_a_script_is_text(self):
        ida, browser = self.writer("ida")
        page = browser.get("/settings/signature")
        self.assertIn("dompurify", page.headers["Content-Security-Policy"])
        self.assertNotIn("dompurify", browser.get("/settings").headers["Content-Security-Policy"])
        page = press(browser, page, "", "/settings/signature", text="Ida’s end\n<b>\n")
        self.assertTrue(page.said("Saved."), page.text)
        self.assertEqual(written(page), "Ida’s end\n<b>")
        page = browser.get("/compose")
        self.assertEqual(written(page), "\n\n-- \nIda’s end\n<b>\n")
        self.assertIn("Ida’s end<br>&lt;b&gt;", formatted(page))
        page = press(browser, browser.get("/settings/signature"), "", "/settings/signature", text="x" * 4001)
        self.assertTrue(page.said("The signature is too long."), page.text)
        press(browser, browser.get("/settings/signature"), "", "/settings/signature", text="")
        self.assertEqual(written(browser.get("/compose")).strip(), "")

    def test_a_formatted_signature_is_clean_bounded_and_its_address_s_own(self):
        jil, browser = self.writer("jil")
        browser.send(browser.get("/settings"), "/settings", identities="Sales <sales@example.test>")
        mark = "logo@mail"

        def save(signature, of="", data=PNG):
            page = browser.get("/settings/signature?of=" + of)
            return press(browser, page, "", "/settings/signature", rich="1", html=signature, text="", files=[("image", mark, data)])

        page = save(SIGNATURE.format("cid:" + mark) + HOSTILE)
        self.assertTrue(page.said("Saved."), page.text)
        kept = formatted(page)
        self.assertTrue(kept.startswith(SIGNATURE.format(DATA)), kept)
        for words in REFUSED:
            self.assertNotIn(words, kept)
        self.assertTrue(save(f'<img src="cid:{mark}">', data=PNG + bytes(64 << 10)).said("An image is too large"))
        self.assertTrue(save(f'<img src="cid:{mark}">', data=b"<svg onload='x()'/>").said("Only PNG"))
        self.assertTrue(save("<img src='data:image/png;base64,PHN2Zz4='>").said("Only PNG"))
        self.assertTrue(save("<b>of sales</b>", "sales@example.test").said("Saved."))
        self.assertEqual(browser.get("/settings/signature?of=bob@example.test").status, 404)
        self.assertIn("Ida</b> of", formatted(browser.get("/settings/signature")), "what was refused changed nothing")
        # Answers come from the address that the message went to, and so does their signature.
        came = self.store(jil, "INBOX", *(f"From: a@elsewhere.test\r\nTo: {to}\r\nSubject: S\r\n\r\nx\r\n" for to in (jil, "sales@example.test")))
        common, sales = (formatted(browser.get(f"/compose?reply={uid}&f=INBOX")) for uid in came)
        self.assertIn(DATA, common)
        self.assertIn("<b>of sales</b>", sales)
        self.assertNotIn("Ida", sales)
        # A formatted message has the image as a part, a plain one the words.
        page = browser.get("/compose")
        self.assertTrue(written(page).startswith("\n\n-- \nIda of Example <https://example.org/>\nPasted text\n"), written(page))
        press(browser, page, "save", rich="1", html=formatted(page), text="")
        [draft] = self.read(jil, "Drafts")
        self.assertEqual(kinds(draft), KINDS)
        self.assertIn(f'src="cid:{list(draft.walk())[-1]["Content-ID"][1:-1]}"', html_of(draft))
        self.assertIn("\n-- \nIda of Example", text(draft))
        # It is kept for this account alone.
        other = self.writer("jon")[1]
        self.assertNotIn("Ida", other.get("/settings/signature?of=" + jil).text + other.get("/settings/signature").text + other.get("/compose").text)

    def test_people_use_templates_and_signatures(self):
        friend = self.account("kurt")
        accounts = {way: self.account(f"kim-{way}") for way in ("script", "plain")}
        self.play("templates", accounts=accounts, friend=friend, png=base64.b64encode(PNG).decode())
        self.arrived(friend, 2)
        messages = {message["From"].addresses[0].username: message for message in self.read(friend, "INBOX")}
        self.assertEqual(kinds(messages["kim-script"]), ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png", "image/png"])
        self.assertIn("<b>Kim</b>", html_of(messages["kim-script"]))
        self.assertEqual(messages["kim-plain"].get_content_type(), "text/plain")
        for message in messages.values():
            self.assertEqual(message["Subject"], "Invitation")
            self.assertIn("Please come", text(message))
            self.assertIn("\n-- \nKim", text(message))
