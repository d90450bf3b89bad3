"""Builds the image of every board and checks from outside what its firmware will find on the card.

No board is at hand, so what can be known without one is: tables and file systems by sgdisk, sfdisk and fsck.fat, files by mtools,
device trees by fdtget, blobs against the packages that they come from and what these say about their places.
"""

import json
import os
import pathlib
import re
import shutil
import struct
import tomllib

import pytest
from driver.tools import output
from driver.workplace import ROOT

SECTOR = 512
# What a Raspberry Pi's configuration may say: its documentation, "config.txt".
KNOWN_SETTINGS = {"arm_64bit", "enable_uart", "upstream_kernel", "kernel"}
# The ROM of Rockchip's processors looks for this, RC4 over "RK" and zeros (Rockchip wiki, "Boot option").
ROCKCHIP = bytes.fromhex("3b8cdcfcbe9f9d51")
# Sectors at which the ROM of an A64, H5 or H6 looks for its loader: U-Boot's doc/board/allwinner/sunxi.rst. The first is inside a GPT.
ALLWINNER = (16, 256)


class Packages:
    """The files of locked packages, unpacked by dpkg-deb."""

    def __init__(self, lock, cache, work):
        self.pins, self.cache, self.work = tomllib.loads(lock.read_text())["packages"], cache, work

    def path(self, package, file):
        folder = self.work / "packages" / package
        if not folder.exists():
            pin = self.pins.get(f"{package}:arm64") or self.pins[f"{package}:all"]
            folder.parent.mkdir(parents=True, exist_ok=True)
            output("dpkg-deb", "-x", self.cache / "blobs" / pin["sha256"][:2] / pin["sha256"], folder)
        return folder / file


class Card:
    """One board's image."""

    def __init__(self, name, target, image, packages, work):
        self.name, self.target, self.image, self.packages, self.work = name, target, image, packages, work
        table = json.loads(output("sfdisk", "--json", image))["partitiontable"]
        self.partitions = {part["name"]: part for part in table["partitions"]}
        esp = self.partitions["esp"]
        self.esp = work / "esp"
        with open(image, "rb") as file:
            file.seek(esp["start"] * SECTOR)
            self.esp.write_bytes(file.read(esp["size"] * SECTOR))

    def at(self, sector, length):
        with open(self.image, "rb") as file:
            file.seek(sector * SECTOR)
            return file.read(length)

    def on_esp(self, path):
        return output("mtype", "-i", self.esp, f"::{path}")

    def from_root(self, pattern):
        """The files of the root whose path fits, by path."""
        root, out = self.work / "root", self.work / "unsquashed"
        part = self.partitions["root-a"]
        root.write_bytes(self.at(part["start"], part["size"] * SECTOR))
        shutil.rmtree(out, ignore_errors=True)
        output("unsquashfs", "-quiet", "-no-progress", "-no-xattrs", "-dest", out, root, pattern)
        return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}

    def from_package(self, source):
        owners = [self.packages.path(package, source) for package in self.target["boot"]["packages"]]
        found = [path for path in owners if path.exists()]
        assert len(found) == 1, (source, found)
        return found[0].read_bytes()


def tables(card):
    """The partition table, and the MBR where it names the ESP."""
    said = output("sgdisk", "-v", card.image).decode()
    assert "No problems found" in said, said
    output("fsck.fat", "-n", card.esp)
    mbr = output("sfdisk", "--label-nested=dos", "--dump", card.image).decode()
    kinds = re.findall(r"start= *(\d+), size= *(\d+), type=(\w+)", mbr)
    if card.target["disk"].get("hybrid_mbr"):
        esp = card.partitions["esp"]
        # Boot ROMs and EEPROMs in the field want the FAT first, and one protective entry.
        assert kinds == [(str(esp["start"]), str(esp["size"]), "c"), ("1", str(esp["start"] - 1), "ee")], mbr
    else:
        assert [kind for _, _, kind in kinds] == ["ee"], mbr


