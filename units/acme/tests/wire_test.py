"""What the authority says besides its answers: that it wants to be left alone; and clocks that do not agree with its own."""

import email.utils
import json
import os
import platform
import time

from acme_test import NAMES, Internet
from front import DIRECTORY, Front
from pebble import Pebble, make_certificates

FAKETIME = f"/usr/lib/{platform.machine()}-linux-gnu/faketime/libfaketime.so.1"
HOUR = 3600


def off_by(time_span):
    """The environment of a program whose clock is off; what waits still waits as long as it should."""
    return {"LD_PRELOAD": FAKETIME, "FAKETIME": time_span, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


class RetryAfter(Internet):
    def setUp(self):
        super().setUp()
        self.front = Front(self.folder)
        self.addCleanup(self.front.stop)

    def client(self, **settings):
        return super().client(directory=DIRECTORY, **settings)

    def refused_for(self, client):
        """Seconds from now to the next attempt, after a run that was turned away."""
        client.run()
        return client.known()["failing"]["next"] - time.time()

    def limit(self, retry_after):
        """Turns new orders away as Let's Encrypt does (RFC 8555 section 6.6)."""
        problem = json.dumps({"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many new orders", "status": 429})
        headers = [("Content-Type", "application/problem+json"), ("Retry-After", retry_after)]
        self.front.refuse = lambda path: (429, headers, problem.encode()) if "order-plz" in path else None

    def test_a_limit_is_waited_for_and_nobody_is_asked_meanwhile(self):
        client = self.client()
        self.limit(str(30 * HOUR))
        wait = self.refused_for(client)
        self.assertTrue(30 * HOUR - 60 < wait <= 30 * HOUR + 5, wait)
        self.assertIn("too many new orders", client.status()["failing"]["reason"])
        asked = len(self.front.requests)
        for _ in range(3):
            client.run()
        self.assertEqual(len(self.front.requests), asked, "it was asked before the time")
        self.front.refuse = lambda path: None
        client.forget_pause()
        client.run()
        self.assertEqual((client.names(), client.status()["failing"]), (NAMES, None))

    def test_an_overloaded_front_end_names_a_date(self):
        client = self.client()
        date = email.utils.formatdate(time.time() + 5 * HOUR, usegmt=True)
        self.front.refuse = lambda path: (503, [("Content-Type", "text/html"), ("Retry-After", date)], b"<h1>Busy</h1>")
        wait = self.refused_for(client)
        self.assertTrue(5 * HOUR - 60 < wait <= 5 * HOUR + 5, wait)
        self.assertIn("503", client.status()["failing"]["reason"])

    def test_a_second_is_no_reason_to_hurry(self):
        client = self.client()
        self.limit("1")
        self.assertGreater(self.refused_for(client), 800)

    def test_a_year_is_not_waited_for(self):
        client = self.client()
        self.limit(str(365 * 24 * HOUR))
        self.assertLess(self.refused_for(client), 8 * 24 * HOUR)

    def test_an_order_is_looked_at_no_sooner_than_the_authority_says(self):
        self.pebble.stop()
        self.pebble = Pebble(self.folder, {"PEBBLE_VA_NOSLEEP": "0", "PEBBLE_VA_SLEEPTIME": "7"})
        self.addCleanup(self.pebble.stop)
        self.front.slow_down = "4"
        client = self.client()
        client.run()
        self.assertEqual(client.names(), NAMES)
        looks = [at for at, _, path in self.front.requests if "my-order" in path]
        # The first one is after proofs were offered; the last two are about another state of the order.
        pauses = [later - earlier for earlier, later in zip(looks[:-2], looks[1:-1])]
        self.assertTrue(pauses, self.front.requests)
        self.assertGreater(min(pauses), 3.9, pauses)


class Clocks(Internet):
    def setUp(self):
        # The authority's own certificate is valid for whoever is a day behind.
        self.certificates = off_by("-3d")
        super().setUp()

    def prepare(self):
        make_certificates(self.folder, os.environ | self.certificates)

    def test_a_clock_that_is_off_by_a_day_gets_one_certificate_and_not_another_when_it_is_set(self):
        for days in ("-1d", "+1d"):
            with self.subTest(clock=days):
                orders = self.pebble.orders()
                client = self.client()
                wrapper = ["env", *(f"{name}={value}" for name, value in off_by(days).items())]
                client.run(wrapper=wrapper)
                self.assertEqual((client.names(), client.fits()), (NAMES, True))
                client.run(wrapper=wrapper)
                for _ in range(2):
                    client.run()
                self.assertEqual(self.pebble.orders() - orders, 1)
                self.assertEqual(client.status()["failing"], None)
                # A renewal is planned by the certificate's own dates, whatever the clock was.
                status = client.status()
                days_in = (status["renewal"] - status["not_before"]) / 86400
                self.assertTrue(30 < days_in < 75, days_in)
