"""A certificate authority and the internet around it: pebble, and the DNS of its challenge test server.

In: the programs $PEBBLE and $CHALLTESTSRV (Debian's package `pebble`). Out: running processes on loopback, names that
resolve as a test says, and what the authority has done, read from its log.
"""

import base64
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request

HOST, DOMAIN = "mail.example.test", "example.test"
DIRECTORY = "https://127.0.0.1:14000/dir"
MANAGEMENT = "https://127.0.0.1:15000"
EAB = ("kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W")


def openssl(*arguments, **more):
    """Runs openssl and returns what it prints."""
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True, **more).stdout


def wait_for_port(port, process, log):
    """Until somebody listens on loopback."""
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(f"nobody listens on {port}:\n{log.read_text()}")


def make_certificates(folder, environment=None):
    """A root, and what the authority's own server shows, also to a machine under QEMU."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30")
    root, root_key = folder / "authority.pem", folder / "authority.key"
    openssl("req", "-x509", *key, "-subj", "/CN=authority", "-keyout", root_key, "-out", root, env=environment)
    openssl("req", "-x509", *key, "-subj", "/CN=server", "-addext", "subjectAltName=IP:127.0.0.1,IP:10.0.2.2",
            "-addext", "basicConstraints=critical,CA:FALSE", "-CA", root, "-CAkey", root_key,
            "-keyout", folder / "server.key", "-out", folder / "server.pem", env=environment)


class Dns:
    """The DNS: no name has an address until a test says so. Listens on 127.0.0.1:53."""

    def __init__(self, folder):
        self.log = folder / "dns.log"
        command = [os.environ["CHALLTESTSRV"], "-dns01", "127.0.0.1:53", "-http01", "", "-https01", "", "-tlsalpn01", "",
                   "-doh", "", "-management", "127.0.0.1:8055", "-defaultIPv4", "", "-defaultIPv6", ""]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for_port(8055, self.process, self.log)

    def post(self, what, **value):
        """A call of the test server's interface."""
        request = urllib.request.Request(f"http://127.0.0.1:8055/{what}", json.dumps(value).encode())
        urllib.request.urlopen(request, timeout=10).close()

    def point(self, name, *addresses):
        """Gives `name` these addresses, and no others."""
        self.post("clear-a", host=f"{name}.")
        if addresses:
            self.post("add-a", host=f"{name}.", addresses=list(addresses))

    def text(self, name, value):
        """Publishes a TXT record."""
        self.post("set-txt", host=name, value=value)

    def stop(self):
        """Ends it."""
        self.process.kill()
        self.process.wait()


