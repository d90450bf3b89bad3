"""What a broken or foreign cache holds is refused with its place and a cure, and nothing is written."""

import re

import pytest
from bench import FOREIGN
from hostile import CASES, hostile


def test_foreign_key(bench, cache, refuses):
    """Refused: a foreign key, and no key."""
    refuses("a foreign key", "no signature of a trusted key", *bench.from_cache(cache, FOREIGN))
    refuses("no key", "no key is given for the caches", "--from", f"file://{cache}", status=2)


def test_altered_record(bench, refuses, broken):
    """Refused: a record that was altered."""
    copy, record, _ = broken("signature")
    record.write_text(re.sub(r"NarSize: (\d+)", lambda found: f"NarSize: {int(found[1]) + 8}", record.read_text()))
    refuses("a record that was altered", "no signature of a trusted key", *bench.from_cache(copy))


def test_missing_reference(bench, refuses, broken):
    """Refused: a cache in which a reference is missing."""
    copy, record, _ = broken("reference")
    needed = re.search(r"References: (?:\S+ )*?(\w{32})-userland", record.read_text())[1]
    (copy / f"{needed}.narinfo").unlink()
    pattern = rf"no cache has /nix/store/{needed}-userland-1, and /nix/store/\S+ refers to it.*nix copy"
    refuses("a missing reference", pattern, *bench.from_cache(copy))


def test_flipped_byte(bench, refuses, broken, nothing_fetched):
    """Refused: a flipped byte."""
    copy, _, nar = broken("flipped")
    content = bytearray(nar.read_bytes())
    content[len(content) // 2] ^= 1
    nar.chmod(0o644)
    nar.write_bytes(content)
    refuses("a flipped byte", "has SHA-256 .* its pin says", *bench.from_cache(copy))


def test_truncated_archive(bench, refuses, broken, nothing_fetched):
    """Refused: an archive that ends too early."""
    copy, _, nar = broken("truncated")
    nar.chmod(0o644)
    nar.write_bytes(nar.read_bytes()[:-9])
    refuses("a truncated archive", r"can't fetch \S+-nixos-system-toy-1.*ended after \d+ of \d+ bytes", *bench.from_cache(copy))


def test_another_architecture(bench, cache, refuses):
    """Refused: a system for another architecture than the target's."""
    pattern = "is a system for x86_64, and the target rpi4 is a machine with aarch64.*--target"
    refuses("another architecture", pattern, *bench.from_cache(cache), target="rpi4")


def test_no_system(bench, system, cache, refuses):
    """Refused: what is no system, what is no store path, a store without it, and a folder that is no store."""
    userland = re.search(r"\S+-userland-1", (cache / f"{system.removeprefix('/nix/store/')[:32]}.narinfo").read_text())[0]
    pattern = "is not a NixOS system: it has no `init`.*toplevel"
    refuses("what is no system", pattern, *bench.from_cache(cache), path=f"/nix/store/{userland}")
    refuses("what is no store path", "is not a path of a Nix store", *bench.from_cache(cache), path="/etc/passwd", status=2)
    empty = bench.work / "empty-store"
    (empty / "nix/store").mkdir(parents=True)
    refuses("a store without it", "is not in .*nix copy", "--from", empty)
    refuses("a folder that is no store", "can't be read as a Nix store", "--from", bench.work)


@pytest.mark.parametrize("what", CASES)
def test_hostile(bench, broken, refuses, what):
    """Refused, though the trusted key has signed it."""
    hostile(bench, broken, refuses, what)
