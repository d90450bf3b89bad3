"""The life of an appliance: first boot under UEFI, a power cut in a stream of deliveries, a second boot on the same disk.

Each step runs once, when the first check asks for it, and fails for all that build on it when it fails.
"""

import contextlib
import functools
import json
import os
import re
import shutil
import subprocess
import threading
import time

import acme_checks
import clamav_checks
import mail_checks
import seed_checks
import system_checks
from checks import World
from clients import empty_mailboxes
from driver.kept import INSIDE, kept_folder
from foreign_host import ForeignHost
from internet import begin, internet, publish, publish_dkim
from machine import LeftRunning, Machine

BOOT_SECONDS = 600
READY = r"^mailkiln: ready"
# What the console says on a full disk, when all that can run does.
FULL = r"^mailkiln: not ready: only \d MiB are free on /var"
# By root, as the documentation has it: the second boot shows whether the services can read what that left.
FORGET = "mailkiln-agent forget-passwords"


def once(method):
    """A step of a life: what it gave, or how it failed, is what every later call gives."""

    @functools.wraps(method)
    def step(self, *arguments):
        known = self.steps.get(method.__name__)
        if known is None:
            try:
                known = (method(self, *arguments), None)
            except Exception as error:
                known = (None, error)
            self.steps[method.__name__] = known
        value, failure = known
        if failure:
            raise failure
        return value

    return step


class Desk:
    """The one machine that runs: ports are forwarded to the same numbers for each."""

    def __init__(self):
        self.machine, self.authority = None, None
        self.zone, self.foreign = internet(), ForeignHost()

    def clear(self):
        """Nothing runs, and the little internet is as it was at the beginning."""
        self.stop()
        begin(self.zone)
        self.foreign.inbox.clear()

    def start(self, *arguments, **options):
        """Starts a machine; one that ran is ended first."""
        if self.machine:
            self.machine.stop()
        self.machine = Machine(*arguments, **options)
        return self.machine

    def stop(self):
        """Ends the machine, and the authority beside it."""
        if self.machine:
            self.machine.stop()
        if self.authority:
            self.authority.stop()
        self.machine = self.authority = None


def inspect(program, image):
    """What `mailkiln inspect` says of the image."""
    done = subprocess.run([program, "--json", "inspect", image], capture_output=True, check=True)
    return json.loads(done.stdout)


