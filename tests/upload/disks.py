"""Images to upload: small disks with a root partition, in any format, with a bill of materials."""

import hashlib
import json
import subprocess

NAME = "mail.example.test-upload-x86_64"
DISK = 24 << 20
ROOT_X86_64 = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
BILL = {
    "spdxVersion": "SPDX-2.3",
    "creationInfo": {"created": "2026-11-21T02:10:46Z"},
    "packages": [{"name": NAME, "versionInfo": "0.1.0-20261121"}],
}


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
