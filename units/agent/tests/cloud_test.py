"""First boot data: every metadata service played as its provider documents it, in a network namespace of the test.

Played, not real: no cloud was asked. The agent is real, and so are addresses, headers, statuses and times.
"""

import base64
import contextlib
import http.server
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl alice@laptop"
FRAGMENT = '#mailkiln\n[host]\nname = "mx.example.net"\n[[domain]]\nname = "example.net"\n'
ENCODED = base64.b64encode(FRAGMENT.encode()).decode()
V4 = "169.254.169.254"

DMI = {
    "ec2": {"sys_vendor": "Amazon EC2"},
    "gce": {"product_name": "Google Compute Engine"},
    "azure": {"sys_vendor": "Microsoft Corporation", "chassis_asset_tag": "7783-7084-3265-9085-8269-3286-77"},
    "openstack": {"product_name": "OpenStack Nova"},
    "hetzner": {"sys_vendor": "Hetzner"},
    "digitalocean": {"sys_vendor": "DigitalOcean"},
    "oracle": {"chassis_asset_tag": "OracleCloud.com"},
}
PLACES = {
    "ec2": [V4, "fd00:ec2::254"],
    "gce": [V4],
    "azure": [V4, "168.63.129.16"],
    "openstack": [V4],
    "hetzner": [V4, "fe80::a9fe:a9fe"],
    "digitalocean": [V4],
    "oracle": [V4, "fd00:c1::a9fe:a9fe"],
}
GOAL_STATE = """<?xml version="1.0" encoding="utf-8"?>
<GoalState xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><Version>2012-11-30</Version><Incarnation>7</Incarnation>
<Machine><ExpectedState>Started</ExpectedState></Machine><Container><ContainerId>c-0</ContainerId><RoleInstanceList><RoleInstance>
<InstanceId>r-0</InstanceId><State>Started</State></RoleInstance></RoleInstanceList></Container></GoalState>"""


