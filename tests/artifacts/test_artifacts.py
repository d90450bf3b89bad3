"""What `mailkiln build` writes, checked from outside: the same bytes from different surroundings, and other tools accept them."""

import json
import pathlib
import re
import shutil
import subprocess
import tarfile

import disk_reader
import pytest
import secrets_in_images
from driver.tools import ENVIRONMENT, digest, extract, inspect, output, run, same
from driver.venv import installed
from driver.workplace import ROOT

NAME = "mail.example.test-x86_64"
LARGEST_COMPRESSED = 110 << 20
# A card that takes the appliance, and how much of it was used before.
CARD_BYTES = 1 << 30
USED_BYTES = 450 << 20
# How the files of formats end, and what QEMU calls them where it reads them.
SUFFIXES = {
    "img": "raw", "img.zst": None, "img.xz": None, "img.gz": None, "qcow2": "qcow2", "zlib.qcow2": "qcow2", "zstd.qcow2": "qcow2",
    "vhd": "vpc", "dynamic.vhd": "vpc", "vhdx": "vhdx", "vmdk": "vmdk", "ova": None, "oci": None, "tar.gz": None,
}  # fmt: skip
FORMATS = "img,img.zst,img.xz,img.gz,qcow2,qcow2-zlib,qcow2-zstd,vhd,vhd-dynamic,vhdx,vmdk,ova,oci,tar.gz"
# Each builds twice, so that what is left of one target can't be in the other.
BUILDS = (
    ("--target", "x86_64", "--format", FORMATS),
    ("--target", "rpi4", "--format", "img", "--format", "img.zst", "--format", "img.xz"),
)


def built(place, folder, umask, threads, cache, **environment):
    """Everything that is built, in surroundings of its own: home, temporary folder, working directory, language, umask, threads."""
    for name in ("home", "tmp", "cwd"):
        (folder / name).mkdir(parents=True)
    own = {"HOME": folder / "home", "TMPDIR": folder / "tmp", "MAILKILN_CACHE": cache, **environment}
    surroundings = {**ENVIRONMENT, **{name: str(value) for name, value in own.items()}}
    surroundings.pop("SOURCE_DATE_EPOCH", None)
    lock = ["--lock", place.lock] if place.lock.parent == place.work else []
    # As many threads as there are processors for it.
    pinned = ["taskset", "-c", "0"] if threads == 1 else []
    for options in BUILDS:
        command = [*pinned, place.mailkiln, "build", "-c", place.mail_toml(), "-o", folder / "out", *lock, *options]
        run(*command, cwd=folder / "cwd", env=surroundings, umask=umask)
    return folder / "out"


@pytest.fixture(scope="session")
def image(place):
    """The image that all parts use."""
    return place.image("x86_64")


@pytest.fixture(scope="session")
def work(place):
    """A folder for what is taken out of images."""
    return place.folder("artifacts")


@pytest.fixture(scope="session")
def first(place, work):
    """The files of a build."""
    return built(place, work / "one", 0o022, 1, place.cache, TZ="UTC", LANG="C")


@pytest.fixture(scope="session")
def second(place, work):
    """The files of another one, which also starts with nothing unpacked or compressed: only downloads and compiled units are shared."""
    run(ROOT / "tests/cold-cache", place.cache, work / "cold")
    return built(place, work / "a much longer path, with spaces", 0o077, 2, work / "cold", TZ="Asia/Kathmandu", LANG="de_DE.UTF-8",
                 LC_ALL="tr_TR.UTF-8")  # fmt: skip


@pytest.fixture(scope="session")
def esp(mailkiln, image, work):
    """The boot partition."""
    return extract(mailkiln, image, "esp", work / "esp")


@pytest.fixture(scope="session")
def root(mailkiln, image, work):
    """The root partition."""
    return extract(mailkiln, image, "root-a", work / "root-a")


@pytest.fixture(scope="session")
def root_hash(mailkiln, image):
    """The root hash that the kernel's command line names."""
    return inspect(mailkiln, image)["kernels"][0]["root_hash"]


