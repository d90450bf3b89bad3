"""Proofs in the DNS: by signed updates of a real name server (BIND), and by a program."""

import base64
import os
import pathlib
import stat
import subprocess
import time
import unittest

from acme_test import NAMES, Internet
from pebble import DOMAIN, Pebble

# Port 53 belongs to the DNS of the other tests.
SERVER, PORT = "127.0.0.1", 5354
SECRET = base64.b64encode(b"k" * 32).decode()
CONFIGURATION = f"""
options {{ directory "@DIR@"; listen-on port {PORT} {{ {SERVER}; }}; listen-on-v6 {{ none; }}; pid-file none; recursion no;
  dnssec-validation no; session-keyfile none; notify no; }};
controls {{ }};
key "acme" {{ algorithm hmac-sha256; secret "{SECRET}"; }};
zone "{DOMAIN}" {{ type primary; file "zone"; update-policy {{ grant acme zonesub TXT; }}; }};
"""
ZONE = f"""$TTL 60
@ IN SOA ns.{DOMAIN}. hostmaster.{DOMAIN}. 1 3600 600 86400 60
@ IN NS ns.{DOMAIN}.
ns IN A {SERVER}
"""


@unittest.skipUnless(os.environ.get("NAMED"), "there is no BIND: $NAMED")
class SignedUpdates(Internet):
    def setUp(self):
        super().setUp()
        self.pebble.stop()
        folder = self.folder / "bind"
        folder.mkdir()
        (folder / "named.conf").write_text(CONFIGURATION.replace("@DIR@", str(folder)))
        (folder / "zone").write_text(ZONE)
        self.log = folder / "log"
        with open(self.log, "wb") as log:
            named = subprocess.Popen([os.environ["NAMED"], "-g", "-c", folder / "named.conf"], stdout=log, stderr=log)
        self.addCleanup(named.wait)
        self.addCleanup(named.kill)
        deadline = time.monotonic() + 20
        while "running" not in self.log.read_text():
            assert time.monotonic() < deadline and named.poll() is None, self.log.read_text()
            time.sleep(0.1)
        self.pebble = Pebble(self.folder, dns=f"{SERVER}:{PORT}")
        self.addCleanup(self.pebble.stop)

    def settings(self, key_name="acme", server=f"{SERVER}:{PORT}", zones=(DOMAIN,)):
        provider = {"kind": "rfc2136", "server": server, "key_name": key_name, "zones": list(zones)}
        return {"challenge": {"kind": "dns-01", "wait": 1, "provider": provider}}

    def test_a_name_server_that_takes_signed_updates(self):
        client = self.client(**self.settings())
        (client.credentials / "acme-dns-key").write_text(SECRET)
        client.run()
        self.assertEqual(client.names(), NAMES, self.log.read_text())
        self.assertEqual(self.log.read_text().count("adding an RR at"), len(NAMES))
        self.assertEqual(self.log.read_text().count("deleting an RR at"), len(NAMES), "records stay behind")

    def test_what_it_refuses_is_said(self):
        client = self.client(**self.settings())
        self.assertIn("mailkiln-agent secret set acme-dns-key", client.run())
        (client.credentials / "acme-dns-key").write_text(base64.b64encode(b"x" * 32).decode())
        client.forget_pause()
        said = client.run()
        self.assertIn("did not take", said)
        self.assertIn("_acme-challenge", said)
        client.settings.update(self.settings(zones=["example.org"]))
        client.write_settings()
        client.forget_pause()
        self.assertIn("acme.dns_zones", client.run())
        client.settings.update(self.settings(server=f"{SERVER}:5"))
        client.write_settings()
        client.forget_pause()
        self.assertIn("did not take", client.run())


class Hook(Internet):
    def hook(self, text):
        path = pathlib.Path(self.folder) / "hook"
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return {"challenge": {"kind": "dns-01", "wait": 0, "provider": {"kind": "exec", "program": str(path)}}}

    def test_a_program_puts_the_records_there(self):
        client = self.client(**self.hook("""#!/bin/sh
set -eu
echo "$1 $2" >>"$(dirname "$0")/hook.log"
case $1 in
  present) curl -fsS -d "{\\"host\\": \\"$2.\\", \\"value\\": \\"$3\\"}" http://127.0.0.1:8055/set-txt ;;
  remove) curl -fsS -d "{\\"host\\": \\"$2.\\"}" http://127.0.0.1:8055/clear-txt ;;
esac
"""))
        client.run()
        self.assertEqual(client.names(), NAMES)
        lines = sorted((self.folder / "hook.log").read_text().split("\n")[:-1])
        expected = [f"{step} _acme-challenge.{name}" for step in ("present", "remove") for name in NAMES]
        self.assertEqual(lines, sorted(expected))

    def test_a_program_that_fails_is_quoted(self):
        client = self.client(**self.hook("#!/bin/sh\necho 'the token is wrong' >&2\nexit 3\n"))
        self.assertIn("exit status: 3: the token is wrong", client.run())
        self.assertIsNotNone(client.status()["failing"])


if __name__ == "__main__":
    unittest.main()
