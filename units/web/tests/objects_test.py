"""Whoever asks for what another account has gets nothing of it: every route of the program that names an object, by every way to name it."""

import base64
import email.message
import email.policy
import html
import pathlib
import re
import sqlite3
import time
import unittest
import urllib.parse

from web import Served
from mail_test import DOT
from server import TODAY

SOURCES = pathlib.Path(__file__).resolve().parents[1] / "program/src"
SECRET = "words that are of Alice alone"
# What follows the end of a PNG is no part of what it shows.
PICTURE = base64.b64decode(DOT) + SECRET.encode()
SEAL = "seal@elsewhere.test"
# Of a message that is longer, the web unit fetches single parts: program/src/pages/mail/message.rs.
LONG = 1 << 20
# The server's index is some seconds late.
SECONDS = 60
# Routes that name no object of an account, with why.
WITHOUT = {
    "/": "leads to the list", "/assets/{digest}/{name}": "the same for everyone", "/healthz": "the same for everyone", "/robots.txt": "the same for everyone",
    "/.well-known/acme-challenge/{token}": "for certificate authorities", "/.well-known/autoconfig/mail/config-v1.1.xml": "the same for everyone",
    "/profile.mobileconfig": "says nothing that the address does not", "/sign-in": "begins a session", "/sign-in/code": "goes on with the browser's own sign-in",
    "/sign-out": "ends the browser's own session", "/mail/keys": "the same for everyone", "/mail/events": "of the browser's own session",
    "/settings": "of the browser's own account", "/settings/away": "of the browser's own account", "/account": "of the browser's own account",
    "/account/password": "of the browser's own account", "/account/second-factor/start": "of the browser's own account",
    "/account/second-factor/confirm": "of the browser's own account", "/account/second-factor/stop": "of the browser's own account",
    "/account/app-passwords/add": "of the browser's own account", "/settings/filters/adopt": "of the browser's own account",
    "/mail/remote/{token}": "an address outside, signed; src/remote has its tests", "/mail/picture/{token}": "a token that only the frame of the message has; mail_test.py",
    "/dav/{*path}": "dav_test.py", "/compose/format": "what the browser sends, in another form",
}

# Names of folders; the longer ones a server with shared folders might take for Alice's.
FOLDERS = ("INBOX", "Drafts", "Private", "Shared Folders/alice@example.test/INBOX", "Shared Folders/alice@example.test/Private",
           "user/alice@example.test/INBOX", "~alice@example.test/INBOX", "../alice@example.test/INBOX")


def routes():
    """Every address that the program's sources route, but for those of other names."""
    found = set()
    for path in SOURCES.rglob("*.rs"):
        text = path.read_text().split("#[cfg(test)]\nmod tests {", 1)[0]
        if "names" not in path.parts:
            found |= set(re.findall(r'\.route\(\s*"([^"]+)"', text))
    return {route for route in found if not route.startswith("/.well-known/c")}


