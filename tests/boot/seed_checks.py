"""A seed: made as its owner would, applied to a copy of the image, looked for on the device, and gone from the card."""

import json
import os
import struct
import subprocess

from checks import Checks
from clients import LOCAL, curl, imap, port
from mail_checks import ALICE, tunnel

ADMIN_PASSWORD = "the administrator's own"
WIFI_PASSWORD = "only for the antenna"
DNS_KEY = "c2VlZC1kbnMta2V5LW9ubHktZm9yLXRlc3RzLTMyYiE="
PLACE_NAME = b"SEED    BIN"

CHECKS = Checks()
WANTS = "seed"


class Seed:
    """The folder of a seed, and the copy of the image that it is applied to."""

    def __init__(self, program, config, workdir):
        """The seed in `workdir`, which apply() has made or will make."""
        self.program, self.config = program, config
        self.folder = os.path.join(workdir, "seed")
        self.image = os.path.join(workdir, "private.img")
        self.passwords = {ALICE: "Alice-has-chosen-this"}
        self.key = os.path.join(workdir, "second-key")

    def apply(self, image):
        """Makes the seed, and a copy of the image that has it."""
        lines = [f"{who} {password}\n" for who, password in {"admin": ADMIN_PASSWORD, **self.passwords}.items()]
        self.mailkiln("seed", "new", "-c", self.config, self.folder, "--passwords", "-", stdin="".join(lines))
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "seed", "-f", self.key], check=True)
        with open(self.key + ".pub") as public, open(os.path.join(self.folder, "seed.toml"), "a") as document:
            document.write(f'\n[ssh]\nkeys = ["{public.read().strip()}"]\n')
            document.write(f'\n[acme]\ndns_key = "{DNS_KEY}"\n')
            document.write(f'\n[[wifi]]\nname = "Home"\npassword = "{WIFI_PASSWORD}"\n')
            # What QEMU's network gives by DHCP too, so that the forwarded ports lead there.
            document.write('\n[network]\naddresses = ["10.0.2.15/24"]\ngateways = ["10.0.2.2"]\nresolvers = ["10.0.2.3"]\n')
        subprocess.run(["cp", "--sparse=always", image, self.image], check=True)
        self.mailkiln("seed", "apply", self.image, self.folder)
        return self

    def mailkiln(self, *arguments, stdin=""):
        """Runs the builder's program; its standard output."""
        done = subprocess.run([self.program, *arguments], input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    def secrets(self):
        """Texts that must be nowhere but where they belong."""
        texts = [ADMIN_PASSWORD, WIFI_PASSWORD, DNS_KEY, *self.passwords.values()]
        for folder, _, names in os.walk(self.folder):
            for name in names:
                with open(os.path.join(folder, name)) as file:
                    content = file.read()
                if name.endswith(".pem") or name.startswith("ssh_host"):
                    texts.append(content.splitlines()[1])
                elif name == "seed.toml":
                    texts += [part for part in content.split('"') if part.startswith("$6$")]
        assert len(texts) >= 10, len(texts)
        return texts


def private_disk(path, start, size):
    """Bytes of a qcow2 disk, seen through its backing file."""
    mib = 1 << 20
    out = path + ".part"
    subprocess.run(["qemu-img", "dd", "-f", "qcow2", "-O", "raw", f"if={path}", f"of={out}", f"bs={mib}",
                    f"skip={start // mib}", f"count={(start + size) // mib}"], check=True, capture_output=True)
    with open(out, "rb") as file:
        content = file.read(size)
    os.remove(out)
    return content


def gone_from_the_card(seed, disk):
    """After the machine is off: the place on the boot partition is zeros, and no secret is left beside it."""
    partitions = json.loads(seed.mailkiln("--json", "inspect", seed.image))["partitions"]
    esp = next(part for part in partitions if part["label"] == "esp")
    before = open(seed.image, "rb").read()[esp["start"]:][: esp["size"]]
    after = private_disk(disk, esp["start"], esp["size"])
    assert any(place(before)), "nothing was applied"
    assert not any(place(after)), "the seed is still on the card"
    for text in ["MAILKILN-SEED", *seed.secrets()]:
        assert text.encode() not in after, "a secret is still on the boot partition"


def place(esp):
    """The content of the seed's file on a FAT32 volume, whose clusters follow each other."""
    per_cluster, reserved, tables = esp[13], *struct.unpack_from("<HB", esp, 14)
    data = (reserved + tables * struct.unpack_from("<I", esp, 36)[0]) * 512
    entry = esp.index(PLACE_NAME, data)
    cluster = struct.unpack_from("<H", esp, entry + 26)[0] | struct.unpack_from("<H", esp, entry + 20)[0] << 16
    size = struct.unpack_from("<I", esp, entry + 28)[0]
    assert size == 256 << 10, size
    return esp[data + (cluster - 2) * per_cluster * 512:][:size]


@CHECKS("the DKIM records of the device are those of `mailkiln dns --seed`")
def dkim_records(world):
    text = world.seed.mailkiln("--json", "dns", "-c", world.seed.config, "--seed", world.seed.folder)
    wanted = {r["name"]: r["value"] for r in json.loads(text)["records"] if "._domainkey." in r["name"]}
    device = {name: records[0] for (name, kind), records in world.zone.records.items()
              if kind == "TXT" and "._domainkey." in name}
    assert len(wanted) == 4 and wanted.keys() == device.keys(), (wanted, device)
    for name, value in wanted.items():
        assert value == device[name], name


@CHECKS("passwords of the seed work, the administrator's too, and the console shows neither")
def passwords(world):
    with imap(ALICE, world.seed.passwords[ALICE]):
        pass
    assert ALICE not in world.machine.passwords() and "admin password" not in world.machine.console()
    with tunnel(world, 8080) as base:
        assert "example.test" in curl("--user", f"admin:{ADMIN_PASSWORD}", f"{base}/api/principal?types=domain")


@CHECKS("the SSH host key is the seed's, and a key of the seed logs in")
def ssh(world):
    known = os.path.join(world.seed.folder, "known_hosts")
    public = subprocess.run(["ssh-keygen", "-y", "-f", os.path.join(world.seed.folder, "ssh_host_ed25519_key")],
                            capture_output=True, text=True, check=True).stdout
    with open(known, "w") as file:
        file.write(f"[{LOCAL}]:{port(22)} {public}")
    options = ["-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known}", "-o", "IdentitiesOnly=yes"]
    options += ["-o", "HostKeyAlgorithms=ssh-ed25519", "-o", "BatchMode=yes", "-p", str(port(22)), "-i", world.seed.key]
    done = subprocess.run(["ssh", *options, f"root@{LOCAL}", "id -u"], capture_output=True, text=True, check=False,
                          timeout=180, stdin=subprocess.DEVNULL)
    assert done.stdout.strip() == "0", done.stderr


@CHECKS("the static network of the seed is in use, and its wireless network is stored")
def network(world):
    addresses = json.loads(world.shell("ip -json -4 address show scope global"))
    found = [info for link in addresses for info in link["addr_info"]]
    assert [(info["local"], info.get("dynamic", False)) for info in found] == [("10.0.2.15", False)], found
    stored = world.shell("stat -c '%a %u' /var/lib/iwd/Home.psk && cat /var/lib/iwd/Home.psk")
    assert stored == f"600 0\n[Security]\nPassphrase={WIFI_PASSWORD}\n", stored


@CHECKS("the key of the name server is where the client for certificates gets it")
def acme_key(world):
    path = "/var/lib/mailkiln/secrets/acme-dns-key"
    assert world.shell(f"stat -c '%a %U' {path} && cat {path}") == f"600 mailkiln\n{DNS_KEY}"


@CHECKS("secrets of the seed are in no journal, and the card is erased")
def erased(world):
    assert world.shell("ls -A /run/mailkiln-seed").strip() == "", "the seed is still in memory"
    journal = world.shell("journalctl --no-pager -o cat")
    assert "the seed on the card is erased" in journal
    for text in world.seed.secrets():
        assert text not in journal, "a secret of the seed is in the journal"
    assert not any(text in world.machine.console() for text in world.seed.secrets())
