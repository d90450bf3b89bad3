#!/usr/bin/env python3
"""Boots an image of `mailkiln new --generic` (x86_64, raw) with first boot data, as a hypervisor would, and looks at what became of it.

    tests/boot/first_boot_data.py IMAGE.img WORKDIR

Five boots in QEMU: without anything, with a wrong fragment, with a NoCloud volume and an SMBIOS credential, without the volume, and a copy of the disk as another
instance. Needs qemu-system-x86_64, qemu-img, genisoimage and ssh. `./check` does not run it: it is for whoever publishes an image.
"""

import pathlib
import re
import smtplib
import subprocess
import sys
import time

SSH, SMTP = 12322, 12325
FRAGMENT = '#mailkiln\n[host]\nname = "mx.example.net"\n[[domain]]\nname = "example.net"\n[[account]]\naddress = "bob@example.net"\n[acme]\ncontact = "bob@example.net"\n'
BOOT_SECONDS = 600


class Guest:
    """A boot of `disk` with a volume (or none) and the key of `work`."""

    def __init__(self, work, disk, name, volume=None, credential=True):
        self.work, self.console = work, work / f"console-{name}.log"
        public = (work / "key.pub").read_text().strip()
        command = ["qemu-system-x86_64", "-m", "1024", "-display", "none", "-serial", f"file:{self.console}", "-no-reboot",
                   "-drive", f"if=virtio,file={disk},format=qcow2",
                   "-nic", f"user,model=virtio,hostfwd=tcp:127.0.0.1:{SSH}-:22,hostfwd=tcp:127.0.0.1:{SMTP}-:25"]
        if volume:
            command += ["-cdrom", str(volume)]
        if credential:
            command += ["-smbios", f"type=11,value=io.systemd.credential:ssh.authorized_keys.root={public}"]
        self.process = subprocess.Popen(command)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)

    def wait_for(self, pattern):
        """The first match on the console."""
        end = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < end:
            text = self.console.read_text(errors="replace").replace("\r", "") if self.console.exists() else ""
            if match := re.search(pattern, text, re.MULTILINE):
                return match
            time.sleep(1)
        raise SystemExit(f"no {pattern!r} on {self.console}")

    def shell(self, command):
        """What a command in the guest prints."""
        options = ["-i", str(self.work / "key"), "-p", str(SSH), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                   "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=60"]
        for _ in range(60):
            done = subprocess.run(["ssh", *options, "root@127.0.0.1", command], capture_output=True, text=True, check=False)
            if done.returncode != 255:
                return done.stdout + done.stderr
            time.sleep(2)
        raise SystemExit(f"ssh: {done.stderr}")

    def off(self):
        """Shuts down in order, so that /var is whole."""
        self.shell("systemctl poweroff")
        self.process.wait(120)


def expect(what, fine, found=""):
    print(("ok      " if fine else "FAILED  ") + what, found if not fine else "", flush=True)
    if not fine:
        raise SystemExit(1)


def volume(work, instance, user_data):
    """A NoCloud volume."""
    folder = work / "volume"
    folder.mkdir(exist_ok=True)
    (folder / "meta-data").write_text(f"instance-id: {instance}\n")
    (folder / "user-data").write_text(user_data)
    image = work / f"cidata-{instance}.iso"
    subprocess.run(["genisoimage", "-quiet", "-o", str(image), "-V", "cidata", "-J", "-r", str(folder)], check=True)
    return image


def main():
    image, work = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "key").exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(work / "key")], check=True)
    disk = work / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(image), "-F", "raw", str(disk), "4G"], check=True)

    with Guest(work, disk, "nothing") as guest:
        guest.wait_for(r"^mailkiln: no mail yet: this image has no domain")
        expect("ssh works with the key of the credential", "unconfigured" in guest.shell("cat /etc/mailkiln/appliance.json"))
        expect("no mail service runs", guest.shell("systemctl is-active mail-server").strip() == "inactive")
        failed = guest.shell("systemctl --failed --no-legend --plain")
        expect("no unit has failed", failed.strip() == "", failed)
        guest.off()

    wrong = FRAGMENT.replace("address", "adress")
    with Guest(work, disk, "wrong", volume(work, "i-1", wrong)) as guest:
        guest.wait_for(r"^mailkiln: +help: did you mean `address`\?")
        expect("ssh works beside a wrong fragment", guest.shell("true") == "")
        guest.off()

    with Guest(work, disk, "right", volume(work, "i-1", FRAGMENT)) as guest:
        guest.wait_for(r"^mailkiln: ready")
        expect("the host has the fragment's name", guest.shell("hostname; cat /etc/hostname").split() == ["mx.example.net"] * 2, guest.shell("hostname"))
        with smtplib.SMTP("127.0.0.1", SMTP, local_hostname="client.example.com", timeout=60) as session:
            refused = session.docmd("MAIL", "FROM:<a@example.com>"), session.docmd("RCPT", "TO:<bob@example.net>")
        expect("mail for the fragment's account is taken", refused[1][0] == 250, refused)
        expect("the agent's user alone may reach metadata", "skuid != 802" in guest.shell("nft list chain inet mailkiln output"))
        blocked = guest.shell("curl -s -m 3 http://169.254.169.254/ >/dev/null; echo $?; nft list ruleset | grep -c 168.63.129.16")
        expect("root's question to a metadata service is dropped", blocked.split()[0] in ("28", "127"), blocked)
        failed = guest.shell("systemctl --failed --no-legend --plain")
        expect("no unit has failed", failed.strip() == "", failed)
        first = guest.shell("cat /etc/machine-id /var/lib/ssh/etc/ssh/ssh_host_ed25519_key.pub /var/lib/mailkiln/dkim/example.net.txt")
        guest.off()

    with Guest(work, disk, "detached", None) as guest:
        guest.wait_for(r"^mailkiln: ready")
        again = guest.shell("cat /etc/machine-id /var/lib/ssh/etc/ssh/ssh_host_ed25519_key.pub /var/lib/mailkiln/dkim/example.net.txt")
        expect("without its volume the machine stays what it was", again == first, (first, again))
        guest.off()

    with Guest(work, disk, "copy", volume(work, "i-2", FRAGMENT)) as guest:
        guest.wait_for(r"^mailkiln: ready")
        other = guest.shell("cat /etc/machine-id /var/lib/ssh/etc/ssh/ssh_host_ed25519_key.pub /var/lib/mailkiln/dkim/example.net.txt")
        pairs = list(zip(first.splitlines(), other.splitlines(), strict=False))
        expect("a copy has another machine ID, host key and DKIM keys", all(a != b for a, b in pairs), pairs)
        guest.off()


if __name__ == "__main__":
    main()
