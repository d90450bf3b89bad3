"""What is new touches only what CONTRIBUTING.md names: a copy of the checkout gets a unit, a disk format and a destination.

The unit is its folder alone. The format and the destination are a module each, `format.rs` and `destination.rs` beside this file, and the
lines below. The builder that is compiled from the copy builds an image that runs the unit, in the format, and puts it to the destination.
"""

import json
import os
import pathlib
import shutil
import subprocess

import pytest
from driver.tools import extract, inspect, same
from driver.units import ROOT
from driver.workplace import target_folder

# Whatever a unit without settings consists of. No other file of the checkout is touched; the lock is made by the builder.
UNIT = {
    "unit.toml": """\
order = 900
summary = "a toy"
description = "A toy"

[build]
workspace = "units/toy"
package = "mailkiln-toy"
binary = "mailkiln-toy"

[[user]]
name = "mailkiln-toy"
id = 899
purpose = "Toy"

[[service]]
name = "mailkiln-toy"
place = 900
description = "Play"
kind = "simple"
user = "mailkiln-toy"
state = [{ name = "mailkiln-toy", mode = 0o750 }]
wanted_by = ["multi-user.target"]
sandbox = { network = "loopback" }

[[service.port]]
name = "toy"
number = 8999
purpose = "toys"
reach = "public"
""",
    "Cargo.toml": """\
[package]
name = "mailkiln-toy"
version = "0.1.0"
edition = "2024"
license = "MIT"

[workspace]
""",
    "Cargo.lock": 'version = 4\n\n[[package]]\nname = "mailkiln-toy"\nversion = "0.1.0"\n',
    "src/main.rs": 'fn main() {\n    println!("a toy");\n}\n',
}

HERE = pathlib.Path(__file__).parent
# Where the modules go, and after which line of which file each new line stands.
MODULES = {"format.rs": "builder/format/src/toy.rs", "destination.rs": "builder/upload/src/destinations/toy.rs"}
LINES = {
    "builder/format/src/lib.rs": ("mod tar_gz;", "mod toy;"),
    "builder/format/src/registry.rs": ("    &tar_gz::TAR_GZ,", "    &crate::toy::TOY,"),
    "builder/upload/src/destination.rs": ("    &of::proxmox::ENTRY,", "    &of::toy::ENTRY,"),
    "builder/upload/src/destinations/mod.rs": ("pub mod s3;", "pub mod toy;"),
}
# A target lists the formats that it is delivered in.
TARGET = "images/x86_64.toml"


def run(folder, *command, **more):
    """Runs a command in the copy."""
    return subprocess.run([*map(str, command)], cwd=folder, check=True, **more)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the checkout with the toys, committed before they came."""
    folder = tmp_path_factory.mktemp("toy") / "checkout"
    listed = run(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", stdout=subprocess.PIPE).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    run(folder, "git", "init", "-q")
    run(folder, "git", "add", "--all")
    run(folder, "git", "-c", "user.name=t", "-c", "user.email=t@example.test", "commit", "-q", "-m", "before")
    for name, text in UNIT.items():
        path = folder / "units/toy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name, place in MODULES.items():
        shutil.copy(HERE / name, folder / place)
    for place, (before, line) in LINES.items():
        replace(folder / place, f"{before}\n", f"{before}\n{line}\n")
    replace(folder / TARGET, 'formats = ["img",', 'formats = ["img", "toy",')
    return folder


def replace(path, old, new):
    """Replaces what is in a file once."""
    text = path.read_text()
    assert text.count(old) == 1, f"{path}: {old}"
    path.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def mailkiln(checkout):
    """The builder, compiled from the copy. Dependencies are those of the checks' own builder; the target folder is another,
    so that the checks' own programs stay."""
    target = target_folder() / "toy"
    command = ["cargo", "build", "--locked", "--bin", "mailkiln", "--workspace"]
    run(checkout, *command, env=os.environ | {"CARGO_TARGET_DIR": str(target)})
    return target / "debug/mailkiln"


@pytest.fixture(scope="module")
def images(checkout, mailkiln, tmp_path_factory):
    """The folder with an image, as the disk and in the toy format, built from a new lock."""
    run(checkout, mailkiln, "lock", "--lock", "mailkiln.lock")
    folder = tmp_path_factory.mktemp("images")
    spec = ROOT / "tests/boot/mail.toml"
    run(checkout, mailkiln, "build", "-c", spec, "--target", "x86_64", "--format", "img,toy", "-o", folder, "--lock", "mailkiln.lock")
    return folder


