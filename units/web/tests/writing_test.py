"""Formatted text in chromium: written, pasted, sent, taken up again; by keys alone; plain without a script (browser/scenarios/writing.mjs)."""

import base64
import email
import email.policy
import unittest

from judge import Judged

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAIAAAACUFjqAAAAEklEQVR42mNYZiOFBzGMSmNDANUrYnHyjrexAAAAAElFTkSuQmCC")
HOSTILE = ("<p onclick='pwned=1'>Pasted <i>text</i><img src=x onerror='pwned=1'><img src='https://tracker.test/a.png'></p>"
           "<script>pwned=1</script><a href='javascript:pwned=1'>bad</a><svg><animate onbegin='pwned=1'/></svg>"
           "<form action='/sign-out'><button>Go</button></form><style>*{display:none}</style>")
# Words that nothing of it may bring into a message.
REFUSED = ("script", "pwned", "svg", "form", "<style", "tracker", "onclick")
# What a message of formatted text and one image consists of.
KINDS = ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"]


def kinds(message):
    """The types of the parts of a message."""
    return [part.get_content_type() for part in message.walk()]


def text(message):
    """The plain form of a message."""
    return message.get_body(("plain",)).get_content().replace("\r", "")


def html(message):
    """The formatted form of a message."""
    return message.get_body(("html",)).get_content()


class Writing(Judged):
    def read(self, account, folder="INBOX"):
        """The messages of a folder, taken apart."""
        return [email.message_from_bytes(raw, policy=email.policy.default) for raw in self.stored(account, folder)]

    def received(self, account):
        """The one message that comes."""
        self.arrived(account)
        [message] = self.read(account)
        return message

    def asks(self):
        return super().asks() | {"kinds": lambda account, folder: [kinds(message) for message in self.read(account, folder)]}

    def write(self, part, account, **known):
        """Runs a part of the scenario."""
        self.play("writing", part=part, account=account, png=base64.b64encode(PNG).decode(), hostile=HOSTILE, **known)

    def test_what_is_written_and_pasted_arrives_clean_in_two_forms(self):
        friend = self.account("bob")
        self.write("pasted", self.account("ann"), friend=friend)
        message = self.received(friend)
        self.assertEqual(kinds(message), KINDS)
        image = list(message.walk())[-1]
        self.assertEqual(image.get_payload(decode=True), PNG)
        for words in ("<b>bold</b>", '<a href="https://example.org/a?b&amp;c">example.org/a?b&amp;c</a>', "<ul><li>", "<i>text</i>",
                      f'src="cid:{image["Content-ID"][1:-1]}"'):
            self.assertIn(words, html(message))
        for words in (*REFUSED, "blob:"):
            self.assertNotIn(words, html(message))
        self.assertIn("Hello bold and example.org/a?b&c", text(message))
        self.assertIn("- one\n- two", text(message))

    def test_html_that_did_not_come_from_the_page_is_cleaned_by_the_server(self):
        friend = self.account("fay")
        more = (f"<img src='data:image/png;base64,{base64.b64encode(PNG).decode()}'><img src='data:image/svg+xml;base64,PHN2Zz4='>"
                "<img src='cid:other@x'><iframe src='/mail'></iframe>")
        self.write("forged", self.account("eve"), friend=friend, html=f"Plain words{HOSTILE}{more}")
        message = self.received(friend)
        self.assertEqual(kinds(message), KINDS)
        self.assertIn("Plain words", html(message))
        for words in (*REFUSED, "iframe", "cid:other", "data:"):
            self.assertNotIn(words, html(message))

    def test_a_draft_is_taken_up_again_formatted_and_can_become_plain(self):
        self.write("draft", self.account("gus"))

    def test_answers_and_forwards_quote_what_was_cleaned(self):
        original = f"""From: jan@example.test
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

{base64.b64encode(PNG).decode()}
--b--
"""
        account = self.account("ida", original.replace("\n", "\r\n"))
        self.write("quoted", account)
        [draft] = self.read(account, "Drafts")
        self.assertIn('src="cid:pic@x"', html(draft))
        self.assertIn("\n-- \nIda’s end", text(draft))

    def test_without_a_script_the_page_is_plain_and_whole(self):
        friend = self.account("lea")
        self.write("plain", self.account("kim"), friend=friend)
        message = self.received(friend)
        self.assertEqual(message.get_content_type(), "text/plain")
        self.assertEqual(message.get_content().strip(), "Only <b>text</b>")

    def test_keys_alone_write_format_and_leave_the_editor(self):
        self.write("keys", self.account("max"))

    def test_everybody_can_use_it(self):
        self.write("everybody", self.account("ned"))

    def test_images_are_chosen_and_dropped_and_nothing_else_is(self):
        self.write("images", self.account("pam"), other=self.account("quin"))

    def test_only_this_page_lets_dompurify_make_html(self):
        self.write("policy", self.account("ole"))


if __name__ == "__main__":
    unittest.main()
