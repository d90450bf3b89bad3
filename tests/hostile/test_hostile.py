"""Bad input at the command line: a clear error, exit status 2 for bad input and 1 for failure, never a panic, and nothing left under
a final name."""

import os
import re
import signal
import subprocess
import time

import pytest
from driver.tools import ENVIRONMENT, run, same
from driver.workplace import ROOT

NAME = "mail.example.org-x86_64"
HEAD = '[host]\nname = "mail.example.org"\n[[domain]]\nname = "example.org"\n'
ACCOUNT = '[[account]]\naddress = "a@example.org"\n'
# (what is wrong, mail.toml, what the error says)
BAD_SPECS = (
    ("an unknown key", f'{HEAD}{ACCOUNT}nmae = "x"\n', "nmae"),
    ("an account that is there twice", HEAD + ACCOUNT + ACCOUNT, "a@example.org"),
    ("an address with a space", f'{HEAD}[[account]]\naddress = "a@exa mple.org"\n', "exa mple"),
    ("a control character", f'{HEAD}{ACCOUNT}name = "x\\u0007y"\n', "control character"),
    ("bytes that are no UTF-8", b"\xff\xfe", "utf-8"),
    ("no mail.toml", None, "there is no mail.toml"),
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with the smallest mail.toml."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mail.toml").write_text(HEAD + ACCOUNT)
    return tmp_path


@pytest.fixture
def cold(place, folder):
    """The environment of a build on a cache that has nothing unpacked."""
    run(ROOT / "tests/cold-cache", place.cache, folder / "cold")
    return ENVIRONMENT | {"MAILKILN_CACHE": str(folder / "cold")}


@pytest.fixture
def build(place):
    """The command of a build, before its `-o`."""
    return [str(place.mailkiln), "build", "--target", "x86_64", "--lock", str(place.lock), "-o"]


def refused(status, pattern, *command, **options):
    """The command ends with `status` and says `pattern`, without a panic; what it said."""
    said = run(*command, status=status, **options)
    assert re.search(pattern, said, re.IGNORECASE), f"should say {pattern!r}:\n{said}"
    assert "panicked" not in said, said
    return said


def nothing_final(folder):
    """Nothing is left under a final name."""
    left = [path.name for path in folder.rglob(f"{NAME}*")]
    assert not left, f"something is left under a final name: {left}"


@pytest.mark.parametrize("spec, pattern", [pytest.param(spec, pattern, id=what) for what, spec, pattern in BAD_SPECS])
def test_bad_mail_toml(mailkiln, folder, spec, pattern):
    """`mailkiln check` refuses, with status 2, a mail.toml with."""
    (folder / "mail.toml").unlink()
    if spec is not None:
        (folder / "mail.toml").write_bytes(spec if isinstance(spec, bytes) else spec.encode())
    refused(2, pattern, mailkiln, "check")


def test_idn(mailkiln, folder):
    """An IDN domain is accepted."""
    (folder / "mail.toml").write_text(f'{HEAD}{ACCOUNT}[[domain]]\nname = "bücher.example"\n')
    run(mailkiln, "check")


def test_existing_mail_toml(mailkiln, folder):
    """`mailkiln new` leaves a mail.toml that is there alone."""
    refused(2, "mail.toml", mailkiln, "new", "example.org")
    assert (folder / "mail.toml").read_text() == HEAD + ACCOUNT


def test_unknown_target(mailkiln, folder):
    """A target that does not exist is refused by name."""
    refused(2, "riscv", mailkiln, "build", "--target", "riscv")


def test_inspect_text(mailkiln, folder):
    """`mailkiln inspect` refuses a text."""
    refused(2, ".", mailkiln, "inspect", "mail.toml")


def test_inspect_noise(mailkiln, folder):
    """`mailkiln inspect` refuses noise, and `flash` what is no image."""
    (folder / "noise.img").write_bytes(os.urandom(3_000_000))
    refused(2, ".", mailkiln, "inspect", "noise.img")
    refused(2, "boot sector", mailkiln, "flash", "--yes", "mail.toml", "noise.img")


def altered(place, *changes):
    """The lock with the line of base-files changed."""
    lines = place.lock.read_text().splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line.startswith('"base-files:amd64"'):
            for pattern, replacement in changes:
                lines[number] = re.sub(pattern, replacement, lines[number])
    text = "".join(lines)
    assert text != place.lock.read_text(), "the lock has no base-files"
    return text


WRONG_DIGEST = (r'sha256 = "[0-9a-f]{8}', 'sha256 = "00000000')


def test_wrong_digest(place, mailkiln, folder):
    """A lock whose digest is not that of the package: what the mirror sends is refused by name."""
    (folder / "altered.lock").write_text(altered(place, WRONG_DIGEST))
    refused(1, "base-files", mailkiln, "build", "--target", "x86_64", "--lock", "altered.lock", "-o", "out")
    nothing_final(folder)


def test_lost_package(place, mailkiln, folder):
    """A package that no mirror has any more is named, and the code that ./demo and ./check look for is there."""
    (folder / "lost.lock").write_text(altered(place, WRONG_DIGEST, (r'_amd64\.deb"', '_lost.deb"')))
    said = refused(1, "mirror-lost-package", mailkiln, "build", "--target", "x86_64", "--lock", "lost.lock", "-o", "out")
    assert "base-files 13" in said, said
    nothing_final(folder)


def test_full_disk(folder, build):
    """A disk that is full: nothing stays under the final name, and the message names the place."""
    script = """
    mkdir -p small && mount -t tmpfs -o size=24m tmpfs small
    "$@" small && status=0 || status=$?
    ls small >&2
    [ -z "$(ls small)" ] || { echo LEFTOVER; exit 9; }
    exit $status"""
    inside = ["unshare", "--user", "--map-root-user", "--mount", "--", "bash", "-euc", script, "full"]
    refused(1, "no space left|full", *inside, *build)


def test_interrupted_build(folder, build, cold):
    """After a build that was killed nothing is under the final name, and the next one completes."""
    out = folder / "interrupted"
    with subprocess.Popen([*build, out], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=cold) as victim:
        time.sleep(1.5)
        victim.send_signal(signal.SIGKILL)
    if victim.returncode == 0:
        print("    (the build was done before it could be interrupted)")
    else:
        nothing_final(out)
    run(*build, out, env=cold)
    left = list(out.rglob(".mailkiln-*"))
    assert not left, f"an unfinished file is left: {left}"
    run("sha256sum", "--quiet", "-c", f"{NAME}.img.sha256", cwd=out)


def test_two_at_once(folder, build, cold):
    """Two builds at once on one cache that has nothing unpacked give the same image, and so does one alone."""
    with subprocess.Popen([*build, "first"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=cold) as one:
        run(*build, "second", env=cold)
        said = one.communicate()[0]
    assert one.returncode == 0, said
    same(f"first/{NAME}.img", f"second/{NAME}.img")
    run(*build, "alone")
    same(f"first/{NAME}.img", f"alone/{NAME}.img")
