"""Calendars and contacts through the front door, at the real mail server."""

import base64
import time
import unittest

from web import HOST, Served

EVENT = """BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//test//EN\r
BEGIN:VEVENT\r
UID:one@example.test\r
DTSTAMP:20261128T120000Z\r
DTSTART:20261201T120000Z\r
DTEND:20261201T130000Z\r
SUMMARY:Lunch\r
END:VEVENT\r
END:VCALENDAR\r
"""
PROPERTIES = """<?xml version="1.0"?><propfind xmlns="DAV:"><prop><current-user-principal/><resourcetype/></prop></propfind>"""


class Dav(Served):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.alice, cls.bob = cls.mail.account("dav-alice"), cls.mail.account("dav-bob")

    def ask(self, method, path, body=None, user=None, **headers):
        token = base64.b64encode(f"{user or self.alice}:pass word".encode()).decode()
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.web.browser().request(method, path, body, {"Authorization": f"Basic {token}"} | headers)

    def home(self, user):
        return f"/dav/cal/{user.replace('@', '%40')}/default"

    def test_an_event_is_kept_and_read(self):
        event = f"{self.home(self.alice)}/one.ics"
        put = self.ask("PUT", event, EVENT, Content_Type="text/calendar")
        self.assertIn(put.status, (201, 204), put.text)
        read = self.ask("GET", event)
        self.assertEqual(read.status, 200)
        self.assertIn("SUMMARY:Lunch", read.text)
        # It is served from the webmail's name: nothing in it may run.
        self.assertIn("sandbox", read.headers["Content-Security-Policy"])
        self.assertEqual(read.headers["X-Content-Type-Options"], "nosniff")
        listed = self.ask("PROPFIND", f"{self.home(self.alice)}/", PROPERTIES, Depth="1", Content_Type="text/xml")
        self.assertEqual(listed.status, 207, listed.text)
        self.assertIn("one.ics", listed.text)
        again = self.ask("PUT", event, EVENT, Content_Type="text/calendar", If_None_Match="*")
        self.assertEqual(again.status, 412)

    def test_others_see_nothing(self):
        event = f"{self.home(self.alice)}/two.ics"
        self.ask("PUT", event, EVENT.replace("one@", "two@"), Content_Type="text/calendar")
        for user in (self.bob,):
            self.assertIn(self.ask("GET", event, user=user).status, (403, 404))
        refused = self.web.browser().request("GET", event)
        self.assertEqual(refused.status, 401)
        self.assertIn("Basic", " ".join(refused.headers.get_all("WWW-Authenticate")))

    def test_discovery(self):
        for kind, collection in (("caldav", "cal"), ("carddav", "card")):
            moved = self.ask("PROPFIND", f"/.well-known/{kind}", PROPERTIES, Depth="0")
            self.assertEqual((moved.status, moved.headers["Location"]), (307, f"/dav/{collection}"))
            found = self.ask("PROPFIND", moved.headers["Location"], PROPERTIES, Depth="0", Content_Type="text/xml")
            self.assertEqual(found.status, 207, found.text)
            self.assertIn("current-user-principal", found.text)

    def test_a_body_that_nobody_reads_costs_no_connection(self):
        """vdirsyncer sends head and body one after the other, and its next request on the same connection."""
        body = PROPERTIES.encode()
        for path in ("/", "/.well-known/caldav", f"{self.home(self.alice)}/"):
            connection = self.web.browser().connect()
            for _ in range(2):
                connection.putrequest("PROPFIND", path, skip_host=True)
                connection.putheader("Host", HOST)
                connection.putheader("Content-Length", str(len(body)))
                connection.endheaders()
                time.sleep(0.3)
                connection.send(body)
                answer = connection.getresponse()
                answer.read()
                self.assertIn(answer.status, (307, 401, 405), path)
                connection.auto_open = 0
            connection.close()

    def test_the_api_is_not_reached(self):
        for path in ("/api/principal", "/auth/token", "/dav/../api/principal", "/dav/%2e%2e/api/principal", "/jmap/"):
            answer = self.ask("GET", path)
            self.assertIn(answer.status, (400, 404, 405), path)
            self.assertNotIn("principal", answer.text.lower().replace(path, ""))


if __name__ == "__main__":
    unittest.main()
