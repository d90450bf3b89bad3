"""Boots a board's image on QEMU's machine for it.

QEMU takes the place of the board's first firmware alone: U-Boot, device tree, UKI, verified root and all that follows are those
of the image. The machine has no network (see its target's file), so that mail flows is what the appliance says of itself: it is
"ready" when a message that it handed in over SMTP was read over IMAP.
"""

import contextlib
import time

import pytest
from life import READY
from machine import BootFailed

pytestmark = pytest.mark.ends_the_machine

BOARD = "rpi3"
# The machine translates four slow processors, and moves the bytes of the card one by one.
BOOT_SECONDS = 1500
# A card's size must be a power of two; a smaller one is formatted sooner.
CARD = "1G"
# What the console shows on the way, in the order of the way.
STAGES = [
    ("U-Boot sees the card", r"^MMC: +mmc@"),
    ("it starts the UKI, which starts the kernel", "EFI stub: Booting Linux Kernel"),
    ("the kernel has the device tree that U-Boot was given", "EFI stub: Using DTB from configuration table"),
    ("the firmware is U-Boot's", r"efi: EFI v[\d.]+ by Das U-Boot"),
    ("it reached multi-user", "Reached target .*multi-user.target"),
]



@pytest.fixture(scope="session")
def machine(place, desk):
    """The board, switched on."""
    image, workdir = place.board(BOARD), place.folder("board")
    desk.clear()
    return desk.start(place.mailkiln, image, workdir / "card.qcow2", str(workdir), "uefi", disk_size=CARD)


@pytest.fixture(scope="session")
def ready(machine):
    """The board, when it is ready or when it should have been: how far it came is what the other checks say."""
    with contextlib.suppress(BootFailed):
        machine.wait_for(READY, BOOT_SECONDS)
        print(f"    ready after {time.monotonic() - machine.started:.0f} s", flush=True)
    return machine


def test_ready(ready):
    """Boots and takes and serves a message to itself."""
    ready.wait_for(READY, 5)


@pytest.mark.parametrize("pattern", [pytest.param(pattern, id=sentence) for sentence, pattern in STAGES])
def test_stage(ready, pattern):
    """The console shows on the way."""
    ready.wait_for(pattern, 5)


def test_no_failed_unit(ready):
    """No unit has failed."""
    failed = [line for line in ready.console().splitlines() if "FAILED" in line]
    assert not failed, failed


def test_account(ready):
    """An account was made."""
    assert ready.passwords(), "no account was made"
