"""An image to upload, and the program that uploads it."""

import contextlib
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time

import pytest
import servers
from gate import Gate

NAME = "mail.example.test-upload-x86_64"
DISK = 24 << 20
ROOT_X86_64 = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
BILL = {
    "spdxVersion": "SPDX-2.3",
    "creationInfo": {"created": "2026-11-21T02:10:46Z"},
    "packages": [{"name": NAME, "versionInfo": "0.1.0-20261121"}],
}


class Uploader:
    """`mailkiln upload` with a home of its own."""

    def __init__(self, mailkiln, folder):
        self.mailkiln, self.folder = mailkiln, folder
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "TMPDIR": str(folder)}
        (folder / "home").mkdir()
        self.pid = None

    def run(self, destination, image, *words, status=0):
        """The report as JSON; the program must end with `status`."""
        command = [self.mailkiln, "--json", "upload", destination, *([image] if image else []), "--set", "poll-seconds=1", *words]
        with subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment,
                              cwd=self.folder) as process:  # fmt: skip
            self.pid = process.pid
            out, err = process.communicate(timeout=280)
        for name in ("AWS_SECRET_ACCESS_KEY", "OS_PASSWORD", "AZURE_STORAGE_KEY", "HCLOUD_TOKEN", "GOOGLE_OAUTH_ACCESS_TOKEN", "DIGITALOCEAN_TOKEN"):
            secret = self.environment.get(name)
            assert not secret or secret not in out + err, f"{name} is printed"
        assert process.returncode == status, f"status {process.returncode}, not {status}:\n{out}\n{err}"
        return json.loads(out) if out else {}

    def kill(self):
        """Ends the program as a power cut would; its request is still on the way."""
        os.kill(self.pid, signal.SIGKILL)
        time.sleep(0.1)

    def journals(self, image):
        return list(image.parent.glob(".*.upload"))


@pytest.fixture
def uploader(mailkiln, tmp_path):
    """A new one, with nothing in its environment."""
    return Uploader(mailkiln, tmp_path)


def make_disk(path, seed):
    """A disk with one root partition, a quarter of it noise and the rest holes."""
    with open(path, "wb") as file:
        file.truncate(DISK)
    table = f"label: gpt\nlabel-id: 00000000-0000-0000-0000-{seed:012}\nstart=2048, size=4096, type={ROOT_X86_64}, uuid=00000000-0000-0000-0001-{seed:012}\n"
    subprocess.run(["/usr/sbin/sfdisk", "--quiet", path], input=table, text=True, check=True, stdout=subprocess.DEVNULL)
    noise = hashlib.shake_256(seed.to_bytes(4, "big")).digest(DISK // 4)
    with open(path, "r+b") as file:
        for number in range(3):
            file.seek((2 + 7 * number) << 20)
            file.write(noise[number * (2 << 20) :][: 2 << 20])


@pytest.fixture(scope="session")
def images(mailkiln):
    """Where images of every format are, and how another is made."""
    with tempfile.TemporaryDirectory(prefix="mailkiln-upload-") as folder:
        yield Images(mailkiln, pathlib.Path(folder))


class Images:
    """Makes images."""

    def __init__(self, mailkiln, folder):
        self.mailkiln, self.folder = mailkiln, folder

    def make(self, to, form="img", seed=1):
        """An image of this format in a folder, with its bill."""
        disk = self.folder / f"{seed}.img"
        if not disk.exists():
            make_disk(disk, seed)
        command = [self.mailkiln, "-q", "convert", disk, "--format", form, "--name", NAME, "-o", to]
        subprocess.run([*map(str, command)], check=True, stdout=subprocess.DEVNULL)
        (image,) = (path for path in to.glob(f"{NAME}.*") if path.suffix != ".sha256" and not path.name.endswith(".json"))
        image.with_name(f"{image.name}.spdx.json").write_text(json.dumps(BILL))
        return image

    def disk(self, seed=1):
        return (self.folder / f"{seed}.img").read_bytes()


@pytest.fixture
def image(images, tmp_path):
    """A raw image alone in a folder."""
    folder = tmp_path / "image"
    folder.mkdir()
    return images.make(folder)


@pytest.fixture
def gates():
    """Makes gates, and closes them."""
    with contextlib.ExitStack() as stack:

        def make(*arguments, **options):
            gate = Gate(*arguments, **options)
            stack.callback(gate.server.server_close)
            stack.callback(gate.server.shutdown)
            return gate

        yield make


def server(name):
    """A fixture of one of the servers, for the whole run."""

    @pytest.fixture(scope="session", name=name)
    def one():
        with tempfile.TemporaryDirectory(prefix=f"mailkiln-{name}-") as folder, getattr(servers, name)(pathlib.Path(folder)) as found:
            yield found

    return one


moto, storage_emulator, azurite, sshd, openstack = map(server, ("moto", "storage_emulator", "azurite", "sshd", "openstack"))
