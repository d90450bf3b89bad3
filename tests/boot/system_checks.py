"""Checks of the system around the mail server: units, sandboxing, firewall, disk, memory."""

import json
import re
import socket

import PIL.Image
from checks import Checks
from clients import LOCAL, port
from driver.units import UNITS as PROGRAMS
from driver.units import services, users

# Not there: without `rules_url`, and beside the web unit.
ABSENT = {"mailkiln-filter-rules", "mailkiln-page"}
UNITS = [service["name"] for service in services() if service["name"] not in ABSENT]
PUBLIC = {22, 25, 80, 143, 443, 465, 587, 993, 995, 4190}

CHECKS = Checks()


@CHECKS("the system is running and no unit has failed")
def no_failed_unit(world):
    state = world.shell("systemctl is-system-running --wait || systemctl --failed --no-legend").strip()
    assert state == "running", state


@CHECKS("every unit's own command says that it works")
def health(world):
    for unit in PROGRAMS.values():
        if health := unit.get("health"):
            groups = "".join(f" -G {group}" for group in health.get("groups", []))
            world.shell(f"runuser -u {health['user']} -g {health['user']}{groups} -- {health['command']}")


@CHECKS("every unit of ours has an exposure of 2.0 or better")
def exposure(world):
    for unit in UNITS:
        text = world.shell(f"systemd-analyze security --no-pager {unit}.service | tail -1")
        level = float(re.search(r": ([\d.]+) ", text)[1])
        assert level <= 2.0, f"{unit}: {level}"


@CHECKS("only the listed ports answer, and nothing else listens on a public address")
def ports(world):
    listening = set()
    for line in world.shell("ss -H -tln").splitlines():
        address, number = line.split()[3].rsplit(":", 1)
        if not re.match(r"^(127\.|\[::1\])", address) and "%lo" not in address:
            listening.add(int(number))
    assert listening <= PUBLIC, f"also listening: {sorted(listening - PUBLIC)}"
    rules = world.shell("nft list ruleset")
    assert "policy drop" in rules, rules
    for number in PUBLIC:
        with socket.create_connection((LOCAL, port(number)), timeout=60):
            pass


@CHECKS("root is read-only and verified; /var is writable and grew to the disk")
def disk(world):
    mounts = json.loads(world.shell("findmnt --json --list -o TARGET,SOURCE,FSTYPE,OPTIONS"))["filesystems"]
    by_target = {mount["target"]: mount for mount in mounts}
    assert by_target["/"]["fstype"] == "squashfs" and by_target["/"]["source"] == "/dev/mapper/root", by_target["/"]
    assert "ro" in by_target["/"]["options"].split(","), by_target["/"]
    assert by_target["/var"]["fstype"] == "ext4", by_target["/var"]
    size = int(world.shell("df --output=size -B1 /var | tail -1"))
    assert size > 2 << 30, f"/var has {size} bytes of a 4 GiB disk"


@CHECKS("secrets are 0600 and not in the journal")
def secrets(world):
    loose = world.shell("find /var/lib/mailkiln/secrets -type f ! -perm 600; stat -c %a /var/lib/mailkiln/secrets")
    assert loose.strip() == "700", loose
    journal = world.shell("journalctl --no-pager -o cat")
    for address, password in world.passwords.items():
        assert password not in journal, f"the password of {address} is in the journal"


@CHECKS("the screen shows that it is ready, and the first passwords until they are forgotten")
def screen(world):
    # What stands on the screen, as the kernel knows it: lines that are too long go on in the next one.
    text = world.shell("cat /dev/vcs1")
    assert "mailkiln: ready" in text, text
    forgotten = "no longer shown" in text
    for address, password in world.machine.passwords().items():
        assert (password in text) != forgotten, f"{address} on the screen:\n{text}"
    # And as a person sees it.
    with PIL.Image.open(world.machine.screen) as picture:
        greys = picture.convert("L").histogram()
    dark, bright = sum(greys[:64]), sum(greys[128:])
    assert dark > bright > 2000, f"{dark} dark and {bright} bright points"


