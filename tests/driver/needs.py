"""What the parts need from Debian, and how it is installed: only for the parts that run."""

import dataclasses
import os
import platform
import subprocess
import sys

from driver.workplace import ROOT

LIBRARIES = f"/usr/lib/{platform.machine()}-linux-gnu"


@dataclasses.dataclass(frozen=True)
class Need:
    """A program or path, the Debian package that has it, and what it is for."""

    what: str
    package: str
    why: str


CARGO = (
    Need("cc", "gcc", "links the builder"),
    Need("pkg-config", "pkg-config", "finds libraries for build scripts"),
)
PATCH = Need("patch", "patch", "makes the mail server's manifests those that are compiled")
PYTEST = (Need("/usr/lib/python3/dist-packages/pytest", "python3-pytest", "runs the checks"),)
VENV = (Need("/usr/share/python-wheels", "python3-venv", "holds linters, oletools and a judge of OVF, each in a folder of its own"),)
LIBFUZZER = (Need("c++", "g++", "compiles libFuzzer"),)
QEMU = (
    Need("qemu-system-x86_64", "qemu-system-x86", "runs the appliance"),
    Need("qemu-img", "qemu-utils", "makes the appliance's disk"),
    Need("/usr/share/OVMF/OVMF_CODE_4M.fd", "ovmf", "the UEFI firmware that the appliance boots under"),
    Need("qemu-system-aarch64", "qemu-system-arm", "runs the ARM appliance"),
    Need("/usr/share/AAVMF/AAVMF_CODE.fd", "qemu-efi-aarch64", "the UEFI firmware that the ARM appliance boots under"),
    Need("/usr/lib/u-boot/qemu_arm64/u-boot.bin", "u-boot-qemu", "the U-Boot that the ARM appliance boots under"),
    Need("/usr/lib/python3/dist-packages/PIL", "python3-pil", "looks at the appliance's screen"),
)
IMAGE = (
    Need("ssh-keygen", "openssh-client", "makes the key that looks into the running appliance"),
    Need("openssl", "openssl", "checks keys and certificates"),
)
LOOPBACK = (Need("ip", "iproute2", "sets up the loopback of the test network"),)
CLIENTS = (
    Need("curl", "curl", "checks CalDAV and CardDAV"),
    Need("vdirsyncer", "vdirsyncer", "syncs calendars and contacts as a device does"),
    Need("/usr/lib/python3/dist-packages/aiodns", "python3-aiodns", "asks the DNS for MTA-STS"),
    Need("/usr/lib/python3/dist-packages/aiohttp", "python3-aiohttp", "fetches the MTA-STS policy"),
    Need("/usr/lib/python3/dist-packages/yaml", "python3-yaml", "the resolver of MTA-STS needs it"),
    Need("swaks", "swaks", "checks SMTP"),
    Need("sieve-connect", "sieve-connect", "checks ManageSieve"),
    Need("ssh", "openssh-client", "looks into the running appliance"),
    Need("/usr/lib/python3/dist-packages/dkim", "python3-dkim", "checks DKIM signatures"),
    Need("/usr/sbin/sgdisk", "gdisk", "moves a partition to another disk"),
)
DISKS = (
    Need("fsck.fat", "dosfstools", "checks the ESP"),
    Need("sgdisk", "gdisk", "checks the partition table"),
    Need("sfdisk", "fdisk", "checks partition tables"),
    Need("veritysetup", "cryptsetup-bin", "checks the verity tree"),
    Need("unsquashfs", "squashfs-tools", "checks the root file system"),
    Need("mksquashfs", "squashfs-tools", "checks the reader of root file systems"),
    Need("qemu-img", "qemu-utils", "checks disk formats"),
    Need("7zz|7z", "7zip", "checks disk formats"),
    Need("xz", "xz-utils", "checks compressed images"),
    Need("bmaptool", "bmap-tools", "checks block maps"),
    Need("cpio", "cpio", "checks the initrd"),
    Need("mcopy", "mtools", "reads the ESP"),
    Need("e2fsck", "e2fsprogs", "checks ext4"),
    Need("fdtget", "device-tree-compiler", "checks device trees"),
    Need("zstd", "zstd", "checks compressed images"),
)
TOOLS = (
    Need("nft", "nftables", "checks the firewall"),
    Need("systemd-analyze", "systemd", "checks the units"),
    Need("depmod", "kmod", "checks the module indexes"),
    Need("readelf", "binutils", "says what programs of a test system are linked with"),
    Need("clamd", "clamav-daemon", "is asked by the filter"),
    Need("minisign", "minisign", "checks signatures of images"),
    Need("genisoimage", "genisoimage", "makes volumes with first boot data"),
    Need("grub-mkimage", "grub-common", "checks GRUB's core image"),
    Need("/usr/lib/grub/i386-pc/moddep.lst", "grub-pc-bin", "what GRUB's core image is compared with"),
)
UPLOAD = (
    Need("/usr/sbin/sshd", "openssh-server", "is the rescue system that an image is written from"),
    Need("npm", "npm", "fetches the server that plays Azure's blobs"),
    Need("curl", "curl", "fetches what was uploaded"),
)
PROGRAMS = (
    Need("strace", "strace", "cuts the power at every write"),
    Need("testssl", "testssl.sh", "judges TLS on every port"),
    Need(f"{LIBRARIES}/faketime/libfaketime.so.1", "libfaketime", "gives programs another clock"),
)
# Node 20 or later: what is in units/web/tests/browser says so.
BROWSER = (
    Need("chromium", "chromium", "shows the pages of the webmail"),
    Need("node", "nodejs", "drives chromium"),
    Need("npm", "npm", "fetches what the pages are judged with"),
    Need("/usr/lib/python3/dist-packages/PIL", "python3-pil", "makes pictures of the pages small"),
)
ASSEMBLERS = (
    Need("x86_64-linux-gnu-as", "binutils-x86-64-linux-gnu", "checks the launchers of a Nix store"),
    Need("aarch64-linux-gnu-as", "binutils-aarch64-linux-gnu", "checks the launchers of a Nix store"),
)
BIND = tuple(
    Need(f"{LIBRARIES}/{library}", package, "BIND needs it, which takes signed updates")
    for library, package in (
        ("libuv.so.1", "libuv1"), ("liblmdb.so.0", "liblmdb0"), ("libmaxminddb.so.0", "libmaxminddb0"),
        ("libfstrm.so.0", "libfstrm0"), ("libprotobuf-c.so.1", "libprotobuf-c1"), ("libjemalloc.so.2", "libjemalloc2"),
        ("libnghttp2.so.14", "libnghttp2-14"), ("libjson-c.so.5", "libjson-c5"), ("libcap.so.2", "libcap2"),
        ("libxml2.so.2", "libxml2"),
    )
)  # fmt: skip

