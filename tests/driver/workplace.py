"""Where a run of the checks works: the checkout, the cache, and a folder with the images that are built once for all parts.

In: environment variables that the driver sets (MAILKILN_CHECK_WORK, MAILKILN_CHECK_BUILDER). Without them, as when pytest is
called by hand, the builder is compiled and a temporary folder is made.
"""

import contextlib
import dataclasses
import fcntl
import os
import pathlib
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PYTHON = "/usr/bin/python3"  # Debian's, which has Debian's modules
WORK, BUILDER = "MAILKILN_CHECK_WORK", "MAILKILN_CHECK_BUILDER"


def cache_folder():
    """What mailkiln calls its cache."""
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(os.environ.get("MAILKILN_CACHE") or f"{base}/mailkiln")


def target_folder():
    """Where cargo puts what it compiles for the checks."""
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or cache_folder() / "target")


@dataclasses.dataclass(frozen=True)
class Image:
    """An image that several parts use: its target, its folder, and what its mail.toml has beside that of the others."""

    target: str
    folder: str
    more: str = ""


IMAGES = {
    "x86_64": Image("x86_64", "out"),
    "aarch64-uefi": Image("aarch64-uefi", "arm"),
    "clamav": Image("aarch64-uefi", "clamav", "\n[filter]\nclamav = true\n"),
}
# What ./demo does too: builds, and where the mirror has lost a package, from a fresh lock, loudly.
BUILD = '. "$root/tests/prepare.sh"; mailkiln=$1; shift; build_image "$@"'


class BuildFailed(Exception):
    """An image was not built."""


class Workplace:
    """The folder of one run. Everything in it is made when it is first asked for, once, whichever process asks."""

    def __init__(self, work, mailkiln):
        self.work, self.mailkiln, self.cache = pathlib.Path(work), pathlib.Path(mailkiln), cache_folder()

    @property
    def key(self):
        """The SSH key that the images know."""
        return self.work / "key"

    @property
    def authority(self):
        """The folder of the certificate authority that the images trust."""
        return self.work / "authority"

    @property
    def lock(self):
        """The lock that images are built from: a fresh one where the mirror had lost a package of the committed one."""
        fresh = self.work / "mailkiln.lock"
        return fresh if fresh.exists() else ROOT / "mailkiln.lock"

    @property
    def lock_options(self):
        """The options of `build` that name this lock; the committed one is in the program."""
        return ["--lock", self.lock] if self.lock.parent == self.work else []

    def mail_toml(self):
        """The appliance of the tests, with a key for SSH and a certificate authority of its own."""
        path = self.work / "mail.toml"
        with self.once("mail.toml"):
            if not path.exists():
                subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "check", "-f", self.key], check=True)
                pebble = [PYTHON, ROOT / "units/acme/tests/pebble.py", self.authority]
                acme = subprocess.run(pebble, check=True, stdout=subprocess.PIPE, text=True).stdout
                public = self.key.with_suffix(".pub").read_text().strip()
                text = (ROOT / "tests/boot/mail.toml").read_text() + f'\n[ssh]\nkeys = ["{public}"]\n' + acme
                write(path, text)
        return path

    def image(self, name):
        """The path of one of IMAGES, built when it is not there."""
        image = IMAGES[name]
        folder = self.work / image.folder
        path = folder / f"mail.example.test-{image.target}.img"
        spec = self.mail_toml()
        with self.once(f"image-{name}"):
            if path.exists():
                return path
            if image.more:
                spec = self.work / f"{name}.toml"
                write(spec, self.mail_toml().read_text() + image.more)
            self.build(folder, image.target, spec)
        return path

    def board(self, name):
        """The image of a board; built when it is not there."""
        folder = self.work / "boards"
        path = folder / f"mail.example.test-{name}.img"
        spec = self.mail_toml()
        with self.once(f"board-{name}"):
            if not path.exists():
                self.build(folder, name, spec, "--format", "img")
        return path

    def build(self, folder, target, spec, *arguments):
        """Builds as ./demo does; a fresh lock that this took is what all later builds use."""
        lock = self.lock_options
        command = ["bash", "-c", BUILD, "build", self.mailkiln, folder, target, "-c", spec, *lock, *arguments]
        done = subprocess.run([*map(str, command)], check=False, env=os.environ | {"root": str(ROOT)}, cwd=self.work)
        if done.returncode:
            raise BuildFailed(f"the image for {target} was not built (status {done.returncode}); what the builder said stands above")
        if (folder / "mailkiln.lock").exists() and not lock:
            shutil.copy(folder / "mailkiln.lock", self.work / "mailkiln.lock")

    def nix(self):
        """The folder with the commands of real Nix."""
        folder = self.work / "nix"
        with self.once("nix"):
            if not (folder / "bin").exists():
                unpack = [ROOT / "tests/nix/unpack", folder, "--lock", self.lock]
                subprocess.run([*map(str, unpack)], check=True, stdout=subprocess.DEVNULL)
        return folder / "bin"

    def folder(self, name):
        """A new folder for one part."""
        path = self.work / name
        path.mkdir(parents=True)
        return path

    @contextlib.contextmanager
    def once(self, what):
        """Holds off other processes that want the same thing made."""
        with open(self.work / f".{what}.lock", "w", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def write(path, text):
    """Writes a file that another process may look for: whole or not at all."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.rename(path)


def compile_builder(work):
    """Compiles the builder and puts it into `work`, where no later compilation replaces it."""
    environment = os.environ | {"CARGO_TARGET_DIR": str(target_folder())}
    # With an example among what is built, cargo chooses the features that tests have, and what is compiled here serves them too.
    command = ["cargo", "build", "--locked", "--workspace", "--bin", "mailkiln", "--example", "compile-unit"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    program = pathlib.Path(work) / "bin/mailkiln"
    program.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(target_folder() / "debug/mailkiln", program)
    return program


@contextlib.contextmanager
def workplace():
    """The workplace of this run: the driver's, or a temporary one."""
    if WORK in os.environ:
        yield Workplace(os.environ[WORK], os.environ[BUILDER])
        return
    with tempfile.TemporaryDirectory(prefix="mailkiln-check-") as work:
        yield Workplace(work, os.environ.get(BUILDER) or compile_builder(work))
        make_removable(work)


def make_removable(folder):
    """Folders of a Nix store are read-only."""
    subprocess.run(["chmod", "-R", "u+w", folder], check=False)