def private(more=0):
    """A message with the secret in its text, in an image that stands in its text, and in an attachment that is longer by `more` bytes."""
    letter = email.message.EmailMessage(policy=email.policy.SMTP)
    for name, value in (("From", "Ann <ann@elsewhere.test>"), ("To", "alice@example.test"), ("Subject", SECRET), ("Date", TODAY),
                        ("Message-ID", "<private@elsewhere.test>")):
        letter[name] = value
    letter.set_content(f"<p>{SECRET} <img src='cid:{SEAL}'></p>", subtype="html")
    letter.add_related(PICTURE, "image", "png", cid=f"<{SEAL}>")
    letter.add_attachment(f"{SECRET}\n" + f"{'x' * 63}\n" * (more // 64), "plain", filename="plan.txt")
    return letter.as_bytes()


class Objects(Served):
    def setUp(self):
        self.alice, self.mallory = self.mail.account("alice"), self.mail.account("mallory")
        self.browsers = {}
        for account in (self.alice, self.mallory):
            self.browsers[account] = self.web.browser()
            self.browsers[account].sign_in(account)
        with self.mail.imap(self.alice) as session:
            session.create("Private")
            session.create(f'"{SECRET}"')
            session.create("Templates")
            for folder, more in (("INBOX", 0), ("INBOX", 0), ("Drafts", 0), ("Private", LONG), ("Templates", 0)):
                self.assertEqual(session.append(folder, "", None, private(more))[0], "OK")

    def kept(self):
        """All that Alice has: what Mallory does must leave it as it is."""
        with self.mail.imap(self.alice) as session:
            folders = sorted(line.decode() for line in session.list()[1])
            found = []
            for folder in ("INBOX", "Drafts", "Private", "Templates", "Snoozed", "Deleted Items"):
                if session.select(f'"{folder}"', readonly=True)[0] == "OK":
                    numbers = session.search(None, "ALL")[1][0].split()
                    found += [session.fetch(number, "(UID FLAGS BODY.PEEK[])")[1][0] for number in numbers]
        with sqlite3.connect(f"file:{self.web.directory}/state/web.sqlite?mode=ro", uri=True) as database:
            waiting = [tuple(row) for row in database.execute("SELECT id, account FROM outbox WHERE account = ?", [self.alice])]
            signatures = database.execute("SELECT text FROM signatures WHERE account = ?", [self.alice]).fetchall()
            sessions = database.execute("SELECT count(*) FROM sessions WHERE account = ?", [self.alice]).fetchone()
        rules = self.browsers[self.alice].get("/settings/filters").text.count(SECRET)
        apps = self.browsers[self.alice].get("/account").text.count("Alice phone")
        return folders, found, waiting, signatures, sessions, rules, apps

    def prepare(self):
        """An outbox row, a rule, an app password, an undo token, a session label, a signature of Alice's."""
        alice = self.browsers[self.alice]
        page = alice.get("/compose")
        when = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() + 7200))
        fields = page.form("/compose") | {"to": self.mallory, "subject": SECRET, "text": SECRET, "when": when, "do": "later"}
        body = "".join(f'--f\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items() if name != "files")
        answer = alice.post("/compose", (body + "--f--\r\n").encode(), {"Content-Type": "multipart/form-data; boundary=f"})
        self.assertEqual(answer.status, 303, answer.text)
        row = re.search(r'name="id" value="(\d+)"', alice.get("/compose/outbox").text)[1]
        page = alice.get("/settings/filters/rule")
        alice.send(page, "/settings/filters/rule", name=SECRET, **{"field-0": "subject", "how-0": "contains", "value-0": "x", "seen": "1",
                   "stops": "", "off": "", "discard": "", "flagged": "", "copy": "", "all": "0"})
        alice.send(alice.get("/account"), "/account/app-passwords/add", current="pass word", name="Alice phone")
        listed = alice.get("/mail")
        hidden = {name: value for name, value in listed.form("/mail/do").items() if name not in ("u", "all")}
        moved = alice.get(alice.post("/mail/do", urllib.parse.urlencode(hidden | {"do": "trash", "u": "1"})).headers["Location"])
        undo = re.search(r'name="undo" value="([^"]+)"', moved.text)[1]
        label = next(fields["which"] for action, fields in alice.get("/account").forms()
                     if action == "/account/sessions/end" and fields["which"] not in ("others", "all"))
        fields = alice.get("/settings/signature").form("/settings/signature") | {"text": SECRET}
        body = "".join(f'--f\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items())
        alice.post("/settings/signature", (body + "--f--\r\n").encode(), {"Content-Type": "multipart/form-data; boundary=f"})
        return {"row": row, "label": label, "undo": undo}

    def questions(self, has):
        """Every route that shows an object, by which fields the address names it, and addresses that name one of Alice's."""
        def ask(route, **fields):
            return route, tuple(fields), f"{route}?{urllib.parse.urlencode(fields)}"

        for folder in FOLDERS:
            for uid in ("1", "2"):
                yield ask("/mail", f=folder, m=uid)
                for route in ("/mail/body", "/mail/headers", "/mail/source", "/mail/conversation"):
                    yield ask(route, f=folder, m=uid)
                for part in ({"p": "1"}, {"p": "3"}, {"p": "4"}, {"s": "1.2"}, {"s": "2"}):
                    yield ask("/mail/part", f=folder, m=uid, **part)
                for way in ("reply", "reply-all", "forward", "draft"):
                    yield ask("/compose", f=folder, **{way: uid})
            yield ask("/mail", f=folder, q="in:all words")
            yield ask("/mail/folders", f=folder)
        for uid in ("1", "2"):
            yield "/compose/image/{uid}/{id}", (), f"/compose/image/{uid}/{SEAL}"
            yield "/compose/templates/image/{uid}/{id}", (), f"/compose/templates/image/{uid}/{SEAL}"
            yield ask("/compose", template=uid)
            yield ask("/compose", place="templates", draft=uid)
        yield ask("/compose/templates")
        for address in ("", self.alice):
            yield ask("/settings/signature", of=address)
        yield ask("/compose/outbox", new=has["row"])
        for number in ("0", "1"):
            yield ask("/settings/filters/rule", n=number)
        yield ask("/settings/filters", n="0")
        yield ask("/settings/filters/raw", name="mailkiln")

    def owner_sees(self, questions):
        """Alice gets what the questions are about: that others get nothing would prove nothing otherwise."""
        alice = self.browsers[self.alice]
        images = set()
        missing = {(route, fields) for route, fields, _ in questions}
        end = time.monotonic() + SECONDS
        while missing and time.monotonic() < end:
            for route, fields, path in [question for question in questions if question[:2] in missing]:
                page = alice.request("GET", path)
                if page.status == 200 and SECRET.encode() in page.body:
                    missing.discard((route, fields))
                if page.body == PICTURE:
                    images.add((route, fields))
        self.assertFalse(missing, "what shows its owner nothing of hers")
        self.assertEqual(images, {("/compose/image/{uid}/{id}", ()), ("/compose/templates/image/{uid}/{id}", ()), ("/mail/part", ("f", "m", "p")),
                                  ("/mail/part", ("f", "m", "s"))})
        frame = alice.get("/mail/body?f=INBOX&m=2")
        picture = re.search(r'src="(/mail/picture/[^"]+)"', frame.text)[1]
        self.assertEqual(alice.request("GET", html.unescape(picture)).body, PICTURE, "the image of a message, in its frame")

    def of_mallory(self):
        """All that is in Mallory's mailboxes, decoded."""
        found = []
        with self.mail.imap(self.mallory) as session:
            for line in session.list()[1]:
                session.select(re.search(r'(?:"[^"]*"|\S+)$', line.decode())[0], readonly=True)
                for number in session.search(None, "ALL")[1][0].split():
                    letter = email.message_from_bytes(session.fetch(number, "(BODY.PEEK[])")[1][0][1])
                    found += [letter.as_bytes(), *(part.get_payload(decode=True) or b"" for part in letter.walk())]
        return found

    def test_nobody_gets_or_changes_what_another_account_has(self):
        has = self.prepare()
        questions = list(self.questions(has))
        self.owner_sees(questions)
        before = self.kept()
        mallory = self.browsers[self.mallory]
        csrf = mallory.get("/account").form("/sign-out")["csrf"]
        asked = {}

        def look():
            for route, _, path in questions:
                page = mallory.request("GET", path)
                asked.setdefault(route, []).append(page.status)
                self.assertNotIn(SECRET.encode(), page.body, path)
                self.assertNotIn(b"/mail/picture/", page.body, path)
                self.assertLess(page.status, 500, path)
                if "/image/" in route:
                    self.assertEqual(page.status, 404, path)

        def post(route, multipart=False, **fields):
            fields = {"csrf": csrf} | fields
            body = urllib.parse.urlencode(fields).encode()
            kind = {}
            if multipart:
                body = "".join(f'--f\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()).encode() + b"--f--\r\n"
                kind = {"Content-Type": "multipart/form-data; boundary=f"}
            page = mallory.post(route, body, kind)
            asked.setdefault(route, []).append(page.status)
            self.assertNotIn(SECRET.encode(), page.body, (route, fields))
            self.assertLess(page.status, 500, (route, fields, page.text))

        look()
        for folder in FOLDERS:
            for uid in ("1", "2"):
                post("/compose/snooze", f=folder, m=uid, **{"in": "24"})
                for do in ("trash", "flag", "junk", "copy", "move", "destroy"):
                    post("/mail/do", f=folder, u=uid, do=do, to="INBOX")
            for do in ("rename", "remove"):
                post("/mail/folders", f=folder if folder != "INBOX" else "Private", name="Mine", do=do)
        post("/mail/undo", undo=has["undo"], f="INBOX")
        image = f'<img src="cid:{SEAL}"><img src="/compose/image/1/{SEAL}"><img src="/compose/templates/image/1/{SEAL}">'
        for more in ({"text": ""}, {"text": "", "rich": "1", "html": image}):
            for place in ("", "templates"):
                for do in ("save", "insert", "template", "discard", "send"):
                    post("/compose", multipart=True, draft="1", place=place, template="1", original="INBOX 1", to="", cc="", bcc="", subject="", sure="1",
                         do=do, **more, **{"from": self.alice})
            post("/settings/signature", multipart=True, of=self.alice, **more)
        post("/compose/templates", uid="1", do="remove")
        post("/compose/outbox/stop", id=has["row"])
        for number in ("0", "1"):
            post("/settings/filters", do=f"remove-{number}", n=number)
        post("/settings/filters/raw", do="delete", name="mailkiln")
        post("/settings/filters/rule", n="0", name="x")
        post("/account/sessions/end", which=has["label"])
        post("/account/app-passwords/withdraw", current="pass word", name="Alice phone")
        # What was asked for may have come to be hers.
        look()
        for text in self.of_mallory():
            self.assertNotIn(SECRET.encode(), text)

        self.assertEqual(self.kept(), before)
        left = routes() - asked.keys() - WITHOUT.keys()
        self.assertFalse(left, "routes that are neither asked nor named as without an object")
        self.assertFalse(WITHOUT.keys() - routes(), "routes that are gone")
        requests = len([status for each in asked.values() for status in each])
        print(f"\n{requests} requests to {len(asked)} of {len(routes())} routes")


if __name__ == "__main__":
    unittest.main()
