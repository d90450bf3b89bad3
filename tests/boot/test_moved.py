"""Moves the state of one appliance to another whose processor is a different one, and goes on with the mail.

What the x86_64 appliance's power cut left is the start: its /var is copied, byte for byte and with its GUID, onto a fresh disk with an
aarch64 image, as docs/image.md tells.
"""

import json
import os
import subprocess

import mail_checks
import pytest
import system_checks
from checks import Checks, World
from clients import curl, deliver, find, pop3_texts, submit
from internet import publish
from life import FULL, READY
from mail_checks import ALICE, BOB

pytestmark = pytest.mark.ends_the_machine

BOOT_SECONDS = 600
DISK_SIZE = 6 << 30  # more than the old disk: the second slot of this image is made in front of /var
VAR_TYPE = "4d21b016-b534-45c2-a9fb-5c16e091fd2d"

CHECKS = Checks()


@CHECKS("the processor is another one, the machine ID and the journal are the same")
def identity(world):
    assert world.shell("uname -m").strip() == "aarch64"
    system_checks.same_identity(world)


@CHECKS("nothing was made anew: no password is shown, the DKIM keys are those that are published")
def nothing_new(world):
    assert not world.machine.passwords(), "the console shows passwords"
    assert world.shell("cat /var/lib/mailkiln/dkim/*.txt") == world.dkim


@CHECKS("mail that came in before is read over IMAPS and POP3S, filed as it was")
def old_mail(world):
    for subject, mailbox in (("by starttls", "INBOX"), ("from outside", "INBOX"), ("file me", "Filed")):
        assert find(BOB, world.passwords[BOB], subject, mailbox=mailbox), f"{subject} is not in {mailbox}"
    texts = pop3_texts(ALICE, world.passwords[ALICE])
    assert any(b"by smtps" in text for text in texts), len(texts)


@CHECKS("calendar and contacts are there")
def old_dav(world):
    login, user = ["--user", f"{BOB}:{world.passwords[BOB]}"], BOB.replace("@", "%40")
    with mail_checks.tunnel(world, 8080) as base:
        assert "SUMMARY:Launch" in curl(*login, f"{base}/dav/cal/{user}/default/one.ics")
        assert "FN:Carol Elsewhere" in curl(*login, f"{base}/dav/card/{user}/default/two.vcf")


@CHECKS("new mail is sent and received; the Sieve script still files it")
def new_mail(world):
    status, log = submit(ALICE, world.passwords[ALICE], BOB, "--header", "Subject: after the move")
    assert status == 0, log
    assert find(BOB, world.passwords[BOB], "after the move")
    status, log = deliver("carol@example.org", BOB, "--header", "Subject: file me after the move")
    assert status == 0, log
    assert find(BOB, world.passwords[BOB], "file me after the move", mailbox="Filed")


CHECKS.append(("what it sends to the world verifies with the published DKIM keys", mail_checks.outbound))
CHECKS.append(("the system is running and no unit has failed", system_checks.no_failed_unit))
CHECKS.append(("`mailkiln-agent health` exits 0", system_checks.health))


def var_of(program, disk):
    """Where /var is on a disk, and its GUID."""
    done = subprocess.run([program, "--json", "inspect", disk], capture_output=True, check=True)
    return next(part for part in json.loads(done.stdout)["partitions"] if part["label"] == "var")


def moved_disk(program, image, old, workdir):
    """A disk with `image`, and the /var of the qcow2 `old`."""
    raw, disk = os.path.join(workdir, "old.img"), os.path.join(workdir, "moved.img")
    subprocess.run(["qemu-img", "convert", "-O", "raw", old, raw], check=True)
    var = var_of(program, raw)
    subprocess.run(["cp", "--sparse=always", image, disk], check=True)
    os.truncate(disk, DISK_SIZE)
    # Whole MiB: beside a partition of any other length, systemd-repart finds no room for the second root.
    size = -(-var["size"] // (1 << 20))
    place = f"0:-{size + 2}M:+{size}M"
    command = ["/usr/sbin/sgdisk", "-e", "-n", place, "-t", f"0:{VAR_TYPE}", "-u", f"0:{var['guid']}", "-c", "0:var", disk]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    place = var_of(program, disk)
    assert place["guid"] == var["guid"] and place["size"] >= var["size"], (place, var)
    command = ["dd", f"if={raw}", f"of={disk}", "bs=1M", "iflag=skip_bytes,count_bytes", "oflag=seek_bytes", "status=none"]
    places = [f"skip={var['start']}", f"count={var['size']}", f"seek={place['start']}", "conv=sparse,notrunc"]
    subprocess.run([*command, *places], check=True)
    os.remove(raw)
    return disk


@pytest.fixture(scope="session")
def kept(place, lives, request):
    """The disk of the x86_64 appliance after its power cut, and what its owner knows."""
    folder = place.work / "kept"
    if not (folder / "known.json").exists():
        # ./check boots that one first; only who chooses a check of this file alone has to wait for it here.
        assert request.config.getoption("appliance") != "moved", "not run: the x86_64 appliance has left no disk"
        lives("x86_64").leave_mail_behind()
    return folder


@pytest.fixture(scope="session")
def world(place, desk, kept):
    """The aarch64 appliance with the other one's /var, booted."""
    known = json.loads((kept / "known.json").read_text())
    workdir = place.folder("moved")
    disk = moved_disk(str(place.mailkiln), str(place.image("aarch64-uefi")), str(kept / "disk.qcow2"), str(workdir))
    desk.clear()
    publish(desk.zone, known["dkim"])
    machine = desk.start(place.mailkiln, disk, workdir / "moved.qcow2", str(workdir), "uefi", disk_size=str(DISK_SIZE))
    machine.wait_for(FULL, BOOT_SECONDS)
    world = World(machine, desk.zone, desk.foreign, str(place.key), **known)
    world.shell(f"rm {mail_checks.FILLING}-*")
    machine.wait_for(READY, BOOT_SECONDS)
    return world


def test_boots(world):
    """Boots with the /var of the other machine."""
    assert world.machine.running()


@pytest.mark.parametrize("check", [pytest.param(function, id=f"moved: {sentence}") for sentence, function in CHECKS])
def test_check(world, check):
    """What its sentence says."""
    world.prove(check)
