"""The client against a real authority: what it obtains, what it leaves out, and what it survives."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

from pebble import DOMAIN, EAB, HOST, Client, Dns, Pebble, openssl

LABELS = ("autoconfig", "autodiscover", "mta-sts")
NAMES = {HOST, *(f"{label}.{DOMAIN}" for label in LABELS)}


class Internet(unittest.TestCase):
    """A DNS in which all names point here, and one authority for each test."""

    environment, eab, lifetime = {}, False, None

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="acme-test-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.prepare()
        self.dns = Dns(self.folder)
        self.addCleanup(self.dns.stop)
        for name in NAMES:
            self.dns.point(name, "127.0.0.1")
        self.pebble = Pebble(self.folder, self.environment, self.eab, self.lifetime)
        self.addCleanup(self.pebble.stop)

    def prepare(self):
        """For what must be there before the authority."""

    def client(self, **settings):
        return Client(self.folder, **settings)

    def other_server(self, web):
        """Serves a folder on port 80; returns what ends that."""
        server = subprocess.Popen(["python3", "-m", "http.server", "80", "-d", web],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", 80), 1):
                break
            time.sleep(0.1)

        def stop():
            server.kill()
            server.wait()

        return stop


class Certificates(Internet):
    def test_a_certificate_for_all_names_that_is_not_ordered_twice(self):
        client = self.client()
        client.run()
        self.assertEqual(client.names(), NAMES)
        self.assertTrue(client.fits())
        self.assertEqual(client.status()["kind"], "acme")
        before = client.file("fullchain")
        for _ in range(3):
            client.run()
        self.assertEqual((self.pebble.orders(), client.file("fullchain")), (1, before))
        for secret in ("key.pem", "account.json"):
            self.assertEqual((client.state / secret).stat().st_mode & 0o777, 0o600, secret)
        for name in ("fullchain", "key", "chain", "full"):
            self.assertEqual((client.certificate / f"{name}.pem").stat().st_mode & 0o777, 0o640, name)
        self.assertEqual(os.listdir(client.root / "var/lib/mailkiln-acme/live"), [HOST])
        self.assertEqual(os.listdir(client.root / "var/lib/mailkiln-acme/challenges"), [])

    def test_the_chain_leads_to_the_authority(self):
        client = self.client()
        client.run()
        root = self.folder / "pebble-root.pem"
        root.write_bytes(self.pebble.get("/roots/0"))
        chain = self.folder / "chain.pem"
        chain.write_text(client.file("chain"))
        leaf = self.folder / "leaf.pem"
        leaf.write_text(client.file("fullchain"))
        said = openssl("verify", "-CAfile", root, "-untrusted", chain, "-verify_hostname", HOST, leaf)
        self.assertIn("OK", said)

    def test_a_renewal_keeps_the_key_unless_told_otherwise(self):
        client = self.client()
        client.run()
        key, tlsa = client.file("key"), (client.state / "tlsa.txt").read_text()
        first = client.serial()
        client.run("renew")
        self.assertNotEqual(client.serial(), first)
        self.assertEqual((client.file("key"), (client.state / "tlsa.txt").read_text()), (key, tlsa))
        public = openssl("x509", "-noout", "-pubkey", input=client.file("fullchain"))
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=public.encode(), check=True, capture_output=True)
        digest = subprocess.run(["sha256sum"], input=der.stdout, check=True, capture_output=True).stdout.split()[0].decode()
        self.assertEqual(tlsa, f"_25._tcp.{HOST}. IN TLSA 3 1 1 {digest}\n")
        client.run("renew", "--new-key")
        self.assertNotEqual(client.file("key"), key)
        self.assertTrue(client.fits())

    def test_rsa_by_choice_and_a_changed_choice_makes_another_key(self):
        client = self.client(key="rsa-2048")
        client.run()
        self.assertIn("2048 bit", openssl("x509", "-noout", "-text", input=client.file("fullchain")))
        client.settings["key"] = "ecdsa-p256"
        client.write_settings()
        client.run()
        self.assertIn("prime256v1", openssl("x509", "-noout", "-text", input=client.file("fullchain")))
        self.assertTrue(client.fits())

    def test_tls_alpn_01(self):
        client = self.client(challenge={"kind": "tls-alpn-01", "listen": "0.0.0.0:443"})
        client.run()
        self.assertEqual(client.names(), NAMES)

    def test_somebody_else_serves_port_80(self):
        client = self.client()
        web = pathlib.Path(tempfile.mkdtemp(dir=self.folder)) / ".well-known"
        web.mkdir()
        (client.root / "var/lib/mailkiln-acme/challenges").mkdir()
        (web / "acme-challenge").symlink_to(client.root / "var/lib/mailkiln-acme/challenges")
        self.addCleanup(self.other_server(web.parent))
        self.assertIn("is in use", client.run())
        self.assertEqual(client.names(), NAMES)

    def test_the_administrators_own_certificate_is_left_alone(self):
        client = self.client()
        client.certificate.mkdir()
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9", "-subj", "/CN=own", "-keyout",
                client.certificate / "key.pem", "-out", client.certificate / "fullchain.pem")
        before = client.file("fullchain")
        client.run()
        self.assertEqual((client.file("fullchain"), self.pebble.orders()), (before, 0))
        self.assertEqual(client.status()["kind"], "foreign")

    def test_revocation_gets_another_certificate_with_another_key(self):
        client = self.client()
        client.run()
        serial, key = client.serial(), client.file("key")
        client.run("revoke", "key-compromise")
        self.assertTrue(self.pebble.revoked(serial))
        self.assertNotEqual(client.serial(), serial)
        self.assertNotEqual(client.file("key"), key)
        self.assertFalse(self.pebble.revoked(client.serial()))


class Names(Internet):
    def test_a_name_without_dns_is_left_out_and_comes_back(self):
        self.dns.point(f"mta-sts.{DOMAIN}")
        client = self.client()
        client.run()
        self.assertEqual(client.names(), NAMES - {f"mta-sts.{DOMAIN}"})
        self.assertEqual(client.status()["left_out"], {f"mta-sts.{DOMAIN}": "it has no address in the DNS"})
        client.run()
        self.assertEqual(self.pebble.orders(), 1, "an hour has not passed")
        self.dns.point(f"mta-sts.{DOMAIN}", "127.0.0.1")
        client.forget_pause()
        client.run()
        self.assertEqual((client.names(), client.status()["left_out"]), (NAMES, {}))

    def test_a_name_that_points_elsewhere_is_left_out(self):
        self.dns.point(f"autoconfig.{DOMAIN}", "127.9.9.9")
        # Nobody listens there: 127.9.9.9 is this machine, but the listener below is on 127.0.0.1.
        client = self.client(challenge={"kind": "http-01", "listen": "127.0.0.1:80"})
        client.run()
        self.assertEqual(client.names(), NAMES - {f"autoconfig.{DOMAIN}"})
        self.assertIn("127.9.9.9", client.status()["left_out"][f"autoconfig.{DOMAIN}"])

    def test_behind_a_router_a_name_at_another_address_that_reaches_us_counts(self):
        self.dns.point(f"autoconfig.{DOMAIN}", "127.1.2.3")
        client = self.client()
        client.run()
        self.assertEqual(client.names(), NAMES)

    def test_a_name_that_the_authority_refuses_costs_only_itself(self):
        self.dns.point("blocked.example.test", "127.0.0.1")
        client = self.client(names=[*sorted(NAMES), "blocked.example.test"])
        client.run()
        self.assertEqual(client.names(), NAMES)
        self.assertIn("blocked.example.test", client.status()["left_out"])

    def test_a_host_without_dns_asks_nobody_and_says_so(self):
        self.dns.point(HOST)
        client = self.client()
        said = client.run()
        self.assertIn("it has no address in the DNS", said)
        self.assertEqual(self.pebble.orders(), 0)
        self.dns.point(HOST, "127.0.0.1")
        client.forget_pause()
        client.run()
        self.assertEqual(client.names(), NAMES)


class WrongAnswers(Internet):
    environment = {"PEBBLE_VA_ALWAYS_VALID": "0"}

    def test_wrong_answers_are_refused_paused_and_overcome(self):
        web = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        (web / ".well-known/acme-challenge").mkdir(parents=True)
        stop = self.other_server(web)
        client = self.client()
        said = client.run()
        stop()
        self.assertIn("could not validate", said)
        failing = client.status()["failing"]
        self.assertIn(HOST, failing["reason"])
        orders = self.pebble.orders()
        client.run()
        self.assertEqual(self.pebble.orders(), orders, "there is a pause after a failure")
        self.assertGreater(failing["next"], time.time() + 800)
        client.forget_pause()
        client.run()
        self.assertEqual((client.names(), client.status()["failing"]), (NAMES, None))

    def test_insisting_never_exceeds_the_failures_that_an_authority_allows(self):
        web = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        self.addCleanup(self.other_server(web))
        client = self.client(names=[HOST])
        for _ in range(8):
            client.forget_pause() if (client.state / "state.json").exists() else None
            client.run()
        refused = client.known()["left_out"][HOST]["refused"]
        self.assertEqual(len(refused), 4)
        self.assertEqual(self.pebble.orders(), 4)

    def test_four_certificates_a_week_for_the_same_names_and_no_more(self):
        client = self.client()
        for _ in range(6):
            client.run("renew", status=None)
        self.assertEqual(self.pebble.issued(), 4)
        self.assertIn("no further order before", client.status()["failing"]["reason"])
        self.assertTrue(client.fits())


class BadNonces(Internet):
    environment = {"PEBBLE_WFE_NONCEREJECT": "15"}

    def test_nonces_that_are_refused_are_replaced(self):
        client = self.client()
        for _ in range(5):
            if client.run() and client.status()["kind"] == "acme":
                break
            client.forget_pause()
        self.assertEqual(client.names(), NAMES)
        self.assertGreater(self.pebble.count("badNonce|nonce"), 0)


class ShortLived(Internet):
    lifetime = 6 * 86400

    def test_six_days_are_renewed_while_two_are_left_and_the_authority_is_asked_when(self):
        client = self.client(profile="shortlived")
        client.run()
        client.run()
        status, suggested = client.status(), client.known()["suggested"]
        self.assertEqual(status["not_after"] - status["not_before"] + 1, self.lifetime)
        self.assertGreater(suggested["start"], status["not_before"], "pebble suggests when to renew (RFC 9773)")
        self.assertTrue(suggested["start"] <= status["renewal"] <= suggested["end"], (status, suggested))
        days = (status["renewal"] - status["not_before"]) / 86400
        self.assertTrue(3 < days < 5.5, days)


class Binding(Internet):
    eab = True

    def test_an_account_that_is_bound_to_another(self):
        client = self.client(eab_key_id=EAB[0])
        self.assertIn("mailkiln-agent secret set acme-eab-key", client.run())
        (client.credentials / "acme-eab-key").write_text(EAB[1])
        client.run("renew")
        self.assertEqual(client.names(), NAMES)

    def test_a_wrong_key_is_refused(self):
        client = self.client(eab_key_id=EAB[0])
        (client.credentials / "acme-eab-key").write_text("AAAA")
        self.assertIn("no account with the authority", client.run())


class SeedKey(Internet):
    def test_the_account_has_the_key_of_the_seed(self):
        client = self.client()
        key = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        (client.credentials / "acme-account-key").write_text(key)
        client.run()
        self.assertEqual(client.names(), NAMES)
        kept = json.loads((client.state / "account.json").read_text())
        lines = "".join(key.splitlines()[1:-1]).replace("+", "-").replace("/", "_").rstrip("=")
        self.assertEqual(kept["key"], lines)


class Outages(Internet):
    def test_an_authority_that_is_down_is_asked_ever_less_and_then_serves(self):
        client = self.client()
        self.pebble.stop()
        said = client.run()
        self.assertIn("Connect", said)
        client.run()
        self.assertEqual(client.known()["failing"]["attempts"], 1)
        self.pebble.start()
        client.forget_pause()
        client.run()
        self.assertEqual(client.names(), NAMES)

    def test_an_authority_that_has_forgotten_the_account_gets_a_new_one(self):
        client = self.client()
        client.run()
        self.pebble.stop()
        self.pebble.start()
        key = json.loads((client.state / "account.json").read_text())["key"]
        self.assertIn("making it again", client.run("renew"))
        self.assertEqual(client.status()["failing"], None)
        self.assertEqual(json.loads((client.state / "account.json").read_text())["key"], key)

    def test_a_full_disk_orders_nothing_and_keeps_what_is_there(self):
        client = self.client()
        client.run()
        before, orders = client.file("fullchain"), self.pebble.orders()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=64", "none", client.state], check=True)
        (client.state / "filler").write_bytes(b"x" * 60000)
        with contextlib.suppress(OSError):
            (client.state / "rest").write_bytes(b"x" * 9000)
        said = client.run("renew", status=None)
        self.assertIn("make room on /var", said)
        subprocess.run(["umount", client.state], check=True)
        self.assertEqual((client.file("fullchain"), self.pebble.orders()), (before, orders))
        client.run("renew")
        self.assertTrue(client.fits())

    def test_a_full_disk_at_the_last_step_costs_no_second_certificate(self):
        client = self.client()
        acme = client.root / "var/lib/mailkiln-acme/live"
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", acme], check=True)
        self.addCleanup(subprocess.run, ["umount", acme], check=False)
        (acme / "filler").write_bytes(b"x" * 8000)
        client.settings["challenge"] = {"kind": "tls-alpn-01", "listen": "0.0.0.0:443"}
        client.write_settings()
        client.run(status=1)
        self.assertEqual(self.pebble.issued(), 1)
        (acme / "filler").unlink()
        subprocess.run(["mount", "-o", "remount,size=1m", "none", acme], check=True)
        client.run()
        self.assertEqual((client.names(), self.pebble.issued()), (NAMES, 1))

    def test_two_runs_at_once_order_one_certificate(self):
        client = self.client()
        environment = os.environ | {"CREDENTIALS_DIRECTORY": str(client.credentials)}
        runs = [subprocess.Popen(client.command("run"), env=environment, stderr=subprocess.PIPE, text=True) for _ in range(4)]
        said = [run.communicate(timeout=120)[1] for run in runs]
        self.assertEqual(sum("another run" in text for text in said), 3, said)
        self.assertEqual((client.names(), self.pebble.orders()), (NAMES, 1))


class PowerCuts(Internet):
    CALLS = "rename,renameat,renameat2,fsync,unlink,mkdir,symlink"

    def test_killed_at_every_write_no_certificate_is_lost_and_none_given_twice(self):
        """The kernel kills it at the N-th call that changes a file, for every N; then it is started again."""
        number, whole = 0, False
        while not whole:
            number += 1
            client = self.client()
            orders, issued = self.pebble.orders(), self.pebble.issued()
            kill = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={self.CALLS}",
                    "-e", f"inject={self.CALLS}:signal=KILL:when={number}"]
            done = subprocess.run([*kill, *client.command("run")], capture_output=True, text=True, timeout=120, check=False,
                                  env=os.environ | {"CREDENTIALS_DIRECTORY": str(client.credentials)})
            whole = done.returncode == 0
            client.run()
            with self.subTest(call=number):
                self.assertEqual(client.names(), NAMES)
                self.assertTrue(client.fits())
                self.assertEqual(self.pebble.issued() - issued, 1)
                # One more only where the power goes between the authority's answer and its first write.
                self.assertLessEqual(self.pebble.orders() - orders, 2)
                told = (client.state / "installed").read_text()
                self.assertEqual(told, client.status()["sha256"])
                client.run()
                self.assertEqual(self.pebble.issued() - issued, 1)
        self.assertGreater(number, 20, "nearly nothing was cut")


if __name__ == "__main__":
    unittest.main()