INSTALL = """
set -euo pipefail
. "$root/tests/prepare.sh"
while [ $# -gt 0 ]; do need "$1" "$2" "$3"; shift 3; done
install_missing
"""
# Servers that a package would start are unpacked into the cache instead; the environment says where they are.
SERVERS = """
set -euo pipefail
. "$root/tests/prepare.sh"
need_pebble >&2
need_name_server >&2
need_sts_resolver >&2
printf '%s\\n' "PEBBLE=$PEBBLE" "CHALLTESTSRV=$CHALLTESTSRV" "NAMED=$NAMED" "MTA_STS_QUERY=$MTA_STS_QUERY"
"""
# Programs from crates.io, at the versions that the checks were written for.
CARGO_TOOLS = {"nextest": "0.9.143", "deny": "0.20.2"}


def install(needs):
    """Installs with apt-get what is missing of `needs`; asks on a terminal, and ends the program when it fails."""
    words = [word for need in dict.fromkeys(needs) for word in (need.what, need.package, need.why)]
    done = subprocess.run(["bash", "-c", INSTALL, "needs", *words], env=os.environ | {"root": str(ROOT)}, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def servers():
    """The programs of pebble, BIND and a resolver of MTA-STS, as environment variables; fetched when the machine has none."""
    done = subprocess.run(["bash", "-c", SERVERS], env=os.environ | {"root": str(ROOT)}, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def cargo_tool(name):
    """Compiles `cargo NAME` at its pinned version where there is none."""
    if subprocess.run(["cargo", name, "--version"], capture_output=True, check=False).returncode == 0:
        return
    crate = f"cargo-{name}"
    print(f"   {crate} is missing: compiling version {CARGO_TOOLS[name]} (a few minutes, once)", flush=True)
    # Not into the folder of the tests: what it compiles there is of no use to them.
    environment = {key: value for key, value in os.environ.items() if key != "CARGO_TARGET_DIR"}
    command = ["cargo", "install", "--quiet", "--locked", crate, "--version", CARGO_TOOLS[name]]
    if subprocess.run(command, env=environment, check=False).returncode:
        sys.exit(f"error: {crate} {CARGO_TOOLS[name]} could not be compiled; `{' '.join(command)}` says why")