@CHECKS("110 MiB of memory or less are used after boot")
def memory(world):
    used = int(world.shell("free -m | awk '/^Mem:/{print $3}'"))
    print(f"    {used} MiB used")
    assert 0 < used <= 110, f"{used} MiB"


@CHECKS("the machine ID is the GUID of /var")
def identity(world):
    guid = world.shell("udevadm info --query=property --value --property=ID_PART_ENTRY_UUID /dev/disk/by-partlabel/var")
    world.machine_id = world.shell("cat /etc/machine-id").strip()
    assert world.machine_id == guid.strip().replace("-", ""), (world.machine_id, guid)


def same_identity(world):
    assert world.shell("cat /etc/machine-id").strip() == world.machine_id
    assert world.shell("ls /var/log/journal").split() == [world.machine_id]


@CHECKS("users and groups have the documented numbers")
def numbers(world):
    for name, number in users().items():
        if name in ABSENT:
            continue
        assert world.shell(f"id -u {name}").strip() == str(number)


@CHECKS("stopping and reloading the mail server ends in order")
def reload(world):
    world.shell("systemctl reload mail-server && systemctl is-active mail-server", seconds=240)
    world.shell("systemctl restart mail-server && systemctl is-active mail-server", seconds=240)
    assert "code=killed" not in world.shell("systemctl status --no-pager mail-server || true")


@CHECKS("what root types, the services can read after the next start")
def typed_by_root(world):
    # The password that it has already: other checks use it.
    world.shell("mailkiln-agent password admin --stdin </var/lib/mailkiln/secrets/admin-password")
    world.shell("echo unused | mailkiln-agent secret set typed-by-root")
    world.shell("mailkiln-agent prepare")
    world.shell("mailkiln-agent provision", seconds=400)
    world.shell("mailkiln-agent health", seconds=400)
    world.shell("mailkiln-acme status || true; mailkiln-filter quarantine list; mailkiln-filter rules check")
    for command in ("status", "provision --plan", "bans", "bans list", "cloud forget"):
        world.shell(f"mailkiln-agent {command}", seconds=400)
    account, password = next(iter(world.passwords.items()))
    world.shell(f"printf %s '{password}' | mailkiln-agent password {account} --stdin", seconds=400)
    spoilt = world.shell("find /var/lib/mailkiln /var/lib/mailkiln-acme -user root ! -name request")
    assert not spoilt.strip(), f"files of root in the state: {spoilt}"
    world.shell("rm /var/lib/mailkiln/secrets/typed-by-root")
    units = "mailkiln-prepare mail-server mailkiln-provision mailkiln-console"
    world.shell(f"systemctl restart {units} && systemctl is-active {units}", seconds=400)


@CHECKS("/var is mounted by the GUID that the initrd knows, and no file changes its user")
def state(world):
    source = world.shell("systemctl show --property=What --value var.mount").strip()
    guid = world.shell("cat /etc/machine-id").strip()
    assert guid in source.replace("-", "") or world.shell(f"readlink -f {source}").strip() == world.shell(
        "readlink -f /dev/disk/by-partuuid/"
        + "-".join((guid[:8], guid[8:12], guid[12:16], guid[16:20], guid[20:]))).strip(), source
    options = world.shell("findmnt --noheadings --output OPTIONS /var")
    assert "errors=remount-ro" in options and "nosuid" in options, options
    assert "nosuid" in world.shell("findmnt --noheadings --output OPTIONS /")
    found = world.shell("find / -xdev -type f -perm /6000")
    assert not found.strip(), found


@CHECKS("loopback is closed to services that have no business there")
def loopback(world):
    rules = world.shell("nft list chain inet mailkiln output")
    for number in (1465, 1993, 8080, 10025, 10026):
        assert f"dport {number} meta skuid != " in rules, rules
    assert "mailkiln-firewall.service" in world.shell("systemctl show --property=Requires systemd-networkd.service")