def first_boot(card):
    """The first boot leaves all that was not zero before the first partition where it is, on cards of three sizes.

    systemd-repart runs with the definitions and the options that the image's root has, on a plain file, which discards."""
    found = card.from_root("etc")
    unit = found["etc/systemd/system/systemd-repart.service.d/10-mailkiln.conf"].decode()
    options = re.findall(r"^ExecStart=/usr/bin/systemd-repart (.+)$", unit, re.MULTILINE)[-1].split()
    assert "--discard=no" in options, unit
    # The host may be of another architecture, whose root the definitions would mean.
    kinds = {kind: card.partitions[label]["type"] for kind, label in (("root", "root-a"), ("root-verity", "root-a-verity"))}
    definitions = card.work / "repart.d"
    shutil.rmtree(definitions, ignore_errors=True)
    definitions.mkdir()
    for path, content in found.items():
        if path.startswith("etc/repart.d/"):
            text = re.sub(r"^Type=(root(?:-verity)?)$", lambda kind: f"Type={kinds[kind[1]]}", content.decode(), flags=re.MULTILINE)
            (definitions / pathlib.Path(path).name).write_text(text)
    first = min(part["start"] for part in card.partitions.values())
    # The table itself (sectors 0 to 33) names new partitions afterwards.
    before = card.at(34, (first - 34) * SECTOR)
    for gibibytes in (2, 4, 64):
        copy = card.work / "card"
        output("cp", "--sparse=always", card.image, copy)
        os.truncate(copy, gibibytes << 30)
        output("systemd-repart", *options, f"--definitions={definitions}", "--no-pager", copy)
        grown = Card(card.name, card.target, copy, card.packages, card.work)
        assert {"root-b", "root-b-verity", "var"} <= set(grown.partitions), grown.partitions
        assert grown.at(34, (first - 34) * SECTOR) == before, f"a card of {gibibytes} GiB: the loader has changed"
        assert min(part["start"] for part in grown.partitions.values()) == first, "a partition is over the loader"
        for label, part in card.partitions.items():
            length = part["size"] * SECTOR
            assert grown.at(part["start"], length) == card.at(part["start"], length), label
        copy.unlink()


def files(card):
    """What the target puts on the ESP is there, byte for byte, under names that a boot ROM can read."""
    assert card.on_esp("EFI/BOOT/BOOTAA64.EFI")[:2] == b"MZ"
    for file in card.target["boot"].get("files", []):
        content = card.on_esp(file["path"])
        expected = card.from_package(file["source"]) if "source" in file else "".join(f"{line}\n" for line in file["lines"]).encode()
        assert content == expected, file["path"]
        stem, _, ending = file["path"].upper().rpartition(".")
        assert stem.ljust(8).encode() + ending.ljust(3).encode() in card.esp.read_bytes(), f"{file['path']} has another short name"


def config(card):
    """config.txt has only known settings, and what it names is there."""
    settings = dict(line.split("=", 1) for line in card.on_esp("config.txt").decode().splitlines())
    assert set(settings) <= KNOWN_SETTINGS and settings["arm_64bit"] == "1", settings
    uboot = card.on_esp(settings["kernel"])
    assert re.search(rb"U-Boot 20\d\d\.\d\d", uboot), "the kernel of config.txt is not U-Boot"
    # An AArch64 image starts with a branch over its own header.
    assert struct.unpack("<I", uboot[:4])[0] >> 26 == 0b000101, uboot[:4]


def nodes(tree):
    """Every node of a flattened device tree with its properties (Devicetree Specification 0.4, chapter 5)."""
    _, _, place, strings = struct.unpack(">4I", tree[:16])
    stack = []
    while (token := struct.unpack(">I", tree[place : place + 4])[0]) != 9:
        place += 4
        if token == 1:
            end = tree.index(b"\0", place)
            stack.append((tree[place:end].decode(), {}))
            place = (end + 4) & ~3
        elif token == 2:
            yield stack.pop()
        elif token == 3:
            length, name = struct.unpack(">2I", tree[place : place + 8])
            name = tree[strings + name : tree.index(b"\0", strings + name)].decode()
            stack[-1][1][name] = tree[place + 8 : place + 8 + length]
            place = (place + 8 + length + 3) & ~3


def card_slots(card, tree, aliases):
    """The kernel has a driver for every card slot of the board."""
    slots = 0
    for name, properties in nodes(tree):
        if name.split("@")[0] not in {"mmc", "mmcnr", "sdhci"} or properties.get("status", b"okay\0") != b"okay\0":
            continue
        compatible = properties["compatible"].decode().rstrip("\0").split("\0")
        assert any(f"of:N*T*C{one}" in aliases for one in compatible), f"no driver for {name}: {compatible}"
        slots += 1
    assert slots, "the device tree has no card slot"