def test_nothing_else_is_touched(checkout, images):
    """A unit is its folder and new lines of the lock; a format and a destination are a module and two lines each, and a target's list."""
    assert images.is_dir()
    changed = run(checkout, "git", "status", "--porcelain", stdout=subprocess.PIPE, text=True).stdout.splitlines()
    new = [f"?? {path}" for path in (*MODULES.values(), "units/toy/")]
    assert sorted(changed) == sorted(new + [f" M {path}" for path in (*LINES, TARGET, "mailkiln.lock")])
    numbers = run(checkout, "git", "diff", "--numstat", stdout=subprocess.PIPE, text=True).stdout.splitlines()
    counts = {path: (added, removed) for added, removed, path in map(str.split, numbers)}
    assert all(counts[path] == ("1", "0") for path in LINES), counts
    assert counts[TARGET] == ("1", "1") and counts["mailkiln.lock"][1] == "0", counts


def test_unit(checkout, mailkiln, images, tmp_path):
    """A new unit is compiled, installed, confined, given its user and its port."""
    (image,) = images.glob("*.img")
    root = extract(mailkiln, image, "root-a", tmp_path / "root-a")
    run(tmp_path, "unsquashfs", "-quiet", "-force", "-no-xattrs", "-dest", tmp_path / "root", root, "usr/bin/mailkiln-toy",
        "etc/systemd/system", "etc/passwd", "etc/mailkiln/firewall.nft", stdout=subprocess.DEVNULL)  # fmt: skip
    root = tmp_path / "root"
    assert (root / "usr/bin/mailkiln-toy").stat().st_mode & 0o777 == 0o755
    unit = (root / "etc/systemd/system/mailkiln-toy.service").read_text()
    for line in ("ExecStart=/usr/bin/mailkiln-toy", "User=mailkiln-toy", "StateDirectory=mailkiln-toy", "ProtectSystem=strict",
                 "IPAddressAllow=localhost"):  # fmt: skip
        assert line in unit.splitlines(), line
    assert (root / "etc/systemd/system/multi-user.target.wants/mailkiln-toy.service").is_symlink()
    assert "mailkiln-toy:x:899:899:Toy:" in (root / "etc/passwd").read_text()
    assert "8999" in (root / "etc/mailkiln/firewall.nft").read_text()
    run(checkout, mailkiln, "emit", "modules", "-o", tmp_path / "modules")
    module = (tmp_path / "modules/toy.nix").read_text()
    assert 'lib.mkPackageOption pkgs "mailkiln-toy"' in module and "lib.getExe cfg.toy.package" in module


def test_format(mailkiln, images, tmp_path):
    """A new format is built, recognised by its content, and gives the disk back; commands and errors name it."""
    (toy,), (image,) = images.glob("*.toy"), images.glob("*.img")
    assert toy.read_bytes()[:8] == b"TOY DISK" and toy.stat().st_size == image.stat().st_size + 512
    unnamed = tmp_path / "unnamed"
    unnamed.symlink_to(toy)
    assert inspect(mailkiln, unnamed)["format"] == "toy"
    run(tmp_path, mailkiln, "convert", toy, "--format", "img", "-o", tmp_path, "--name", "back")
    same(tmp_path / "back.img", image)
    run(tmp_path, mailkiln, "convert", image, "--format", "toy", "-o", tmp_path, "--name", "again")
    same(tmp_path / "again.toy", toy)
    assert "a toy: the disk after a header" in run(tmp_path, mailkiln, "convert", "--help", stdout=subprocess.PIPE, text=True).stdout


def test_destination(mailkiln, images, tmp_path):
    """A new destination is in the help, takes an image once, and says what to do next with its folder's odd name quoted."""
    (toy,) = images.glob("*.toy")
    place = tmp_path / "it's a $place"
    place.mkdir()
    outcomes = []
    for _ in range(2):
        upload = [mailkiln, "--json", "upload", "toy", toy, "--set", f"path={place}"]
        report = json.loads(run(tmp_path, *upload, stdout=subprocess.PIPE, text=True).stdout)
        outcomes.append(report["outcome"])
        same(report["image"]["id"], toy)
        next_steps = run(tmp_path, "sh", "-c", report["next"]["commands"], stdout=subprocess.PIPE, text=True).stdout
        assert next_steps == f"{report['sha256']} {report['image']['name']}\n"
    assert outcomes == ["uploaded", "already there"]
    assert (place / "index").read_text().count("\n") == 1
    assert "a folder with a list" in run(tmp_path, mailkiln, "upload", "--help", stdout=subprocess.PIPE, text=True).stdout
