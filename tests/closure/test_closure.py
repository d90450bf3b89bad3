"""Images from a NixOS closure, checked by real Nix and by a boot.

Real Nix builds a small system from packages of the lock
(fixture.nix), copies it into a signed file:// cache, and mailkiln makes images of it: from the cache and from the store, for
x86_64 and aarch64. Partition tables and file systems are judged by their own tools, the store by `nix-store --verify
--check-contents`, over the extracted root and on the booted machine. Then the cache is broken in the ways that matter.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import time
import tomllib

import pytest
from bench import ENVIRONMENT, boot_partition, cases_of, judged, loaded, partition, run
from driver import tools
from driver.tools import digest
from driver.workplace import ROOT
from https_cache import HttpsCache

# As much of nixpkgs as the module asks for; packages are this machine's.
MODULE = """
let
  lib = { mkDefault = value: value; getExe' = _: name: name; makeBinPath = _: "/usr/bin:/bin"; };
  pkgs = { writeShellScript = _: text: text; coreutils = null; gawk = null; };
  config = { boot.loader.efi.efiSysMountPoint = ""; nix.package.out = null; };
in
(import MODULES/image.nix { inherit config lib pkgs; }).boot.loader.systemd-boot.extraInstallCommands
"""


def test_boots_begin(boots):
    """The x86_64 image starts under UEFI and BIOS."""
    assert all(boots("x86_64", firmware).qemu.poll() is None for firmware in ("uefi", "bios"))


def test_accepted(on_disk):
    """x86_64: sgdisk, fsck.fat, e2fsck and nix-store --verify --check-contents accept the image."""
    assert on_disk


def test_boot_partition(system, on_disk):
    """x86_64: systemd-boot and GRUB start kernel and initrd of the system."""
    esp = on_disk[0]
    entry = boot_partition(esp, system, "x86_64")
    grub = tools.output("mtype", "-i", esp, "::/kiln/grub.cfg").decode()
    assert f"linux {entry['linux']} " in grub and f"initrd {entry['initrd']}\n" in grub, grub


def test_follows(bench, on_disk):
    """nixosModules.image: after a switch, GRUB starts the default entry; of the image's own, it says what the image says."""
    esp = on_disk[0]
    folder = bench.work / "boot"
    folder.mkdir()
    run("mcopy", "-s", "-i", esp, "::/loader", "::/kiln", folder)
    config = folder / "kiln/grub.cfg"
    made = config.read_text()
    expression = MODULE.replace("MODULES", str(ROOT / "modules"))
    script = json.loads(bench.nix("nix-instantiate", "--eval", "--strict", "--json", "-E", expression))
    config.write_text("set timeout=0\n")
    run("bash", "-c", script, "script", folder)
    assert config.read_text() == made, config.read_text()
    # A newer generation, in the words of newer nixpkgs, with a parameter that GRUB is told in quotes.
    (folder / "loader/loader.conf").write_text("timeout 5\npreferred nixos-2.conf\ndefault nixos-*\n")
    (folder / "loader/entries/nixos-2.conf").write_text("title NixOS\nlinux /EFI/nixos/k\ninitrd /EFI/nixos/i\noptions init=/x a=$b\n")
    run("bash", "-c", script, "script", folder)
    assert config.read_text() == "set timeout=0\nlinux /EFI/nixos/k init=/x 'a=$b'\ninitrd /EFI/nixos/i\nboot\n", config.read_text()


def test_registered(bench, system, on_disk):
    """nix-path-registration says of every path what Nix itself would write down, but for derivers."""
    registration = on_disk[2]
    paths = bench.nix("nix-store", "--query", "--requisites", system).split()
    lines = registration.splitlines()
    theirs = {}
    for path in paths:
        info = json.loads(bench.nix("nix", "path-info", "--json", path))[path]
        nar = bench.nix("nix", "hash", "convert", "--to", "base16", info["narHash"]).strip()
        theirs[path] = [path, nar, str(info["narSize"]), "", str(len(info["references"])), *sorted(info["references"])]
    assert lines == sum((theirs[path] for path in sorted(theirs)), []), registration


def test_same_bytes(bench, system, cache, image):
    """The same bytes twice, and from the cache and the local store alike."""
    again = bench.image(system, "x86_64", bench.work / "again", *bench.from_cache(cache))
    local = bench.image(system, "x86_64", bench.work / "local", "--from", bench.root)
    assert digest(image) == digest(again) == digest(local), "not the same bytes"


def test_same_bytes_from_xz(bench, system, image):
    """The same bytes from archives in xz."""
    bench.copy(system, bench.work / "cache-xz", "xz")
    assert digest(image) == digest(bench.image(system, "x86_64", bench.work / "xz", *bench.from_cache(bench.work / "cache-xz")))


def test_over_https(bench, system, image):
    """The same bytes over https of a private authority, uncompressed, over a line that breaks; a server that nobody vouches for is refused."""
    pebble = loaded(ROOT / "units/acme/tests/pebble.py")
    folder, out = bench.work / "cache-none", bench.work / "none"
    bench.copy(system, folder, "none")
    # What an earlier run fetched would not be asked for.
    kept = loaded(ROOT / "tests/nix/unpack").cache_folder() / "blobs"
    for name in map(digest, (folder / "nar").iterdir()):
        (kept / name[:2] / name).unlink(missing_ok=True)
    pebble.make_certificates(bench.work)
    cache = HttpsCache(folder, bench.work)
    source = ["--from", cache.address, "--trusted-public-key", bench.public]
    try:
        said = bench.build(system, "x86_64", out, *source, status=1)
        assert re.search(r"(?i)certificate|issuer", said) and not cache.asked and not out.exists(), said
        ENVIRONMENT["SSL_CERT_FILE"] = str(bench.work / "authority.pem")
        assert digest(image) == digest(bench.image(system, "x86_64", out, *source))
        print(f"    a transfer that broke went on at byte {cache.resumed()}")
    finally:
        ENVIRONMENT.pop("SSL_CERT_FILE", None)
        cache.stop()


def test_aarch64(bench, arm, arm_image, boots):
    """aarch64: built on this machine; accepted by the same tools."""
    boots("aarch64", "uefi")
    esp, _, _ = judged(bench, arm_image, bench.work / "aarch64")
    boot_partition(esp, arm, "aarch64")


def test_boards(bench, arm, arm_cache):
    """Every board gets what its firmware looks for beside the system, or says which device tree is not there."""
    system, cache = arm, arm_cache
    built = []
    known = pathlib.Path(f"{bench.root}{os.readlink(f'{bench.root}{system}/dtbs')}")
    for file in sorted((ROOT / "images").glob("*.toml")):
        target = tomllib.loads(file.read_text())
        # Targets that extend a base are clouds, which name no device tree.
        trees = target.get("boot", {}).get("device_trees")
        if not trees or target["arch"] != "aarch64":
            continue
        out = bench.work / "boards"
        missing = [tree for tree in trees["files"] if not (known / tree).exists()]
        if missing:
            said = bench.build(system, file.stem, out, "--format", "img", *bench.from_cache(cache), status=1)
            assert f"names the device tree {missing[0]}" in said and "hardware.deviceTree" in said, said
            print(f"    refused: {file.stem} with a kernel that does not know it")
            continue
        image = bench.image(system, file.stem, out, "--format", "img", *bench.from_cache(cache))
        assert "No problems found" in run("sgdisk", "-v", image)
        esp = partition(image, "esp", bench.work / "board-esp")
        run("fsck.fat", "-n", esp)
        boot_partition(esp, system, "aarch64")
        names = [f"{trees.get('folder', '')}/{tree.rsplit('/', 1)[1]}".lstrip("/") for tree in trees["files"]]
        for name in names + [entry["path"] for entry in target["boot"].get("files", [])]:
            run("mdir", "-b", "-i", esp, f"::/{name}")
        with open(image, "rb") as disk:
            for blob in target["boot"].get("blobs", []):
                disk.seek(blob["lba"] * 512)
                assert any(disk.read(4096)), blob
        shutil.rmtree(out)
        built.append(file.stem)
    assert built, "no board was built"
    print(f"    {', '.join(built)}")


def test_large(bench):
    """A store path of 100,000 files takes less than 400 MiB of memory; e2fsck is content."""
    many = 100_000
    system = bench.system("x86_64", many)
    cache = bench.work / "large-cache"
    bench.copy(system, cache)
    started = time.monotonic()
    command = [bench.mailkiln, "build", "--target", "x86_64", "--closure", system, "-o", bench.work / "large", "--lock", bench.lock, *bench.from_cache(cache)]
    child = subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, "the large system was not built"
    seconds, memory = time.monotonic() - started, usage.ru_maxrss // 1024
    (image,) = (bench.work / "large").glob("*.img")
    assert memory < 400, f"{memory} MiB"
    root = partition(image, "nixos", bench.work / "large-root")
    run("e2fsck", "-fn", root)
    listed = run("debugfs", "-R", f'ls -p "/nix/store/{cases_of(bench, system)}/a folder/b"', root)
    assert listed.count("file-") == many, listed.count("file-")
    print(f"    {seconds:.0f} s, {memory} MiB of memory")


@pytest.mark.parametrize("arch, firmware", [("x86_64", "uefi"), ("x86_64", "bios"), ("aarch64", "uefi")])
def test_booted(boots, arch, firmware):
    """Booted; nix-store --load-db and --verify --check-contents are content with every path, and ext4 grew online."""
    boots(arch, firmware).verdict()
