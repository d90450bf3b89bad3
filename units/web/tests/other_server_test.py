"""Sign-in where the mail server has no API of ours: IMAP says whether a password is right, and the session keeps it sealed."""

import unittest

from web import Web, mail_server


class OtherServer(unittest.TestCase):
    def test_the_password_is_kept_sealed(self):
        with mail_server() as mail:
            alice = mail.account("alice")
            web = Web(mail)
            written = web.write_configuration

            def without_api():
                written()
                path = web.directory / "web.toml"
                lines = [line for line in path.read_text().splitlines() if not line.startswith("api = ")]
                path.write_text("\n".join(lines))

            web.write_configuration = without_api
            with web:
                browser = web.browser()
                self.assertEqual(browser.sign_in(alice, "wrong password").status, 403)
                page = browser.sign_in(alice)
                self.assertEqual(page.status, 200, page.text)
                self.assertTrue(page.said("does not let the webmail change accounts"), page.text)
                self.assertNotIn("/account/password", [action for action, _ in page.forms()])
                refused = browser.post("/account/password", f"csrf={page.form('/sign-out')['csrf']}&current=pass+word"
                                       "&new=another+password&again=another+password")
                self.assertEqual(refused.status, 404)
                kept = b"".join(path.read_bytes() for path in (web.directory / "state").iterdir())
                self.assertNotIn(b"pass word", kept)
                self.assertEqual(browser.request("GET", "/dav/cal/a").status, 404)


if __name__ == "__main__":
    unittest.main()
