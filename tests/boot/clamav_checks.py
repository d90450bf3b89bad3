"""Checks of an appliance with a ClamAV of its own, whose signatures come from this test: nobody fetches any here."""

import re

from checks import Checks
from clients import find
from filter_checks import BOB, message, send, zipped

WORD, REGEX = b"a word that only this signature knows", b"marked-1234-here"
# One kind of signature that needs no program beside clamd, and one that its regular expressions must run in the sandbox for.
SIGNATURES = {
    "own.ndb": f"Mailkiln.Test.Word:0:*:{WORD.hex()}",
    "own.ldb": f"Mailkiln.Test.Regex;Engine:81-255,Target:0;0&1;{b'marked-'.hex()};0/marked-[0-9]{{4}}-here/",
}
WAITING = r"^mailkiln: not ready: ClamAV has no signatures yet, and mail waits until they have come"

CHECKS = Checks()
WANTS = "clamav"


def shell(machine, key, command):
    """Standard output of `command`, before there is a world."""
    done = machine.shell(key, command)
    assert done.returncode == 0, f"`{command}` ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def waits(machine, key, seconds):
    """Until there are signatures, nothing passes unseen, and no unit has failed."""
    machine.wait_for(WAITING, seconds)
    code, text = send(message("before the signatures"))
    assert code == 451, (code, text)
    state = shell(machine, key, "systemctl is-active clamav-daemon.path clamav-daemon.service; systemctl --failed --no-legend").split()
    assert state == ["active", "inactive"], state
    journal = shell(machine, key, "journalctl -u mailkiln-filter -o cat")
    assert re.search(r"before the signatures|is deferred: clamd at /run/clamav/clamd\.ctl", journal), journal


def bring_signatures(machine, key):
    """Puts them where freshclam does, and as it does: whole. All at once, as clamd starts with the first and looks for
    others ten minutes later.
    """
    written = "".join(f"echo '{line}' >.{name} && chmod 644 .{name} && " for name, line in SIGNATURES.items())
    shown = " && ".join(f"mv .{name} {name}" for name in SIGNATURES)
    shell(machine, key, f"mkdir -p /var/lib/clamav && cd /var/lib/clamav && {written}{shown}")


@CHECKS("ClamAV started with the first signature, as its own user, on a socket that only the filter's group opens")
def socket(world):
    world.shell("systemctl is-active clamav-daemon")
    assert world.shell("stat -c '%a %U %G' /run/clamav/clamd.ctl").split() == ["660", "clamav", "clamav"]
    pid = world.shell("systemctl show --value --property MainPID mailkiln-filter").strip()
    groups = re.search(r"^Groups:(.*)$", world.shell(f"cat /proc/{pid}/status"), re.MULTILINE)[1].split()
    assert "806" in groups, groups
    refused = world.machine.shell(world.key, "runuser -u mailkiln -- test -w /run/clamav/clamd.ctl")
    assert refused.returncode == 1, "others can use the socket"


@CHECKS("the units of ClamAV have an exposure of 2.0 or better, and little memory with few signatures")
def exposure(world):
    for unit in ("clamav-daemon", "clamav-freshclam"):
        text = world.shell(f"systemd-analyze security --no-pager {unit}.service | tail -1")
        level = float(re.search(r": ([\d.]+) ", text)[1])
        assert level <= 2.0, f"{unit}: {level}"
        print(f"    {unit}: {level}", flush=True)
    memory = int(world.shell("systemctl show --value --property MemoryCurrent clamav-daemon"))
    print(f"    clamd with two signatures: {memory >> 20} MiB", flush=True)


@CHECKS("what only a signature of ClamAV knows is refused on port 25, by name; the rest is delivered")
def known(world):
    for subject, content, name in (("a word", WORD, b"Mailkiln.Test.Word"), ("a regex", REGEX, b"Mailkiln.Test.Regex")):
        code, text = send(message(subject, ("notes.zip", zipped("notes.txt", content))))
        assert code == 550 and name in text, (code, text)
    code, text = send(message("nothing known", ("notes.zip", zipped("notes.txt", b"marked-12-here"))))
    assert code == 250, (code, text)
    assert find(BOB, world.passwords[BOB], "nothing known")


@CHECKS("fetching signatures without a way out fails politely: it is tried again, and nothing is broken")
def unreachable(world):
    assert world.shell("systemctl is-failed clamav-freshclam || true").strip() in ("activating", "inactive")
    journal = world.shell("journalctl -u clamav-freshclam -o cat")
    assert "database.clamav.net" in journal, journal
    assert world.shell("stat -c %U /var/lib/clamav").strip() == "freshclam"


@CHECKS("signatures that are a week old are a warning of the health check")
def old(world):
    health = "runuser -u mailkiln -g mailkiln -G mailkiln-acme -- mailkiln-agent health"
    assert "signatures are 0 days old" in world.shell(health)
    world.shell("touch -d '9 days ago' /var/lib/clamav/own.*")
    assert "signatures are 9 days old; see" in world.shell(health)
    world.shell("touch /var/lib/clamav/own.*")
