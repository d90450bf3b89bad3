"""A unit that is new is its folder alone: a copy of the checkout with one more builds an image that runs it."""

import os
import shutil
import subprocess

import pytest
from driver.tools import extract
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


def run(folder, *command, **more):
    """Runs a command in the copy."""
    return subprocess.run([*map(str, command)], cwd=folder, check=True, **more)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the checkout with the toy, committed before it came."""
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
    return folder


@pytest.fixture(scope="module")
def mailkiln(checkout):
    """The builder, compiled from the copy. Dependencies are those of the checks' own builder; the target folder is another,
    so that the checks' own programs stay."""
    target = target_folder() / "toy"
    command = ["cargo", "build", "--locked", "--bin", "mailkiln", "--workspace"]
    run(checkout, *command, env=os.environ | {"CARGO_TARGET_DIR": str(target)})
    return target / "debug/mailkiln"


def test_toy(checkout, mailkiln, tmp_path):
    """A new unit is compiled, installed, confined, given its user and its port, and touches no other file."""
    run(checkout, mailkiln, "lock", "--lock", "mailkiln.lock")
    changed = run(checkout, "git", "status", "--porcelain", stdout=subprocess.PIPE, text=True).stdout.splitlines()
    assert sorted(changed) == [" M mailkiln.lock", "?? units/toy/"]
    difference = run(checkout, "git", "diff", "-U0", "mailkiln.lock", stdout=subprocess.PIPE, text=True).stdout
    lines = [line for line in difference.splitlines() if line[:1] in ("+", "-") and line[1:2] not in ("+", "-")]
    assert lines and all(line.startswith("+") for line in lines), difference
    spec = ROOT / "tests/boot/mail.toml"
    run(checkout, mailkiln, "build", "-c", spec, "--target", "x86_64", "--format", "img", "-o", tmp_path / "out", "--lock", "mailkiln.lock")
    (image,) = (tmp_path / "out").glob("*.img")
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