def test_same_bytes(first, second, image):
    """Two builds with different surroundings give the same bytes, and so did the one for the other parts."""
    sums = [{path.name: digest(path) for path in sorted(folder.iterdir()) if path.name.startswith("mail.example.test-")} for folder in (first, second)]
    assert sums[0] == sums[1], "two builds differ"
    # Each with a digest and a bill, and a block map where it can be flashed.
    assert len(sums[0]) == 3 * (len(SUFFIXES) + 3) + 4 + 3, f"artifacts are missing: {sorted(sums[0])}"
    same(first / f"{NAME}.img", image)


def test_sha256_files(first):
    """The .sha256 files are right."""
    files = sorted(path.name for path in first.glob("*.sha256"))
    assert files
    run("sha256sum", "--quiet", "-c", *files, cwd=first)


def test_partition_table(image):
    """sgdisk finds no problem in the partition table."""
    said = run("sgdisk", "-v", image)
    assert "No problems found" in said, said


def test_esp(esp):
    """fsck.fat finds no problem in the ESP."""
    run("fsck.fat", "-n", esp)


def test_verity(mailkiln, image, root, root_hash, work):
    """veritysetup verifies the root partition with the root hash of the command line."""
    tree = extract(mailkiln, image, "root-a-verity", work / "root-a-verity")
    run("veritysetup", "verify", root, tree, root_hash)


def test_root_is_listed(root):
    """unsquashfs lists the root file system."""
    run("unsquashfs", "-s", root)
    listing = run("unsquashfs", "-ll", root)
    assert any(line.endswith("squashfs-root/usr/bin/mailkiln-agent") for line in listing.splitlines()), listing[-2000:]


@pytest.mark.parametrize("suffix", [suffix for suffix, driver in SUFFIXES.items() if driver])
def test_qemu_reads(first, image, suffix):
    """qemu-img finds no fault, and the image."""
    path, driver = first / f"{NAME}.{suffix}", SUFFIXES[suffix]
    if driver in ("qcow2", "vhdx", "vmdk"):
        run("qemu-img", "check", "-q", "-f", driver, path)
    run("qemu-img", "compare", "-q", "-f", driver, "-F", "raw", path, image)


@pytest.mark.parametrize("suffix", sorted(disk_reader.READERS))
def test_second_reader(first, image, suffix):
    """A reader written from the specification finds no fault, and the image."""
    disk_reader.check(first / f"{NAME}.{suffix}", image, suffix)


@pytest.mark.parametrize("suffix", ["zlib.qcow2", "qcow2", "vhd", "dynamic.vhd", "vhdx", "vmdk"])
def test_7zip_reads(first, image, suffix, work):
    """7-Zip, whose readers have nothing in common with QEMU's, unpacks the image."""
    kind = {"zlib.qcow2": "QCOW", "qcow2": "QCOW", "vhd": "VHD", "dynamic.vhd": "VHD", "vhdx": "VHDX", "vmdk": "VMDK"}[suffix]
    program = shutil.which("7zz") or "7z"  # the package calls it 7zz in Debian 12, and 7z from Debian 13 on
    unpacked = work / f"{suffix}.unpacked"
    with open(unpacked, "wb") as out:
        subprocess.run([program, "e", "-so", f"-t{kind}", first / f"{NAME}.{suffix}"], stdout=out, stderr=subprocess.DEVNULL, check=True)
    run("qemu-img", "compare", "-q", "-f", "raw", "-F", "raw", unpacked, image)
    unpacked.unlink()


