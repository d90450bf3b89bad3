"""Sign-in by the real mail server: passwords become tokens, sessions end, guesses cost time, second factors can't be gone around."""

import base64
import hashlib
import hmac
import imaplib
import pathlib
import re
import sqlite3
import struct
import time
import unittest

from web import Served

PASSWORD = "pass word"


def code(secret, offset=0):
    """TOTP by RFC 6238."""
    key = base64.b32decode(secret)
    digest = hmac.digest(key, struct.pack(">Q", int(time.time()) // 30 + offset), "sha1")
    start = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[start:start + 4])[0] & 0x7fffffff) % 1000000:06}"


class SignIn(Served):
    def restart(self, more=""):
        """With nothing in memory, so that delays of other tests are forgotten."""
        self.assertEqual(self.web.stop()[0], 0)
        self.web.more = more
        self.web.write_configuration()
        self.web.start()

    def account(self, name):
        return self.mail.account(name)

    def test_a_session_begins_lasts_and_ends(self):
        alice = self.account("begins")
        browser = self.web.browser()
        first = browser.request("GET", "/account")
        self.assertEqual((first.status, first.headers["Location"]), (303, "/sign-in?next=%2Faccount"))
        page = browser.sign_in(alice)
        self.assertEqual(page.status, 200, page.text)
        self.assertTrue(page.said(alice), page.text)
        self.assertNotIn("__Host-guest", browser.cookies)
        self.restart()
        self.assertEqual(browser.get("/account").status, 200, "sessions survive a restart")
        left = browser.send(page, "/sign-out", follow=False)
        self.assertEqual(left.headers["Location"], "/sign-in")
        self.assertNotIn("__Host-session", browser.cookies)

    def test_a_stolen_database_opens_nothing(self):
        alice = self.account("stolen")
        browser = self.web.browser()
        browser.sign_in(alice)
        cookie = base64.urlsafe_b64decode(browser.cookies["__Host-session"] + "=")
        state = pathlib.Path(self.web.directory / "state")
        kept = b"".join(path.read_bytes() for path in state.iterdir())
        self.assertIn(alice.encode(), kept)
        for secret in (cookie, cookie.hex().encode(), browser.cookies["__Host-session"].encode(),
                       PASSWORD.encode(), hashlib.sha256(cookie).digest()):
            self.assertNotIn(secret, kept)
        self.assertNotIn(PASSWORD, self.web.log.read_text())
        for path in state.iterdir():
            self.assertEqual(path.stat().st_mode & 0o77, 0, path)
        # Nor does a row that someone else writes: its sealed text fits one cookie alone.
        forged = self.web.browser()
        forged.cookies["__Host-session"] = base64.urlsafe_b64encode(b"x" * 32).decode().rstrip("=")
        with sqlite3.connect(state / "web.sqlite") as database:
            row = database.execute("SELECT * FROM sessions WHERE account = ?", [alice]).fetchone()
            digest = hashlib.sha256(b"mailkiln-web id\0" + b"x" * 32).digest()
            database.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?)", (digest, *row[1:]))
        page = forged.request("GET", "/account", headers={"Sec-Fetch-Mode": "cors"})
        self.assertEqual(page.status, 401, page.text)

    def test_a_wrong_password_costs_more_time_each_time(self):
        self.restart()
        alice = self.account("wrong")
        browser, took = self.web.browser(), []
        for _ in range(4):
            begin = time.monotonic()
            page = browser.sign_in(alice, "wrong password")
            took.append(time.monotonic() - begin)
            self.assertEqual(page.status, 403)
            self.assertTrue(page.said("Address or password is wrong."), page.text)
        self.assertGreater(took[-1], 1.9, took)
        self.assertGreater(took[-1], took[1], took)
        self.assertEqual(browser.sign_in(alice).status, 200, "the right one is taken all the same")
        self.assertNotIn("wrong password", self.web.log.read_text())

    def test_forms_of_other_sites_are_refused(self):
        self.restart()
        alice = self.account("forms")
        browser = self.web.browser()
        page = browser.sign_in(alice)
        token = page.form("/sign-out")["csrf"]
        stranger = self.web.browser()
        stranger.get("/sign-in")
        for body, headers in ((b"", {}), (b"csrf=AAAA", {}), (f"csrf={token}".encode(), {"Sec-Fetch-Site": "cross-site"}),
                              (f"csrf={token}".encode(), {"Sec-Fetch-Site": "same-site"}),
                              (b"{}", {"Content-Type": "text/plain"})):
            refused = browser.post("/sign-out", body, headers)
            self.assertIn(refused.status, (403, 415), (body, headers))
        self.assertEqual(browser.get("/account").status, 200)
        # A stranger's token does not fit: nobody can be signed in as someone else by a foreign page.
        form = stranger.get("/sign-in").form("/sign-in")
        victim = self.web.browser()
        victim.get("/sign-in")
        answer = victim.post("/sign-in", f"csrf={form['csrf']}&account={alice}&password=pass+word")
        self.assertEqual(answer.status, 403)

    def test_sessions_are_listed_and_ended(self):
        self.restart()
        alice, bob = self.account("listed"), self.account("other")
        here, there, third, of_bob = (self.web.browser() for _ in range(4))
        for browser in (here, there, third):
            self.assertEqual(browser.sign_in(alice).status, 200)
        self.assertEqual(of_bob.sign_in(bob).status, 200)
        page = here.get("/account")
        labels = [fields["which"] for action, fields in page.forms() if action == "/account/sessions/end"]
        self.assertEqual(len(labels), 5, labels)
        # Bob can't end Alice's.
        of_bob.send(of_bob.get("/account"), "/account/sessions/end", which=labels[0])
        self.assertEqual(len(here.get("/account").forms()), len(page.forms()))
        here.send(page, "/account/sessions/end", which="others")
        self.assertEqual(here.request("GET", "/account").status, 200)
        for browser in (there, third):
            self.assertEqual(browser.request("GET", "/account").status, 303)
        ended = here.send(here.get("/account"), "/account/sessions/end", follow=False, which="all")
        self.assertEqual(ended.headers["Location"], "/sign-in")
        self.assertEqual(of_bob.request("GET", "/account").status, 200)

    def test_another_password_ends_all_other_sessions(self):
        self.restart()
        alice = self.account("changes")
        here, there = self.web.browser(), self.web.browser()
        for browser in (here, there):
            browser.sign_in(alice)
        page = here.get("/account")
        refused = here.send(page, "/account/password", current="not this", new="a new password", again="a new password")
        self.assertTrue(refused.status == 403 and refused.said("Nothing was changed"), refused.text)
        refused = here.send(page, "/account/password", current=PASSWORD, new="short", again="short")
        self.assertTrue(refused.said("too short"), refused.text)
        done = here.send(page, "/account/password", current=PASSWORD, new="a new password", again="a new password")
        self.assertTrue(done.said("The password is changed"), done.text)
        self.assertEqual(there.request("GET", "/account").status, 303)
        self.restart()
        self.assertEqual(here.get("/account").status, 200, "this session has a token of the new password")
        kept = self.mail.api("GET", f"/principal/{alice}")["secrets"]
        self.assertTrue(str(kept).count("$6$") == 1, "hashed by us")
        self.mail.imap(alice, "a new password").logout()

    def test_sessions_idle_out_and_end_absolutely(self):
        alice = self.account("idle")
        for limits in ("idle_seconds = 60, absolute_seconds = 1000", "idle_seconds = 1000, absolute_seconds = 60"):
            self.restart(f"sessions = {{ {limits} }}")
            browser = self.web.browser()
            self.assertEqual(browser.sign_in(alice).status, 200)
            with sqlite3.connect(self.web.directory / "state" / "web.sqlite") as database:
                database.execute("UPDATE sessions SET used = used - 61, created = created - 61")
            self.assertEqual(browser.request("GET", "/account").status, 303, limits)
        self.restart()

    def test_app_passwords_are_for_mail_programs_alone(self):
        self.restart()
        alice = self.account("apps")
        browser = self.web.browser()
        page = browser.sign_in(alice)
        made = {}
        for name in ("Phone", "Phone 2"):
            shown = browser.send(page, "/account/app-passwords/add", current=PASSWORD, name=name)
            made[name] = re.search(r"app(-[a-z2-9]{5}){4}", shown.text)[0]
        for secret in made.values():
            self.mail.imap(alice, secret).logout()
            self.assertEqual(self.web.browser().sign_in(alice, secret).status, 403)
        self.assertTrue(all(secret not in str(self.mail.api("GET", f"/principal/{alice}")) for secret in made.values()))
        page = browser.get("/account")
        gone = browser.send(page, "/account/app-passwords/withdraw", current=PASSWORD, name="Phone")
        self.assertTrue(gone.said("The app password is withdrawn"), gone.text)
        with self.assertRaises(imaplib.IMAP4.error):
            self.mail.imap(alice, made["Phone"])
        self.mail.imap(alice, made["Phone 2"]).logout()
        log = self.web.log.read_text()
        for what, times in (("more", 2), ("less", 1)):
            lines = re.findall(rf"{re.escape(alice)} has an app password {what}, from 127\.", log)
            self.assertEqual(len(lines), times, log)
        self.assertFalse(any(secret in log for secret in [PASSWORD, *made.values()]))

    def test_a_second_factor(self):
        self.restart()
        alice = self.account("factor")
        browser = self.web.browser()
        page = browser.send(browser.sign_in(alice), "/account/second-factor/start")
        secret = re.search(r'class="code">([A-Z2-7 ]{39})<', page.text)[1].replace(" ", "")
        self.assertIn("<svg", page.text)
        again = browser.send(page, "/account/second-factor/confirm", current=PASSWORD, code="000000")
        self.assertTrue(again.said("does not fit the key"), again.text)
        first = code(secret)
        done = browser.send(again, "/account/second-factor/confirm", current=PASSWORD, code=first)
        recovery = re.findall(r"(?:[a-z2-9]{5}-){3}[a-z2-9]{5}", done.text)
        self.assertEqual(len(recovery), 8, done.text)
        # No other door: the password alone opens neither IMAP nor the page.
        with self.assertRaises(imaplib.IMAP4.error):
            self.mail.imap(alice)
        self.restart()
        stranger = self.web.browser()
        step = stranger.sign_in(alice)
        self.assertIn("/sign-in/code", [action for action, _ in step.forms()])
        self.assertEqual(stranger.request("GET", "/account").status, 303)
        # The code that switched it on is used up; and so is one after its sign-in.
        replayed = stranger.send(step, "/sign-in/code", code=first)
        self.assertEqual(replayed.status, 403, replayed.text)
        self.assertTrue(replayed.said("used before"), replayed.text)
        wrong = stranger.send(replayed, "/sign-in/code", code="000000")
        self.assertTrue(wrong.said("Password or code is wrong"), wrong.text)
        following = code(secret, 1)
        entered = stranger.send(wrong, "/sign-in/code", code=following)
        self.assertEqual(entered.status, 200, entered.text)
        self.assertEqual(stranger.request("GET", "/account").status, 200)
        other = self.web.browser()
        replayed = other.send(other.sign_in(alice), "/sign-in/code", code=following)
        self.assertTrue(replayed.said("used before"), replayed.text)
        # A recovery code opens once.
        phoneless = self.web.browser()
        phoneless.send(phoneless.sign_in(alice), "/sign-in/code", code=recovery[0].upper())
        self.assertEqual(phoneless.request("GET", "/account").status, 200)
        twice = self.web.browser()
        refused = twice.send(twice.sign_in(alice), "/sign-in/code", code=recovery[0])
        self.assertEqual(refused.status, 403)
        self.assertTrue(phoneless.get("/account").said("7 recovery codes are left"))
        # Changes need a code too.
        page = phoneless.get("/account")
        refused = phoneless.send(page, "/account/app-passwords/add", current=PASSWORD, code="", name="Phone")
        self.assertEqual(refused.status, 403)

    def test_no_token_for_another_client(self):
        """The mail server gives tokens to the web unit's client alone: a code for another client buys none."""
        alice = self.account("bearer")
        self.assertEqual(self.web.browser().sign_in(alice).status, 200)
        status, _, body = self.mail.http("POST", "/api/oauth",
                                         '{"type": "code", "client_id": "other", "redirect_uri": "https://x.test/"}',
                                         user=alice, password=PASSWORD)
        given = re.search(rb'"code":"(\w+)"', body)[1].decode()
        status, _, body = self.mail.http(
            "POST", "/auth/token", "grant_type=authorization_code&client_id=other&redirect_uri=https%3A%2F%2Fx.test%2F"
            f"&code={given}", user=None, headers={"Content-Type": "application/x-www-form-urlencoded"})
        self.assertEqual(status, 400, body)


if __name__ == "__main__":
    unittest.main()