class Life:
    """One appliance, from its first boot on. With `keep`, its machine is left running, or one is used that was."""

    def __init__(self, appliance, place, desk, keep=False):
        self.appliance, self.place, self.desk, self.keep, self.steps = appliance, place, desk, keep, {}
        self.folder = kept_folder(appliance.name) if keep else place.work / f"life-{appliance.name}"
        self.known = self.folder / "machine.json"
        self.left = keep and INSIDE in os.environ
        self.disk = self.folder / "disk.qcow2"

    @once
    def prepared(self):
        """The image that it boots from: the one that all share, or a copy with a seed."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        image = self.place.image(self.appliance.image)
        spec = self.place.mail_toml()
        if self.keep:
            for file in (self.place.mailkiln, image, self.place.key, spec):
                subprocess.run(["cp", "--sparse=always", "--preserve=mode", file, self.folder], check=True)
            image, spec = self.folder / image.name, self.folder / spec.name
        # pebble writes into its folder, and two may run at a time.
        shutil.copytree(self.place.authority, self.folder / "authority")
        seed = None
        if "seed" in self.appliance.features:
            seed = seed_checks.Seed(str(self.program()), str(spec), str(self.folder)).apply(str(image))
        return str(seed.image if seed else image), seed

    def program(self):
        """The builder's program."""
        return self.folder / self.place.mailkiln.name if self.keep else self.place.mailkiln

    def key(self):
        """The key that logs in."""
        return str((self.folder if self.keep else self.place.work) / "key")

    @once
    def started(self):
        """The machine, just switched on, in its little internet."""
        image, _ = self.prepared()
        self.desk.clear()
        acme_checks.publish(self.desk.zone)
        self.desk.authority = acme_checks.Authority(self.folder / "authority")
        return self.desk.start(self.program(), image, self.disk, str(self.folder), "uefi", stays=self.keep)

    @once
    def without_signatures(self):
        """Until ClamAV has signatures, mail waits."""
        clamav_checks.waits(self.started(), self.key(), BOOT_SECONDS)

    @once
    def ready(self):
        """The machine when it says that it is ready."""
        machine = self.started()
        if "clamav" in self.appliance.features:
            with contextlib.suppress(Exception):  # a check of its own says so
                self.without_signatures()
            clamav_checks.bring_signatures(machine, self.key())
        machine.wait_for(READY, BOOT_SECONDS)
        print(f"    ready after {time.monotonic() - machine.started:.0f} s", flush=True)
        return machine

    @once
    def world(self):
        """The world of the first boot."""
        if self.left:
            return self.found()
        machine = self.ready()
        _, seed = self.prepared()
        world = World(machine, self.desk.zone, self.desk.foreign, self.key(), machine.passwords(), seed=seed, authority=self.desk.authority)
        if seed:
            world.passwords.update(seed.passwords)
        self.steps["world"] = (world, None)
        with contextlib.suppress(Exception):  # a check of its own says so
            self.published()
        if self.keep:
            self.remember(world)
        return world

    @once
    def published(self):
        """The DKIM keys that the device has made, published as its administrator would."""
        publish_dkim(self.world())

    def remember(self, world):
        """Writes down what a later call has to know of a machine that is left running."""
        machine = world.machine
        known = {"pid": machine.process.pid, "qemu_pid": machine.qemu_pid, "console": machine.console_path, "passwords": world.passwords,
                 "dkim": world.dkim}  # fmt: skip
        self.known.touch(mode=0o600)
        self.known.write_text(json.dumps(known))

    def found(self):
        """The world of a machine that was left running: mail of earlier calls is gone, the authority is a new one."""
        known = json.loads(self.known.read_text())
        machine = LeftRunning(known["pid"], known["qemu_pid"], known["console"])
        self.desk.machine = machine
        acme_checks.publish(self.desk.zone)
        publish(self.desk.zone, known["dkim"])
        self.desk.authority = acme_checks.Authority(self.folder / "authority")
        seed = None
        if "seed" in self.appliance.features:
            seed = seed_checks.Seed(str(self.program()), str(self.folder / "mail.toml"), str(self.folder))
        world = World(machine, self.desk.zone, self.desk.foreign, self.key(), known["passwords"], seed=seed, authority=self.desk.authority,
                      dkim=known["dkim"])  # fmt: skip
        for user, password in world.passwords.items():
            if "@" in user:
                empty_mailboxes(user, password)
        return world

    def how_to_end(self):
        """The command that ends a machine that was left running."""
        return f"`kill {json.loads(self.known.read_text())['pid']}`"

    @once
    def forgotten(self):
        """The first passwords are forgotten."""
        self.world().shell(FORGET)

    @once
    def power_cut(self):
        """The plug is pulled in a stream of deliveries onto a disk that others have filled; the disk stays as that left it."""
        world, failure = self.world(), []
        if system_checks.identity not in world.proved:  # what the machine is called afterwards is compared with this
            with contextlib.suppress(Exception):
                world.prove(system_checks.identity)

        def stream():
            try:
                mail_checks.stream(world)
            except Exception as error:
                failure.append(error)

        mail_checks.fill_disk(world)
        sender = threading.Thread(target=stream)
        sender.start()
        deadline = time.monotonic() + 300
        while len(world.acknowledged) < 5 and time.monotonic() < deadline and sender.is_alive():
            time.sleep(0.05)
        world.machine.power_cut()
        sender.join()
        self.desk.stop()
        if self.appliance.name == "x86_64":
            keep_disk(world, self.disk, self.place.work / "kept")
        if failure:
            raise failure[0]

    def leave_mail_behind(self):
        """The power cut, after what the owner of another machine will look for was put there."""
        world = self.world()
        for function in mail_checks.KEPT:
            if function not in world.proved:
                world.prove(function)
        self.forgotten()
        self.power_cut()

    @once
    def firmware(self):
        """What the second boot starts from, beside UEFI: a BIOS where the image has a partition for it, else U-Boot."""
        image, _ = self.prepared()
        has_bios = any(part["label"] == "bios" for part in inspect(self.program(), image)["partitions"])
        return "bios" if has_bios else "u-boot"

    @once
    def again(self):
        """The world of the second boot: the same disk, another firmware."""
        world = self.world()
        with contextlib.suppress(Exception):  # checks of their own say so
            self.forgotten()
        with contextlib.suppress(AssertionError):
            self.power_cut()
        image, _ = self.prepared()
        world.machine = self.desk.start(self.program(), image, self.disk, str(self.folder), self.firmware())
        world.machine.wait_for(FULL, BOOT_SECONDS)
        return world

    @once
    def switched_off(self):
        """After the second boot."""
        self.again()
        self.desk.stop()

    def flipped(self):
        """A machine that boots from an image in which one byte of the root partition is not what was signed."""
        image = self.place.image(self.appliance.image)
        self.folder.mkdir(parents=True, exist_ok=True)
        root = next(part for part in inspect(self.place.mailkiln, image)["partitions"] if part["label"] == "root-a")
        altered = self.folder / "altered.img"
        subprocess.run(["cp", "--sparse=always", image, altered], check=True)
        with open(altered, "r+b") as file:
            file.seek(root["start"] + 96)  # the squashfs superblock's first table offset
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))
        return self.desk.start(self.place.mailkiln, altered, self.folder / "altered.qcow2", str(self.folder), "uefi")


def keep_disk(world, disk, folder):
    """Keeps the disk of a machine whose plug was pulled, without the image behind it, and what its owner knows."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", disk, folder / "disk.qcow2"], check=True)
    known = {"passwords": world.passwords, "machine_id": world.machine_id, "dkim": world.dkim}
    with open(folder / "known.json", "w", encoding="utf-8") as file:
        json.dump(known, file)


def never_ready(machine):
    """Whether the console never said so."""
    return not re.search(READY, machine.console(), re.MULTILINE)
