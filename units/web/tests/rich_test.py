"""Rich text in Chromium: written, pasted, sent, taken up again; by keys alone; plain without a script."""

import base64
import email
import email.policy
import time
import unittest

from page import Chromium, needs_chromium, violations
from web import Web, mail_server, oauth_client

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAIAAAACUFjqAAAAEklEQVR42mNYZiOFBzGMSmNDANUrYnHyjrexAAAAAElFTkSuQmCC")
HOSTILE = ("<p onclick='pwned=1'>Pasted <i>text</i><img src=x onerror='pwned=1'><img src='https://tracker.test/a.png'></p>"
           "<script>pwned=1</script><a href='javascript:pwned=1'>bad</a><svg><animate onbegin='pwned=1'/></svg>"
           "<form action='/sign-out'><button>Go</button></form><style>*{display:none}</style>")
PASTE = """([kind, data]) => {
  const transfer = new DataTransfer();
  if (kind === "file") transfer.items.add(new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], "red.png", {type: "image/png"}));
  else transfer.setData(kind, data);
  document.getElementById("editor").dispatchEvent(new ClipboardEvent("paste", {clipboardData: transfer, bubbles: true, cancelable: true}));
}"""


@needs_chromium
class Rich(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mail = mail_server().__enter__()
        cls.addClassCleanup(cls.mail.__exit__)
        oauth_client(cls.mail)
        cls.web = Web(cls.mail).__enter__()
        cls.addClassCleanup(cls.web.__exit__)
        cls.chromium = Chromium(cls.web).__enter__()
        cls.addClassCleanup(cls.chromium.__exit__)

    def writer(self, name, **more):
        page = self.chromium.context(self.mail.account(name), **more)
        self.addCleanup(page.context.close)
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        return page

    def messages(self, name, folder):
        """The messages of a folder, read."""
        with self.mail.imap(f"{name}@example.test") as session:
            if session.select(f'"{folder}"')[0] != "OK":
                return []
            found = session.search(None, "ALL")[1][0].split()
            raw = [session.fetch(number, "(BODY.PEEK[])")[1][0][1] for number in found]
        return [email.message_from_bytes(one, policy=email.policy.default) for one in raw]

    def until(self, what, seconds=15):
        """Waits until something holds. Playwright's own wait_for_function needs `eval`, which the page forbids."""
        end = time.monotonic() + seconds
        while not (found := what()):
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.2)
        return found

    def image_is_drawn(self, page):
        self.until(lambda: page.evaluate("document.querySelector('#editor img')?.naturalWidth === 10"))

    def received(self, name):
        [found] = self.until(lambda: self.messages(name, "INBOX"), 60)
        return found

    def deliver(self, name, text):
        with self.mail.imap(f"{name}@example.test") as session:
            session.append("INBOX", "", None, text.replace("\n", "\r\n").encode())
            session.select("INBOX")
            return session.uid("search", None, "ALL")[1][0].decode().split()[-1]

    def parts(self, message):
        return [part.get_content_type() for part in message.walk()]

    def text(self, message):
        return message.get_body(("plain",)).get_content().replace("\r", "")

    def html(self, message):
        return message.get_body(("html",)).get_content()

    def test_what_is_written_and_pasted_arrives_clean_in_two_forms(self):
        page = self.writer("ann")
        self.mail.account("bob")
        page.fill("#to", "bob@example.test")
        page.fill("#subject", "Rich")
        page.click("#editor")
        page.keyboard.type("Hello ")
        page.keyboard.press("Control+b")
        self.assertEqual(page.get_attribute("[data-tool=bold]", "aria-pressed"), "true")
        page.keyboard.type("bold")
        page.keyboard.press("Control+b")
        page.keyboard.type(" and ")
        page.keyboard.press("Control+k")
        page.keyboard.type("example.org/a?b&c")
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        page.click("[data-tool=bullets]")
        page.keyboard.type("one")
        page.keyboard.press("Enter")
        page.keyboard.type("two")
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        page.evaluate(PASTE, ["text/html", HOSTILE])
        page.wait_for_selector("#editor i")
        page.wait_for_timeout(300)
        self.assertIsNone(page.evaluate("window.pwned ?? null"))
        self.assertEqual(page.locator("#editor").locator("script, svg, form, style, img, [onclick], [onerror]").count(), 0)
        page.evaluate(PASTE, ["file", base64.b64encode(PNG).decode()])
        self.image_is_drawn(page)
        page.click("button[value=send]:not(.hidden)")
        page.wait_for_url("**/compose/outbox*")
        self.assertEqual(page.errors, [])
        message = self.received("bob")
        self.assertEqual(self.parts(message), ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"])
        self.assertEqual(list(message.walk())[-1].get_payload(decode=True), PNG)
        html = self.html(message)
        for words in ["<b>bold</b>", '<a href="https://example.org/a?b&amp;c">example.org/a?b&amp;c</a>', "<ul><li>", "<i>text</i>",
                      f'src="cid:{list(message.walk())[-1]["Content-ID"][1:-1]}"']:
            self.assertIn(words, html)
        for words in ["script", "pwned", "svg", "form", "<style", "tracker", "onclick", "blob:"]:
            self.assertNotIn(words, html)
        text = self.text(message)
        self.assertIn("Hello bold and example.org/a?b&c", text)
        self.assertIn("- one\n- two", text)

    def test_html_that_did_not_come_from_the_page_is_cleaned_by_the_server(self):
        page = self.writer("eve")
        self.mail.account("fay")
        page.evaluate("""html => document.getElementById("editor").closest("form").addEventListener("formdata", ({formData}) => {
            formData.set("to", "fay@example.test"); formData.set("subject", "Hostile"); formData.set("html", html);
        })""", "Plain words" + HOSTILE + "<img src='data:image/png;base64," + base64.b64encode(PNG).decode() + "'>"
                      "<img src='data:image/svg+xml;base64,PHN2Zz4='><img src='cid:other@x'><iframe src='/mail'></iframe>")
        page.wait_for_selector("#editor:visible")
        page.click("button[value=send]:not(.hidden)")
        page.wait_for_url("**/compose/outbox*")
        message = self.received("fay")
        self.assertEqual(self.parts(message), ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"])
        for words in ["script", "pwned", "svg", "form", "<style", "tracker", "onclick", "iframe", "cid:other", "data:"]:
            self.assertNotIn(words, self.html(message))

    def test_a_draft_is_taken_up_again_rich_and_can_become_plain(self):
        page = self.writer("gus")
        page.click("#editor")
        page.keyboard.press("Control+i")
        page.keyboard.type("Slanted")
        page.keyboard.press("Control+i")
        page.evaluate(PASTE, ["file", base64.b64encode(PNG).decode()])
        page.wait_for_selector("#editor img")
        for _ in range(2):
            page.click("button.quiet[value=save]")
            page.wait_for_url("**/compose?draft=*done=saved")
            self.image_is_drawn(page)
            self.assertEqual(page.inner_text("#editor i"), "Slanted")
            self.assertEqual(page.locator("ul.files").count(), 0, "an image in the text is no file")
            page.click("#editor")
            page.keyboard.press("Control+End")
            page.keyboard.type("more")
            page.wait_for_timeout(50)
        # Undo works under the page's policy.
        page.keyboard.press("Control+z")
        self.until(lambda: "moremore" not in page.inner_text("#editor"))
        self.assertEqual(page.locator("#editor img").count(), 1)
        [draft] = self.messages("gus", "Drafts")
        self.assertEqual(self.parts(draft), ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"])
        asked = []

        def agree(dialog):
            asked.append(dialog.message)
            dialog.accept()
        page.on("dialog", agree)
        page.click("#format")
        page.wait_for_selector("textarea#text:visible")
        self.assertIn("Slanted", page.input_value("#text"))
        self.assertEqual(len(asked), 1)
        page.click("button.quiet[value=save]")
        page.wait_for_url("**/compose?draft=*")
        self.assertTrue(page.is_visible("textarea#text"))
        self.assertIn("image.png", page.inner_text("ul.files"))
        self.assertEqual(page.errors, [])
        # The choice is the account's.
        page.goto("/compose")
        self.assertTrue(page.is_visible("textarea#text"))
        page.fill("#text", "Back & <b>\nnew")
        page.click("#format")
        page.wait_for_selector("#editor:visible")
        self.assertEqual(page.inner_text("#editor").strip(), "Back & <b>\nnew")
        page.goto("/settings")
        self.assertEqual(page.input_value("#compose-format"), "")

    def test_answers_and_forwards_quote_what_was_cleaned(self):
        page = self.writer("ida")
        self.web_signature(page)
        inline = base64.b64encode(PNG).decode()
        uid = self.deliver("ida", f"""From: jan@example.test
To: ida@example.test
Subject: Original
Message-ID: <o@x.test>
MIME-Version: 1.0
Content-Type: multipart/related; boundary=b

--b
Content-Type: text/html

<h1>Title</h1><p style="color:red">Red <b>words</b>{HOSTILE}</p><img src="cid:pic@x"><img src="https://tracker.test/x.gif">
--b
Content-Type: image/png
Content-Transfer-Encoding: base64
Content-ID: <pic@x>

{inline}
--b--
""")
        page.goto(f"/compose?reply={uid}&f=INBOX")
        page.wait_for_selector("#editor blockquote h1")
        self.assertEqual(page.locator("#editor").locator("script, svg, form, style, img, [onclick]").count(), 0)
        self.assertIn("Ida’s end", page.inner_text("#editor"))
        page.goto(f"/compose?forward={uid}&f=INBOX")
        self.image_is_drawn(page)
        self.assertEqual(page.locator("#editor").locator("script, svg, form, style, [onclick], [src*=tracker]").count(), 0)
        self.assertEqual(page.locator("ul.files").count(), 0)
        self.assertIsNone(page.evaluate("window.pwned ?? null"))
        page.fill("#to", "ida@example.test")
        page.click("button.quiet[value=save]")
        page.wait_for_url("**/compose?draft=*")
        [draft] = self.messages("ida", "Drafts")
        self.assertIn('src="cid:pic@x"', self.html(draft))
        self.assertIn("\n-- \nIda’s end", self.text(draft))

    def web_signature(self, page):
        page.goto("/settings")
        page.fill("#signature", "Ida’s end\nwww.example.org")
        page.click("form[action='/settings'] button:not(.quiet)")
        page.wait_for_url("**/settings?done=saved")

    def test_without_a_script_the_page_is_plain_and_whole(self):
        page = self.writer("kim", scripts=False)
        self.mail.account("lea")
        self.assertFalse(page.is_visible("#editor"))
        self.assertFalse(page.is_visible("#format"))
        page.fill("#to", "lea@example.test")
        page.fill("#subject", "Plain")
        page.fill("#text", "Only <b>text</b>")
        page.click("button[value=send]:not(.hidden)")
        page.wait_for_url("**/compose/outbox*")
        message = self.received("lea")
        self.assertEqual(message.get_content_type(), "text/plain")
        self.assertEqual(message.get_content().strip(), "Only <b>text</b>")

    def test_keys_alone_write_format_and_leave_the_editor(self):
        page = self.writer("max")
        page.focus("#subject")
        page.keyboard.press("Tab")
        self.assertEqual(page.evaluate("document.activeElement.id"), "format")
        page.keyboard.press("Tab")
        self.assertEqual(page.evaluate("document.activeElement.dataset.tool"), "bold")
        for _ in range(5):
            page.keyboard.press("ArrowRight")
        self.assertEqual(page.evaluate("document.activeElement.dataset.tool"), "numbers")
        page.keyboard.press("Tab")
        self.assertEqual(page.evaluate("document.activeElement.id"), "editor")
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        self.assertEqual(page.evaluate("document.activeElement.id"), "editor")
        page.keyboard.type("first")
        self.assertEqual(page.inner_text("#editor ol li"), "first")
        page.keyboard.press("Control+k")
        page.keyboard.press("Escape")
        self.assertEqual(page.evaluate("document.activeElement.id"), "editor")
        page.keyboard.press("Tab")
        self.assertEqual(page.evaluate("document.activeElement.id"), "files")
        self.assertEqual(page.errors, [])

    def test_everybody_can_use_it(self):
        for scheme in ["light", "dark"]:
            page = self.writer("ned" + scheme, color_scheme=scheme)
            page.wait_for_selector("#editor:visible")
            page.click("[data-tool=quote]")
            page.keyboard.type("Quoted text")
            self.assertEqual(violations(page), [], scheme)
            page.click("[data-tool=link]")
            self.assertEqual(violations(page), [], scheme)

    def test_images_are_chosen_and_dropped_and_nothing_else_is(self):
        page = self.writer("pam")
        page.click("#editor")
        with page.expect_file_chooser() as chooser:
            page.click("[data-tool=image]")
        chooser.value.set_files({"name": "red.png", "mimeType": "image/png", "buffer": PNG})
        self.image_is_drawn(page)
        drop = """([name, type]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File(["<svg onload='pwned=1'/>"], name, {type}));
          document.getElementById("editor").dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
        }"""
        page.evaluate(drop, ["a.svg", "image/svg+xml"])
        self.assertIn("Only PNG", page.inner_text("#format-problem"))
        self.assertEqual(page.locator("#editor img").count(), 1)
        # What says that it is a PNG and is none becomes a file, which no page shows.
        page.evaluate(drop, ["b.png", "image/png"])
        self.assertEqual(page.locator("#editor img").count(), 2)
        page.click("button.quiet[value=save]")
        page.wait_for_url("**/compose?draft=*")
        self.image_is_drawn(page)
        self.assertEqual(page.locator("#editor img").count(), 1)
        self.assertEqual(page.locator("ul.files li").count(), 1)
        address = page.get_attribute("#editor img", "src")
        answer = page.goto(address)
        self.assertEqual((answer.status, answer.headers["content-type"], answer.body()), (200, "image/png", PNG))
        self.assertIn("sandbox", answer.headers["content-security-policy"])
        self.assertEqual(page.goto(address + "x").status, 404)
        self.assertEqual(self.writer("quin").goto(address).status, 404, "another account has other drafts")

    def test_only_this_page_lets_dompurify_make_html(self):
        page = self.writer("ole")
        for path, expected in [("/compose", True), ("/mail", False), ("/settings", False)]:
            policy = page.goto(path).headers["content-security-policy"]
            self.assertEqual("dompurify" in policy, expected, path)
            self.assertIn("require-trusted-types-for 'script'", policy)
            self.assertIn("script-src 'self';", policy)


if __name__ == "__main__":
    unittest.main()