class Pebble:
    """One authority. `environment` turns on its misbehaviour; `eab` makes it ask for a binding."""

    def __init__(self, folder, environment=None, eab=False, lifetime=None, retry_after=0, dns="127.0.0.1:53", http_port=80):
        self.folder, self.log, self.process = folder, folder / "pebble.log", None
        self.environment = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", **(environment or {})}
        self.root, self.dns = folder / "authority.pem", dns
        if not self.root.exists():
            make_certificates(folder)
        config = {
            "listenAddress": "0.0.0.0:14000", "managementListenAddress": "127.0.0.1:15000",
            "certificate": str(folder / "server.pem"), "privateKey": str(folder / "server.key"), "httpPort": http_port, "tlsPort": 443,
            "ocspResponderURL": "", "externalAccountBindingRequired": eab,
            "externalAccountMACKeys": {EAB[0]: EAB[1]} if eab else {}, "domainBlocklist": ["blocked.example.test"],
            "certificateValidityPeriod": lifetime or 7776000, "retryAfter": {"authz": retry_after, "order": retry_after},
            "profiles": {"default": {"description": "as usual", "validityPeriod": lifetime or 7776000},
                         "shortlived": {"description": "six days", "validityPeriod": 518400}},
        }
        (folder / "pebble.json").write_text(json.dumps({"pebble": config}))
        self.start()

    def start(self):
        """Starts it; it has forgotten everything that another one knew."""
        command = [os.environ["PEBBLE"], "-config", str(self.folder / "pebble.json"), "-dnsserver", self.dns]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | self.environment)
        wait_for_port(14000, self.process, self.log)
        wait_for_port(15000, self.process, self.log)

    def stop(self):
        """Ends it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def get(self, path):
        """A page of the management interface."""
        with urllib.request.urlopen(MANAGEMENT + path, timeout=10, context=untrusting()) as answer:
            return answer.read()

    def revoked(self, serial):
        """Whether it has revoked a certificate."""
        return json.loads(self.get(f"/cert-status-by-serial/{serial}"))["Status"] == "Revoked"

    def count(self, pattern):
        """How often the log says something."""
        return len(re.findall(pattern, self.log.read_text()))

    def orders(self):
        """Orders it has taken."""
        return self.count(r"Added order")

    def issued(self):
        """Certificates it has given."""
        return self.count(r"Issued certificate serial")


def untrusting():
    """TLS without any check: for pebble's own interface."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Client:
    """An appliance's ACME client with its own root directory."""

    def __init__(self, folder, **settings):
        self.root = pathlib.Path(tempfile.mkdtemp(dir=folder))
        self.state, self.certificate = self.root / "var/lib/mailkiln-acme", self.root / "var/lib/mailkiln-acme/live" / HOST
        self.credentials = self.root / "credentials"
        for path in ("etc/mailkiln", "var/lib/mailkiln-acme/live", "credentials"):
            (self.root / path).mkdir(parents=True)
        (self.root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
        self.settings = {
            "host": HOST, "names": [HOST, *(f"{label}.{DOMAIN}" for label in ("autoconfig", "autodiscover", "mta-sts"))],
            "directory": DIRECTORY, "contact": ["mailto:postmaster@example.test"], "key": "ecdsa-p256", "profile": None,
            "eab_key_id": None, "roots": str(folder / "authority.pem"), "keep_key": True,
            "challenge": {"kind": "http-01", "listen": "0.0.0.0:80"}, **settings,
        }
        self.write_settings()

    def write_settings(self):
        """Puts the settings into their place."""
        (self.root / "etc/mailkiln/acme.json").write_text(json.dumps(self.settings))

    def command(self, *arguments):
        """The command line."""
        return [os.environ["ACME"], "--root", str(self.root), *arguments]

    def run(self, *arguments, status=0, wrapper=(), seconds=240):
        """Runs a command; standard output and error."""
        done = subprocess.run([*wrapper, *self.command(*(arguments or ("run",)))], capture_output=True, text=True,
                              timeout=seconds, check=False, env=os.environ | {"CREDENTIALS_DIRECTORY": str(self.credentials)})
        assert status is None or done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def status(self):
        """What `status --json` says."""
        return json.loads(self.run("status", "--json", status=None))

    def known(self):
        """The kept state."""
        return json.loads((self.state / "state.json").read_text())

    def file(self, name):
        """One of the five files."""
        return (self.certificate / f"{name}.pem").read_text()

    def names(self):
        """DNS names of the certificate."""
        text = openssl("x509", "-noout", "-ext", "subjectAltName", input=self.file("fullchain"))
        return set(re.findall(r"DNS:([^,\s]+)", text))

    def serial(self):
        """Serial number of the certificate, in hex."""
        return openssl("x509", "-noout", "-serial", input=self.file("fullchain")).strip().split("=")[1].lower()

    def fits(self):
        """Whether key and certificate belong together, and all five files to each other."""
        public = openssl("x509", "-noout", "-pubkey", input=self.file("fullchain"))
        assert openssl("pkey", "-pubout", input=self.file("key")) == public
        assert self.file("full") == self.file("key") + self.file("fullchain")
        assert self.file("cert") == self.file("fullchain")
        assert self.file("fullchain").endswith(self.file("chain"))
        return True

    def forget_pause(self):
        """As if the pause after a failure were over."""
        state = self.known()
        if state["failing"]:
            state["failing"]["next"] = 0
        for left_out in state["left_out"].values():
            left_out["next"] = 0
        state["names_checked"] = 0
        (self.state / "state.json").write_text(json.dumps(state))


def main():
    """Makes the certificates of an authority in a folder, and prints the [acme] of an appliance that trusts it."""
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    make_certificates(folder)
    der = subprocess.run(["openssl", "x509", "-in", folder / "authority.pem", "-outform", "der"], check=True, capture_output=True)
    print(f'\n[acme]\ndirectory = "https://10.0.2.2:14000/dir"\nroots = ["{base64.b64encode(der.stdout).decode()}"]')


if __name__ == "__main__":
    main()