@pytest.mark.parametrize(("tool", "suffix"), [("zstd", "img.zst"), ("xz", "img.xz"), ("gzip", "img.gz")])
def test_expanders(first, image, tool, suffix):
    """The usual programs expand what is compressed."""
    with subprocess.Popen([tool, "-dcq", first / f"{NAME}.{suffix}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as expanded:
        run("cmp", "-", image, stdin=expanded.stdout)


def test_oracle(first, work):
    """The archive for Oracle Cloud has its launch options, and the qcow2."""
    folder = work / "oci"
    folder.mkdir()
    run("tar", "-xf", first / f"{NAME}.oci", "-C", folder)
    options = json.loads((folder / "image_metadata.json").read_text())["externalLaunchOptions"]
    assert options["firmware"] == "UEFI_64" and options["bootVolumeType"] == "PARAVIRTUALIZED"
    same(folder / "output.QCOW2", first / f"{NAME}.qcow2")


def test_ovf_schema(first):
    """The OVF descriptor holds to the DMTF's schema, which notices two elements that change places."""
    with tarfile.open(first / f"{NAME}.ova") as archive:
        member = archive.extractfile(archive.getmembers()[0])
        assert member
        descriptor = member.read().decode()
    folder = pathlib.Path(__file__).resolve().parent / "ovf"

    def judged(text):
        command = [installed(folder / "judge.txt", "ovf-judge") / "python", folder / "ask.py"]
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False).stderr

    assert judged(descriptor) == ""
    swapped = re.sub(r"(<rasd:ElementName>memory<.*>)\s*(<rasd:InstanceID>.*>)", r"\2\1", descriptor)
    assert swapped != descriptor and "Tag 'class:ElementName' expected" in judged(swapped)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_convert(mailkiln, first, image, suffix, work):
    """`convert` gives the image back from every format, and `inspect` reads each; holes may have grown to the format's whole size."""
    run(mailkiln, "-q", "convert", first / f"{NAME}.{suffix}", "--format", "img", "--name", "back", "-o", work)
    run("qemu-img", "compare", "-q", "-f", "raw", "-F", "raw", work / "back.img", image)
    assert inspect(mailkiln, first / f"{NAME}.{suffix}")["roots"][0]["verification"]["state"] == "matches"
    (work / "back.img").unlink()


def test_block_map(first, image, work):
    """bmaptool copies the image by its block map."""
    copied = work / "copied"
    run("bmaptool", "-q", "copy", first / f"{NAME}.img", copied)
    same(copied, image)
    copied.unlink()


def test_used_card(mailkiln, first, root_hash, work):
    """Flashed onto a used card, ESP and root are right: what the block map leaves out keeps what was there before."""
    card = work / "card"
    with open("/dev/urandom", "rb") as noise, open(card, "wb") as file:
        for _ in range(USED_BYTES >> 20):
            file.write(noise.read(1 << 20))
        file.truncate(CARD_BYTES)
    run(mailkiln, "-q", "flash", "--yes", first / f"{NAME}.img.zst", card)
    inspect(mailkiln, card)
    run("fsck.fat", "-n", extract(mailkiln, card, "esp", work / "card-esp"))
    root, tree = (extract(mailkiln, card, label, work / f"card-{label}") for label in ("root-a", "root-a-verity"))
    run("veritysetup", "verify", root, tree, root_hash)
    card.unlink()


def test_size(first):
    """img.zst has 110 MiB or less."""
    size = (first / f"{NAME}.img.zst").stat().st_size
    print(f"    {size / 1e6:.0f} MB")
    assert size <= LARGEST_COMPRESSED, f"img.zst has {size} bytes, more than 110 MiB"


def test_planted_secrets():
    """Planted secrets are found, and what is none is not."""
    assert secrets_in_images.check_itself() >= 11


def test_no_secrets(esp, root, work):
    """No secret is anywhere in the image, and the place for a seed is empty; what is compressed is unpacked first."""
    unpacked = work / "unpacked"
    for name in ("esp", "initrd"):
        (unpacked / name).mkdir(parents=True)
    run("unsquashfs", "-quiet", "-no-progress", "-no-xattrs", "-dest", unpacked / "root", root)
    run("mcopy", "-s", "-n", "-Q", "-i", esp, "::/", unpacked / "esp")
    initrd = output("zstd", "-dcq", unpacked / "esp/kiln/initrd")
    output("cpio", "--quiet", "-id", input=initrd, cwd=unpacked / "initrd")
    assert not (unpacked / "esp/SEED.BIN").read_bytes().strip(b"\0"), "the place for a seed is not empty"
    for name in ("root", "esp", "initrd"):
        count, found = secrets_in_images.scan(str(unpacked / name))
        print(f"    {count} files of {name}")
        assert count, f"{name} has no files"
        assert not found, f"{name} holds secrets, or what looks like them: {found}"