class Cloud:
    """What the services know, and how they answer: (status, body, headers)."""

    def __init__(self, user_data=FRAGMENT):
        self.user_data = user_data
        self.encoded = base64.b64encode(user_data.encode()).decode()
        self.reports = []

    def ec2(self, method, path, headers, _body):
        if method == "PUT" and path == "/latest/api/token":
            return (200, "t0ken==", {}) if headers.get("X-aws-ec2-metadata-token-ttl-seconds", "").isdigit() else (400, "", {})
        if headers.get("X-aws-ec2-metadata-token") != "t0ken==":
            return 401, "", {}
        return self.table(path, {
            "/latest/meta-data/instance-id": "i-0123",
            "/latest/meta-data/local-hostname": "ip-10-0-0-1.ec2.internal",
            "/latest/meta-data/public-keys/": "0=alice",
            "/latest/meta-data/public-keys/0/openssh-key": KEY,
            "/latest/user-data": self.user_data,
        })

    def gce(self, _method, path, headers, _body):
        if headers.get("Metadata-Flavor") != "Google" or headers.get("Host") != "metadata.google.internal":
            return 403, "", {}
        status, body, _ = self.table(path, {
            "/computeMetadata/v1/instance/id": "4711",
            "/computeMetadata/v1/instance/hostname": "mx.c.project.internal",
            "/computeMetadata/v1/instance/attributes/ssh-keys": f"alice:{KEY}\nbob:ssh-rsa AAAA google-ssh {{\"userName\":\"b\"}}",
            "/computeMetadata/v1/instance/attributes/block-project-ssh-keys": "TRUE",
            "/computeMetadata/v1/project/attributes/ssh-keys": "eve:ssh-ed25519 EEEE eve",
            "/computeMetadata/v1/instance/attributes/user-data": self.encoded,
            "/computeMetadata/v1/instance/attributes/user-data-encoding": "base64",
        })
        return status, body, {"Metadata-Flavor": "Google"}

    def azure(self, method, path, headers, body):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(path).query))
        if path.startswith("/machine/"):
            if headers.get("x-ms-version") != "2012-11-30":
                return 400, "", {}
            if query.get("comp") == "goalstate":
                return 200, GOAL_STATE, {}
            if method == "POST" and query.get("comp") == "health":
                self.reports.append(body)
                return 200, "", {}
            return 404, "", {}
        if headers.get("Metadata") != "true" or "X-Forwarded-For" in headers or "api-version" not in query:
            return 400, "", {}
        return self.table(urllib.parse.urlsplit(path).path, {
            "/metadata/instance/compute/vmId": "02aab8a4-74ef-476e-8182-f6d2ba4166a6",
            "/metadata/instance/compute": json.dumps({
                "name": "mx", "osProfile": {"computerName": "mx"}, "userData": self.encoded,
                "publicKeys": [{"keyData": KEY.replace(" alice", "\r\n alice"), "path": "/root/.ssh/authorized_keys"}]}),
        })

    def openstack(self, _method, path, _headers, _body):
        network = {"links": [{"id": "l", "ethernet_mac_address": "fa:16:3e:00:00:01"}],
                   "networks": [{"link": "l", "type": "ipv4", "ip_address": "192.0.2.10", "netmask": "255.255.255.0",
                                 "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "192.0.2.1"}]}], "services": []}
        return self.table(path, {
            "/openstack/latest/meta_data.json": json.dumps({"uuid": "u-1", "hostname": "mx.novalocal", "public_keys": {"alice": KEY + "\n"}}),
            "/openstack/latest/user_data": self.user_data,
            "/openstack/latest/network_data.json": json.dumps(network),
        })

    def hetzner(self, _method, path, _headers, _body):
        if path == "/hetzner/v1/userdata" and not self.user_data:
            return 204, "", {}
        return self.table(path, {
            "/hetzner/v1/metadata": f"availability-zone: fsn1-dc14\nhostname: mx\ninstance-id: 42\npublic-ipv4: 192.0.2.1\npublic-keys:\n- {KEY}\n",
            "/hetzner/v1/userdata": self.user_data,
        })

    def digitalocean(self, _method, path, _headers, _body):
        return self.table(path, {"/metadata/v1.json": json.dumps({
            "droplet_id": 2756294, "hostname": "mx", "user_data": self.user_data, "public_keys": [KEY], "dns": {"nameservers": ["192.0.2.53"]},
            "interfaces": {"public": [{"mac": "04:01:2a:0f:2a:01", "type": "public",
                                       "ipv4": {"ip_address": "192.0.2.9", "netmask": "255.255.255.0", "gateway": "192.0.2.1"}}]}})})

    def oracle(self, _method, path, headers, _body):
        if headers.get("Authorization") != "Bearer Oracle":
            return 403, "", {}
        return self.table(path, {"/opc/v2/instance/": json.dumps({
            "id": "ocid1.instance.oc1.x", "hostname": "mx", "metadata": {"ssh_authorized_keys": KEY, "user_data": self.encoded}})})

    @staticmethod
    def table(path, known):
        return (200, known[path], {}) if path in known else (404, "not found", {})


class Handler(http.server.BaseHTTPRequestHandler):
    """Plays the cloud; `mood` says what goes wrong."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length).decode()
        with server.lock:
            server.seen.append((self.command, self.path))
            count = len(server.seen)
        mood = server.mood
        if mood == "flaky" and count % 2:
            return self.answer(503, "later", {})
        if mood == "busy" and count < 3:
            return self.answer(429, "", {})
        if mood == "slow once" and count == 1:
            time.sleep(3)
        if mood == "drip":
            # One byte a second: every byte comes in time, and the answer never ends.
            with contextlib.suppress(OSError):
                self.send_response(200)
                self.send_header("Content-Length", "60")
                self.end_headers()
                for _ in range(60):
                    self.wfile.write(b"x")
                    time.sleep(1)
            return None
        if mood == "huge":
            return self.answer(200, "A" * (1 << 20), {"Metadata-Flavor": "Google"})
        if mood == "redirect":
            return self.answer(302, "", {"Location": "http://127.0.0.1/elsewhere", "Metadata-Flavor": "Google"})
        if mood == "portal":
            return self.answer(200, "<html>please log in</html>", {})
        if mood == "forbidden":
            return self.answer(403, "", {"Metadata-Flavor": "Google"})
        if mood == "garbage":
            with contextlib.suppress(OSError):
                self.wfile.write(b"\xff\x00" * 500)
            self.close_connection = True
            return None
        status, text, headers = getattr(server.cloud, server.name)(self.command, self.path, self.headers, body)
        return self.answer(status, text, headers)

    do_PUT = do_POST = do_GET

    def answer(self, status, text, headers):
        body = text.encode()
        with contextlib.suppress(OSError):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if status != 204:
                self.wfile.write(body)

    def log_message(self, *_):
        pass


class Six(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


def play(scenario):
    """In the namespace: addresses, servers, and the agent's commands. Prints what came of it."""
    name, mood = scenario["cloud"], scenario["mood"]
    ip = lambda *words: subprocess.run(["ip", *words], check=True)  # noqa: E731
    ip("link", "set", "lo", "up")
    ip("link", "add", "d0", "type", "veth", "peer", "name", "d1")
    ip("link", "set", "d1", "up")
    ip("link", "set", "d0", "up")
    root = pathlib.Path(scenario["root"])
    interface = root / "sys/class/net/d0"
    interface.mkdir(parents=True, exist_ok=True)
    (interface / "ifindex").write_text(f"{socket.if_nametoindex('d0')}\n")
    cloud, seen, lock, servers = Cloud(scenario["user_data"]), [], threading.Lock(), []
    for place in scenario["places"]:
        device = "d0" if place.startswith("fe80") else "lo"
        ip("addr", "add", place + ("/128" if ":" in place else "/32"), "dev", device, *(["nodad"] if ":" in place else []))
        scope = socket.if_nametoindex("d0") if device == "d0" else 0
        kind, address = (Six, (place, 80, 0, scope)) if ":" in place else (http.server.ThreadingHTTPServer, (place, 80))
        server = kind(address, Handler)
        server.cloud, server.seen, server.lock, server.name, server.mood = cloud, seen, lock, name, mood
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
    errors, begun = "", time.monotonic()
    for command in ("local", "fetch", "apply"):
        done = subprocess.run([os.environ["AGENT"], "--root", str(root), "cloud", command], capture_output=True, text=True, timeout=300, check=False)
        errors += done.stderr
        if done.returncode != 0:
            break
    print(json.dumps({"status": done.returncode, "errors": errors, "seen": seen, "reports": cloud.reports, "seconds": time.monotonic() - begun}))


class Machine:
    """A machine of a cloud, as far as the agent sees it."""

    def __init__(self, dmi):
        self.folder = tempfile.TemporaryDirectory(prefix="mailkiln-cloud-")
        self.root = pathlib.Path(self.folder.name)
        for name in ("sys/class/dmi/id", "dev/disk/by-label", "run/mailkiln-cloud", "run/mailkiln-cloud-fetch", "run/mailkiln-seed",
                     "run/systemd/network", "var/lib/mailkiln-cloud", "var/lib/ssh/authorized_keys", "var/lib/ssh/etc/ssh"):
            (self.root / name).mkdir(parents=True)
        for name, text in dmi.items():
            (self.root / "sys/class/dmi/id" / name).write_text(text + "\n")

    def boot(self, cloud="ec2", mood="right", places=None, user_data=FRAGMENT):
        scenario = {"cloud": cloud, "mood": mood, "places": PLACES[cloud] if places is None else places, "user_data": user_data, "root": str(self.root)}
        # Root needs no user namespace for a network of its own.
        unshare = ["unshare", "--net"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
        done = subprocess.run([*unshare, sys.executable, __file__, json.dumps(scenario)], capture_output=True, text=True, timeout=400, check=False)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return json.loads(done.stdout)

    def text(self, path):
        path = self.root / path
        return path.read_text() if path.exists() else ""

    def kept(self):
        found = json.loads(self.text("var/lib/mailkiln-cloud/kept.json") or "{}").get("found") or {}
        if found.get("user_data") is not None:
            found["user_data"] = bytes(found["user_data"]).decode()
        return found


@unittest.skipUnless(os.environ.get("AGENT"), "AGENT names the program to test")
class CloudTest(unittest.TestCase):

    def test_every_cloud_says_who_the_machine_is(self):
        instances = {"ec2": "i-0123", "gce": "4711", "azure": "02aab8a4-74ef-476e-8182-f6d2ba4166a6", "openstack": "u-1", "hetzner": "42",
                     "digitalocean": "2756294", "oracle": "ocid1.instance.oc1.x"}
        for cloud, instance in instances.items():
            with self.subTest(cloud):
                machine = Machine(DMI[cloud])
                played = machine.boot(cloud)
                self.assertEqual(played["status"], 0, played)
                found = machine.kept()
                self.assertEqual((found["source"], found["instance"], found["user_data"]), (cloud, instance, FRAGMENT), played)
                self.assertEqual(machine.text("var/lib/ssh/authorized_keys/root.cloud"), KEY + "\n")
                self.assertEqual(machine.text("run/mailkiln-cloud/instance"), instance)
                self.assertEqual((machine.root / "var/lib/mailkiln-cloud/kept.json").stat().st_mode & 0o777, 0o600)
                self.assertLess(played["seconds"], 20)
                if cloud == "azure":
                    self.assertEqual(len(played["reports"]), 1)
                    for part in ("<ContainerId>c-0</ContainerId>", "<InstanceId>r-0</InstanceId>", "<State>Ready</State>", "<GoalStateIncarnation>7<"):
                        self.assertIn(part, played["reports"][0])

    def test_ipv6_serves_where_there_is_no_ipv4(self):
        for cloud, place in (("ec2", "fd00:ec2::254"), ("oracle", "fd00:c1::a9fe:a9fe"), ("hetzner", "fe80::a9fe:a9fe")):
            with self.subTest(cloud):
                machine = Machine(DMI[cloud])
                played = machine.boot(cloud, places=[place])
                self.assertEqual(machine.kept().get("source"), cloud, played)

    def test_a_machine_that_is_in_no_cloud_asks_nobody_and_waits_for_nothing(self):
        for dmi in ({}, {"sys_vendor": "QEMU"}, {"sys_vendor": "LENOVO"}, {"sys_vendor": "Microsoft Corporation"}):
            machine = Machine(dmi)
            played = machine.boot("ec2")
            self.assertEqual((played["status"], played["seen"], played["errors"]), (0, [], ""), played)
            self.assertLess(played["seconds"], 2)

    def test_services_that_are_busy_are_asked_again(self):
        for mood in ("flaky", "busy", "slow once"):
            for cloud in ("ec2", "gce"):
                with self.subTest(mood, cloud=cloud):
                    machine = Machine(DMI[cloud])
                    played = machine.boot(cloud, mood)
                    self.assertEqual(machine.kept().get("source"), cloud, played)

    def test_wrong_and_hostile_answers_end_at_once_and_are_named(self):
        cases = [("gce", "huge", "larger than 64 KiB"), ("ec2", "huge", "larger than 64 KiB"), ("gce", "redirect", "it redirects"),
                 ("hetzner", "redirect", "it redirects"), ("gce", "portal", "lacks the header that proves it"), ("gce", "forbidden", "status 403"),
                 ("ec2", "portal", "its token has the wrong shape"), ("openstack", "portal", "no JSON"), ("oracle", "forbidden", "status 403"),
                 ("digitalocean", "portal", "no JSON"), ("hetzner", "portal", "makes no sense|has no `instance-id`")]
        for cloud, mood, part in cases:
            with self.subTest(cloud, mood=mood):
                machine = Machine(DMI[cloud])
                played = machine.boot(cloud, mood)
                self.assertEqual(played["status"], 0, "the machine goes on")
                self.assertRegex(machine.text("run/mailkiln-cloud/notes"), part)
                self.assertEqual(machine.text("var/lib/ssh/authorized_keys/root.cloud"), "")
                self.assertLess(played["seconds"], 30)
                self.assertNotIn(["GET", "/elsewhere"], played["seen"])

    def test_nothing_in_user_data_and_things_that_are_not_for_us(self):
        machine = Machine(DMI["hetzner"])
        machine.boot("hetzner", user_data="")
        self.assertIsNone(machine.kept()["user_data"])
        machine = Machine(DMI["ec2"])
        machine.boot("ec2", user_data="#!/bin/sh\nrm -rf /\n")
        self.assertIn("scripts are never run", machine.text("run/mailkiln-cloud/notes"))
        machine = Machine(DMI["ec2"])
        machine.boot("ec2", user_data="#cloud-config\nssh_authorized_keys:\n- ssh-ed25519 BBBB b\n- command=\"sh\" ssh-ed25519 CCCC\n")
        self.assertEqual(machine.text("var/lib/ssh/authorized_keys/root.cloud"), f"{KEY}\nssh-ed25519 BBBB b\n")

    def test_a_copy_of_the_disk_is_noticed(self):
        machine = Machine(DMI["ec2"])
        machine.boot("ec2")
        (machine.root / "var/lib/ssh/etc/ssh/ssh_host_ed25519_key").write_text("x")
        (machine.root / "run/machine-id").write_text("a" * 32 + "\n")
        machine.boot("ec2")
        self.assertEqual(machine.text("var/lib/ssh/etc/ssh/ssh_host_ed25519_key"), "x")
        kept = machine.root / "var/lib/mailkiln-cloud/kept.json"
        kept.write_text(kept.read_text().replace("i-0123", "i-9999"))
        machine.boot("ec2")
        self.assertEqual(machine.text("var/lib/ssh/etc/ssh/ssh_host_ed25519_key"), "")
        self.assertNotEqual(machine.text("run/machine-id"), "a" * 32 + "\n")

    def test_static_networks_of_a_config_drive_come_before_the_network(self):
        machine = Machine({"sys_vendor": "QEMU"})
        content = machine.root / "content"
        (content / "openstack/latest").mkdir(parents=True)
        cloud = Cloud()
        for name in ("meta_data.json", "user_data", "network_data.json"):
            (content / "openstack/latest" / name).write_text(cloud.openstack("GET", f"/openstack/latest/{name}", {}, "")[1])
        drive = machine.root / "dev/disk/by-label/config-2"
        subprocess.run(["genisoimage", "-quiet", "-o", str(drive), "-V", "config-2", "-J", "-r", str(content)], check=True)
        played = machine.boot("ec2", places=[])
        self.assertEqual((played["status"], machine.kept()["instance"]), (0, "u-1"), played)
        network = machine.text("run/systemd/network/06-mailkiln-cloud-0.network")
        for line in ("MACAddress=fa:16:3e:00:00:01", "Address=192.0.2.10/24", "Gateway=192.0.2.1"):
            self.assertIn(line + "\n", network)
        # The drive is detached: the network stays.
        drive.unlink()
        (machine.root / "run/systemd/network/06-mailkiln-cloud-0.network").unlink()
        machine.boot("ec2", places=[])
        self.assertEqual(machine.text("run/systemd/network/06-mailkiln-cloud-0.network"), network)

    def test_two_minutes_are_the_most_and_the_machine_keeps_what_it_knows(self):
        """Three at once, since each takes its two minutes."""
        cases = [("ec2", "right", []), ("gce", "drip", None), ("openstack", "garbage", None)]
        results = {}

        def wait(index, cloud, mood, places):
            machine = Machine(DMI[cloud])
            machine.boot(cloud)
            results[index] = machine, machine.boot(cloud, mood, places)

        threads = [threading.Thread(target=wait, args=(index, *case)) for index, case in enumerate(cases)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(results), len(cases))
        for machine, played in results.values():
            self.assertEqual(played["status"], 0)
            self.assertTrue(115 < played["seconds"] < 140, played["seconds"])
            self.assertIn("did not answer in time", machine.text("run/mailkiln-cloud/notes"))
            self.assertEqual(machine.text("var/lib/ssh/authorized_keys/root.cloud"), KEY + "\n")
            self.assertEqual(machine.kept()["user_data"], FRAGMENT)


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].startswith("{"):
        play(json.loads(sys.argv[1]))
    else:
        unittest.main()
