"""Boots an appliance under QEMU and checks it as its users would.

Boot 1 (UEFI): every check of `*_checks.py`, then the disk is filled and the plug is pulled in a stream of deliveries.
Boot 2 (same disk, BIOS or U-Boot): nothing acknowledged was lost, and the full disk can be emptied.
Boot 3 (UEFI, a byte of the root partition flipped): the flip is detected.

The x86_64 appliance has a seed; the aarch64 one has a ClamAV of its own, which gets its signatures from here. Each takes certificates
from an authority that runs during boot 1. A test asks for the step of a life (life.py) that it needs, so that it can run alone.
"""

import mail_checks
import pytest
import seed_checks
import system_checks
from clients import find
from life import BOOT_SECONDS, never_ready


@pytest.mark.only_with("clamav")
def test_waits_for_signatures(life):
    """Without signatures of ClamAV mail waits, and the console says so."""
    life.without_signatures()


def test_boots(life):
    """Boots under UEFI and says that it is ready."""
    life.world()


def test_dkim_published(life):
    """The DKIM records of the device can be published."""
    life.world()
    life.published()


def test_check(life, check):
    """What its sentence says."""
    life.world().prove(check)


@pytest.mark.ends_the_machine
def test_forget(life):
    """The first passwords can be forgotten."""
    life.forgotten()


@pytest.mark.ends_the_machine
def test_stream(life):
    """Deliveries are acknowledged in a stream, until the power is cut."""
    life.power_cut()


@pytest.mark.ends_the_machine
def test_boots_again(life):
    """Boots under its other firmware after the power cut."""
    life.again()


@pytest.mark.ends_the_machine
def test_nothing_lost(life):
    """Every message acknowledged before the power cut is there."""
    world = life.again()
    missing = [s for s in world.acknowledged if not find(mail_checks.BOB, world.passwords[mail_checks.BOB], s, seconds=90)]
    assert not missing, f"acknowledged but lost: {missing} of {world.acknowledged}"


@pytest.mark.ends_the_machine
def test_no_failed_unit_after(life):
    """No unit has failed after the power cut either."""
    system_checks.no_failed_unit(life.again())


@pytest.mark.ends_the_machine
def test_same_identity(life):
    """It is the same machine after a restart."""
    system_checks.same_identity(life.again())


@pytest.mark.ends_the_machine
def test_passwords_not_shown_again(life):
    """Passwords that were forgotten are not shown again."""
    assert not life.again().machine.passwords(), "the console shows passwords that were forgotten"


@pytest.mark.ends_the_machine
def test_full_disk(life):
    """On the full disk mail is deferred and deleting works; with room again mail comes in."""
    mail_checks.full_disk(life.again())


@pytest.mark.ends_the_machine
def test_guessing(life):
    """Wrong passwords are refused, and lock nobody out."""
    mail_checks.guessing(life.again())


@pytest.mark.ends_the_machine
@pytest.mark.only_with("seed")
def test_seed_gone(life):
    """The seed's place on the card is zeros."""
    life.switched_off()
    _, seed = life.prepared()
    seed_checks.gone_from_the_card(seed, str(life.disk))


@pytest.mark.ends_the_machine
def test_flipped_byte(life):
    """A flipped byte in the root partition is detected."""
    machine = life.flipped()
    machine.wait_for(r"verity.*corrupted|dm-verity.*corrupt|metadata block \d+ is corrupted", BOOT_SECONDS)
    assert never_ready(machine)
