"""An image to upload, and the program that uploads it."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time

import pytest
import servers
from disks import Images
from gate import Gate

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
        assert self.pid, "it has not been started"
        os.kill(self.pid, signal.SIGKILL)
        time.sleep(0.1)

    def journals(self, image):
        return list(image.parent.glob(".*.upload"))


@pytest.fixture
def uploader(mailkiln, tmp_path):
    """A new one, with nothing in its environment."""
    return Uploader(mailkiln, tmp_path)


@pytest.fixture(scope="session")
def images(mailkiln):
    """Where images of every format are, and how another is made."""
    with tempfile.TemporaryDirectory(prefix="mailkiln-upload-") as folder:
        yield Images(mailkiln, pathlib.Path(folder))


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
