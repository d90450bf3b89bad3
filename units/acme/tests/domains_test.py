"""Many domains: each has a certificate of its own, and what is wrong with one of them costs no other."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import unittest

from acme_test import LABELS, NAMES, Internet
from pebble import DOMAIN, HOST, openssl

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "mail-server" / "tests"))
from server import PORTS, MailServer  # noqa: E402


def names_of(domain):
    """What is answered in a domain."""
    return {f"{label}.{domain}" for label in LABELS}


class Domains(Internet):
    def fleet(self, *domains, **settings):
        """A client with these domains beside the host's, all of which point here."""
        for name in set().union(*(names_of(domain) for domain in domains)):
            self.dns.point(name, "127.0.0.1")
        return self.client(certificates=[{"name": domain, "names": sorted(names_of(domain))} for domain in domains], **settings)

    def shown(self, client, domain):
        """The names of a domain's certificate; none where it has none."""
        chain = client.certificate.parent / domain / "fullchain.pem"
        if chain.parent.is_symlink() or not chain.exists():
            return set()
        return set(re.findall(r"DNS:([^,\s]+)", openssl("x509", "-noout", "-ext", "subjectAltName", "-in", chain)))

    def state(self, client, domain):
        """The file with what is remembered of a domain's certificate."""
        return client.state / "further" / domain / "state.json"

    def forget_pauses(self, client, *domains):
        """As if an hour were over."""
        client.forget_pause()
        for domain in domains:
            state = json.loads(self.state(client, domain).read_text())
            state["names_checked"] = 0
            state["failing"] = None
            for left_out in state["left_out"].values():
                left_out["next"] = 0
            self.state(client, domain).write_text(json.dumps(state))

    def test_thirty_four_domains_are_no_order_of_a_hundred_names(self):
        domains = [f"d{number}.test" for number in range(33)]
        client = self.fleet(*domains)
        client.run()
        self.assertEqual((client.names(), self.pebble.issued()), (NAMES, 34))
        for domain in domains:
            self.assertEqual(self.shown(client, domain), names_of(domain))
        self.assertEqual(sorted(os.listdir(client.certificate.parent)), sorted([HOST, *domains]))
        keys = {(client.certificate.parent / name / "key.pem").read_text() for name in [HOST, *domains]}
        self.assertEqual(len(keys), 34, "each has a key of its own")
        orders = self.pebble.orders()
        client.run()
        self.assertEqual(self.pebble.orders(), orders, "nothing is ordered twice")
        self.assertTrue(client.status()["good"])

    def test_a_domain_without_dns_costs_no_other_one_and_comes_later(self):
        client = self.fleet("a.test", "b.test", "c.test")
        for name in names_of("b.test"):
            self.dns.point(name)
        client.run()
        self.assertEqual(client.names(), NAMES)
        self.assertEqual([self.shown(client, domain) for domain in ("a.test", "b.test", "c.test")],
                         [names_of("a.test"), set(), names_of("c.test")])
        status = {one["name"]: one for one in client.status()["certificates"]}
        self.assertEqual(set(status["b.test"]["left_out"]), names_of("b.test"))
        self.assertEqual((status["b.test"]["kind"], status["b.test"]["failing"]), ("none", None))
        self.assertTrue(client.status()["good"], "nobody can help that but the domain's owner")
        before = [self.serial(client, domain) for domain in ("a.test", "c.test")]
        client.run("renew")
        self.assertTrue(all(one != other for one, other in zip(before, [self.serial(client, it) for it in ("a.test", "c.test")], strict=True)))
        orders = self.pebble.orders()
        client.run()
        self.assertEqual(self.pebble.orders(), orders, "an hour has not passed")
        for name in names_of("b.test"):
            self.dns.point(name, "127.0.0.1")
        self.forget_pauses(client, "b.test")
        client.run()
        self.assertEqual((self.shown(client, "b.test"), self.pebble.orders()), (names_of("b.test"), orders + 1))

    def serial(self, client, domain):
        """Serial number of a domain's certificate."""
        return openssl("x509", "-noout", "-serial", "-in", client.certificate.parent / domain / "fullchain.pem")

    def test_a_host_without_dns_costs_no_domain_its_certificate(self):
        client = self.fleet("a.test")
        for name in NAMES:
            self.dns.point(name)
        said = client.run()
        self.assertIn("it has no address in the DNS", said)
        self.assertEqual(self.shown(client, "a.test"), names_of("a.test"), said)
        self.assertFalse(client.certificate.exists())

    def test_a_domain_that_the_authority_refuses_fails_alone(self):
        self.dns.point("blocked.example.test", "127.0.0.1")
        client = self.fleet("a.test")
        client.settings["certificates"].insert(0, {"name": "blocked.example.test", "names": ["blocked.example.test"]})
        client.write_settings()
        client.run()
        self.assertEqual((client.names(), self.shown(client, "a.test")), (NAMES, names_of("a.test")))
        refused = client.status()["certificates"][0]
        self.assertIn("blocked.example.test", refused["failing"]["reason"])
        self.assertIsNone(client.status()["failing"])
        orders = self.pebble.orders()
        client.run()
        self.assertEqual(self.pebble.orders(), orders, "it pauses, and the others have theirs")

    def test_names_move_out_of_an_older_certificate_without_a_gap(self):
        client = self.client(names=[*sorted(NAMES), *sorted(names_of("a.test"))])
        for name in names_of("a.test"):
            self.dns.point(name, "127.0.0.1")
        client.run()
        self.assertEqual(client.names(), NAMES | names_of("a.test"))
        client.settings["names"] = sorted(NAMES)
        client.settings["certificates"] = [{"name": "a.test", "names": sorted(names_of("a.test"))}]
        client.write_settings()
        # What the agent puts there before the first run.
        (client.certificate.parent / "a.test").symlink_to(HOST)
        client.run()
        self.assertEqual((client.names(), self.shown(client, "a.test")), (NAMES | names_of("a.test"), names_of("a.test")))
        client.run()
        self.assertEqual((client.names(), self.shown(client, "a.test")), (NAMES, names_of("a.test")))
        self.assertTrue(client.fits())

    def test_one_word_to_the_programs_however_many_have_changed(self):
        client = self.fleet("a.test", "b.test")
        client.run()
        told = client.state / "installed"
        self.assertEqual(told.read_text().split(), [client.status()["sha256"], *(one["sha256"] for one in client.status()["certificates"])])
        for one in client.status()["certificates"]:
            self.assertEqual((client.state / "further" / one["name"] / "installed").read_text(), one["sha256"])
        # The power went before they heard of it.
        (client.state / "further/a.test/installed").unlink()
        before = told.stat().st_mtime_ns
        client.run()
        self.assertGreater(told.stat().st_mtime_ns, before)
        self.assertEqual((client.state / "further/a.test/installed").read_text(), client.status()["certificates"][0]["sha256"])
        before = told.stat().st_mtime_ns
        client.run()
        self.assertEqual(told.stat().st_mtime_ns, before)

    def test_the_mail_server_shows_the_one_that_fits_the_name(self):
        client = self.fleet("a.test")
        # As the agent leaves it: the host's certificate is in the place of the domain's.
        (client.certificate.parent / "a.test").symlink_to(HOST)
        client.settings["certificates"], certificates = [], client.settings["certificates"]
        client.write_settings()
        client.run()

        def edit(text):
            for name in ("fullchain", "key"):
                text = text.replace(f"{server.directory}/{name}.pem", str(client.certificate / f"{name}.pem"))
            folder = client.certificate.parent / "a.test"
            return text + f'\n[certificate."a.test"]\ncert = "%{{file:{folder}/fullchain.pem}}%"\nprivate-key = "%{{file:{folder}/key.pem}}%"\n'

        server = MailServer()
        server.edit = edit
        with server:
            self.assertEqual(self.seen(server, "mta-sts.a.test"), NAMES)
            client.settings["certificates"] = certificates
            client.write_settings()
            client.run()
            # What the path unit does on the appliance.
            server.process.send_signal(signal.SIGHUP)
            server.wait_notified("READY=1")
            self.assertEqual(self.seen(server, "mta-sts.a.test"), names_of("a.test"))
            for name in (HOST, f"mta-sts.{DOMAIN}", "stranger.test"):
                self.assertEqual(self.seen(server, name), NAMES)

    def seen(self, server, name):
        """The names of the certificate that whoever asks for `name` is shown."""
        command = ["openssl", "s_client", "-connect", f"{server.ip}:{PORTS['imaps']}", "-servername", name]
        said = subprocess.run(command, input="", capture_output=True, text=True, timeout=60, check=False).stdout
        return set(re.findall(r"DNS:([^,\s]+)", openssl("x509", "-noout", "-ext", "subjectAltName", input=said)))


if __name__ == "__main__":
    unittest.main()
