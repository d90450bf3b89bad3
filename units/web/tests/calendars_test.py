"""What caldav-server-tester and the library `caldav` find in our calendars, through the front door and at the mail server itself."""

import json
import pathlib
import subprocess
import unittest

from web import HOST, Served  # first: it says where `server` and `driver` are

from driver.venv import installed
from server import PORTS

HERE = pathlib.Path(__file__).resolve().parent / "calendars"
# What is not fully supported, and why that stays. Everything else is. docs/limits.md tells users of what they may meet.
ONE_ACCOUNT = "unknown: asked with one account only"
KNOWN = {
    "non-existing-raises-not-found.collection": "unknown: a calendar that is asked for is made",
    "principal-search": "ungraceful: nobody may look for other accounts",
    "scheduling.auto-schedule": ONE_ACCOUNT,
    "scheduling.freebusy-query": ONE_ACCOUNT,
    "scheduling.mailbox.inbox-delivery": ONE_ACCOUNT,
    "scheduling.schedule-tag.stable-partstat": ONE_ACCOUNT,
    "search.recurrences.expanded.exception": "fragile: a changed occurrence is told beside the one that it replaces",
    "search.time-range.alarm": "unsupported: no search by the time of an alarm",
    "search.time-range.todo.no-dtstart.no-due": "unsupported: a task without dates is in no range of time",
    "sync-token.invalid-token": "broken: a token that was never given begins anew",
    "sync-token.limit.initial-sync": "broken: a first sync in pieces leaves out items",
    "synchronous-write.delete-calendar": "unknown: a calendar that is asked for is made",
    "url.encode-at.literal.object": "unsupported: `@` and `%40` in the name of an item are two names",
}
# It looks for /.well-known at the address, not by the name; dav_test.py asks by the name.
BY_NAME = "well-known"


class Calendars(Served):
    maxDiff = None

    def features(self, address, *host):
        account = self.mail.account(f"judged-{'web' if host else 'direct'}")
        command = [installed(HERE / "judges.txt", "calendar-judges") / "python", HERE / "ask.py", address, account, *host]
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=600, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_clients_find_what_they_may_want(self):
        here = self.features(f"https://{self.web.ip}:{self.web.https}/dav/cal/", HOST)
        there = self.features(f"http://{self.mail.ip}:{PORTS['http']}/dav/cal/")
        here.pop(BY_NAME), there.pop(BY_NAME)
        self.assertEqual(here, there, "what the web unit adds or takes")
        less = {name: support for name, support in here.items() if support != "full"}
        self.assertEqual(less, {name: why.split(":")[0] for name, why in KNOWN.items()})


if __name__ == "__main__":
    unittest.main()
