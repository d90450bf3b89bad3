"""A certificate from a real authority on the host, seen by those who talk to the appliance."""

import contextlib
import json
import pathlib
import re
import subprocess
import sys
import time

from checks import Checks
from clients import LOCAL, imap, port
from mail_checks import ALICE

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "units/acme/tests"))
from pebble import HOST, Pebble  # noqa: E402

SECOND = {f"{label}.second.test" for label in ("autoconfig", "autodiscover", "mta-sts")}
NAMES = {HOST, *(f"{label}.example.test" for label in ("autoconfig", "autodiscover", "mta-sts"))}
LISTENERS = {443: (), 993: (), 465: (), 995: (), 143: ("-starttls", "imap"), 587: ("-starttls", "smtp"), 25: ("-starttls", "smtp")}
# Serving a renewed certificate is promised within a minute; emulated machines answer slowly.
SERVED_WITHIN = 60
# One run at a time: the timer's may have its last words to say.
RENEW = "while [ $(systemctl show --value --property SubState mailkiln-acme) = start ]; do sleep 1; done; mailkiln-acme renew"

CHECKS = Checks()


def publish(zone):
    """What the administrator puts into the DNS: all names but one. The guest's port 80 is loopback's 10080."""
    for name in NAMES | SECOND - {"mta-sts.second.test"}:
        zone.add(name, "A", LOCAL)


class Authority(Pebble):
    """pebble, which reaches the appliance by the forwarded port."""

    def __init__(self, folder):
        super().__init__(pathlib.Path(folder), http_port=port(80))


def fingerprint(number, *starttls, name=HOST):
    """SHA-256 of the certificate that a listener shows, and whether the authority's root vouches for it."""
    command = ["openssl", "s_client", "-connect", f"{LOCAL}:{port(number)}", "-servername", name, *starttls]
    shown = subprocess.run(command, input="", capture_output=True, text=True, timeout=120, check=False).stdout
    done = subprocess.run(["openssl", "x509", "-noout", "-fingerprint", "-sha256"], input=shown, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, (number, shown)
    return done.stdout.strip().split("=")[1].replace(":", "").lower()


def all_show(digest):
    """Waits until every listener shows the certificate."""
    deadline = time.monotonic() + SERVED_WITHIN
    while True:
        shown = {number: fingerprint(number, *starttls) for number, starttls in LISTENERS.items()}
        if set(shown.values()) == {digest}:
            return
        assert time.monotonic() < deadline, f"{digest} is not what is shown: {shown}"


def second(found):
    """What the client says of the second domain's certificate."""
    (only,) = found["certificates"]
    assert only["name"] == "second.test", only
    return only


def status(world):
    """What the client says on the machine."""
    return json.loads(world.shell("mailkiln-acme status --json || true"))


@CHECKS("the timer has got a certificate for every name with DNS, and each listener shows it")
def first_certificate(world):
    deadline = time.monotonic() + 300
    while (found := status(world))["kind"] != "acme" or second(found)["kind"] != "acme":
        assert time.monotonic() < deadline, found
        time.sleep(5)
    assert set(found["names"]) == NAMES and found["left_out"] == {}, found
    assert set(second(found)["names"]) == SECOND - {"mta-sts.second.test"}, found
    assert list(second(found)["left_out"]) == ["mta-sts.second.test"], found
    all_show(found["sha256"])
    modes = world.shell("cd /var/lib/mailkiln-acme/live/mail.example.test && stat -c '%n %a %G' *.pem").split("\n")
    assert sorted(line for line in modes if line) == sorted(
        [f"{name}.pem 640 mailkiln-acme" for name in ("fullchain", "key", "chain", "full")] + ["cert.pem 777 mailkiln-acme"]), modes


@CHECKS("a domain that the host does not lie in has a certificate of its own, which whoever asks for it is shown", after=[first_certificate])
def by_name(world):
    deadline = time.monotonic() + SERVED_WITHIN
    expected = second(status(world))["sha256"]
    while {fingerprint(number, name="autoconfig.second.test") for number in (443, 993)} != {expected}:
        assert time.monotonic() < deadline, f"{expected} is not what is shown"
        time.sleep(2)


@CHECKS("the account with the authority has the key of the seed, where there is one", after=[first_certificate])
def account(world):
    if not world.seed:
        return
    with open(f"{world.seed.folder}/acme-account-key.pem") as file:
        key = "".join(line.strip() for line in file if not line.startswith("-"))
    kept = json.loads(world.shell("cat /var/lib/mailkiln-acme/account.json"))["key"]
    assert kept == key.replace("+", "-").replace("/", "_").rstrip("="), "another key"


@CHECKS("the authority's root vouches for what IMAPS shows", after=[first_certificate])
def verified(world):
    root = world.authority.folder / "pebble-root.pem"
    root.write_bytes(world.authority.get("/roots/0"))
    done = subprocess.run(["openssl", "s_client", "-connect", f"{LOCAL}:{port(993)}", "-servername", HOST, "-CAfile", root,
                           "-verify_return_error", "-verify_hostname", HOST], input="", capture_output=True, text=True,
                          timeout=120, check=False)
    assert "Verify return code: 0 (ok)" in done.stdout, done.stdout + done.stderr


@CHECKS("after a renewal every listener shows the new certificate within a minute, and no connection is lost", after=[first_certificate])
def renewal(world):
    before = status(world)
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(imap(ALICE, world.passwords[ALICE])) for _ in range(3)]
        for session in sessions:
            session.select("INBOX")
        world.shell(RENEW, seconds=300)
        after = status(world)
        assert after["sha256"] != before["sha256"] and after["tlsa"] == before["tlsa"], (before, after)
        all_show(after["sha256"])
        for session in sessions:
            assert session.noop()[0] == "OK"
    journal = world.shell("journalctl --no-pager -o cat -u mail-server | tail -n 200")
    assert not re.search(r"Main process exited|Scheduled restart", journal), journal


@CHECKS("a name that gets its DNS later joins the certificate", after=[first_certificate])
def late_name(world):
    world.zone.add("mta-sts.second.test", "A", LOCAL)
    world.shell(RENEW, seconds=300)
    found = status(world)
    assert set(second(found)["names"]) == SECOND and second(found)["left_out"] == {}, found
    all_show(found["sha256"])


@CHECKS("the web unit answers proofs, and the client holds neither a port nor a capability")
def answered_by_the_web_unit(world):
    settings = json.loads(world.shell("cat /etc/mailkiln/acme.json"))
    assert settings["challenge"]["served"] is True, settings
    shown = world.shell("systemctl show mailkiln-acme --property=AmbientCapabilities,CapabilityBoundingSet")
    assert shown.split() == ["CapabilityBoundingSet=", "AmbientCapabilities="], shown
    assert not world.shell("ls /var/lib/mailkiln-acme/challenges").strip(), "an answer was left behind"
    failed = world.shell("systemctl --failed --no-legend")
    assert not failed.strip(), failed