def device_trees(card):
    """Every device tree is whole and says which board it is for."""
    table = card.target["boot"]["device_trees"]
    # Those of modules stand in a list, those that are built in where the kernel keeps what modules say.
    aliases = set()
    for path, content in card.from_root("usr/lib/modules/*/modules.*").items():
        if path.endswith("/modules.alias"):
            aliases |= {line.split()[1] for line in content.decode().splitlines() if line.startswith("alias ")}
        elif path.endswith("/modules.builtin.modinfo"):
            aliases |= {entry.split("alias=", 1)[1] for entry in content.decode(errors="replace").split("\0") if ".alias=" in entry}
    for source in table["files"]:
        name = source.rsplit("/", 1)[1]
        tree = card.work / "tree.dtb"
        tree.write_bytes(card.on_esp("/".join(filter(None, [table.get("folder"), name]))))
        magic, total = struct.unpack(">II", tree.read_bytes()[:8])
        assert magic == 0xD00DFEED and total == tree.stat().st_size, name
        model = output("fdtget", "-t", "s", tree, "/", "model").decode().strip()
        compatible = output("fdtget", "-t", "s", tree, "/", "compatible").decode().split()
        assert model and all("," in one for one in compatible), (model, compatible)
        card_slots(card, tree.read_bytes(), aliases)
    trees = [line for line in output("mdir", "-b", "-/", "-i", card.esp, "::").decode().splitlines() if line.endswith(".dtb")]
    assert len(trees) == len(table["files"]), trees


def rockchip(card, blobs):
    """The places are those of the package's own installer, and what is there is what the ROM and its loader look for."""
    script = card.packages.path("u-boot-rockchip", "usr/bin/u-boot-install-rockchip").read_text()
    # The last of its defaults; those before are for single boards.
    default = lambda name: int(re.findall(rf'{name}=\$\{{{name}:-"(\d+)"\}}', script)[-1])
    assert blobs["idbloader.img"] == default("LOADER_OFFSET"), blobs
    assert blobs["u-boot.itb"] == default("UBOOT_OFFSET"), blobs
    assert card.at(blobs["idbloader.img"], 8) == ROCKCHIP
    assert struct.unpack(">I", card.at(blobs["u-boot.itb"], 4))[0] == 0xD00DFEED, "U-Boot is not a FIT image"


def allwinner(card, blobs):
    """The loader is where the ROM looks, and its checksum is right."""
    (sector,) = blobs.values()
    assert sector in ALLWINNER and sector > 33, blobs
    _, magic, checksum, length = struct.unpack("<I8sII", card.at(sector, 20))
    assert magic == b"eGON.BT0", magic
    words = struct.unpack(f"<{length // 4}I", card.at(sector, length))
    # The sum of all words, with a stamp in the checksum's place (U-Boot's include/sunxi_image.h).
    assert (sum(words) - checksum + 0x5F0A6C39) & 0xFFFFFFFF == checksum, "the loader's checksum is wrong"


def blobs(card):
    """Blobs are their packages' files, before the first partition, each where its reader looks."""
    places = {}
    first = min(part["start"] for part in card.partitions.values())
    for blob in card.target["boot"].get("blobs", []):
        content = card.from_package(blob["source"])
        assert card.at(blob["lba"], len(content)) == content, blob
        assert blob["lba"] * SECTOR + len(content) <= first * SECTOR, blob
        places[blob["source"].rsplit("/", 1)[1]] = blob["lba"]
    if "u-boot-rockchip" in card.target["boot"]["packages"]:
        rockchip(card, places)
    elif "u-boot-sunxi" in card.target["boot"]["packages"]:
        allwinner(card, places)
    else:
        assert not places, f"nobody checks the places of {places}"


# (target, its file) of all boards: those whose firmware is on the card. Boards extend no base, so each file says all of it.
TARGETS = {path.stem: tomllib.loads(path.read_text()) for path in sorted((ROOT / "images").glob("*.toml"))}
BOARDS = {name: target for name, target in TARGETS.items() if {"files", "blobs", "device_trees"} & set(target.get("boot", {}))}


@pytest.fixture(scope="module", params=BOARDS)
def card(request, place):
    """A board's image; only that of the board that is booted stays."""
    name, work = request.param, place.work / "judging"
    work.mkdir(exist_ok=True)
    target, image = BOARDS[name], place.board(name)
    yield Card(name, target, image, Packages(place.lock, place.cache, work), work)
    if "qemu" not in target:
        image.unlink()


def test_there_are_boards():
    """There are boards."""
    assert BOARDS


def test_tables(card):
    """The partition table is sound, and the MBR names the ESP where a ROM reads it."""
    tables(card)


def test_files(card):
    """What the target puts on the ESP is there, byte for byte, under names that a boot ROM can read; a config.txt is understood."""
    files(card)
    if "u-boot-rpi" in card.target["boot"]["packages"]:
        config(card)


def test_device_trees(card):
    """Every device tree is whole and says which board it is for; the kernel has a driver for every card slot."""
    device_trees(card)


def test_blobs(card):
    """Blobs are their packages' files, before the first partition, each where its reader looks."""
    blobs(card)
