#!/usr/bin/env python3
"""Boots an image from each format that hypervisors start, with the disks and network cards that they have, until it answers mail.

    tests/boot/formats_table.py MAILKILN WORKDIR [ROW…]

MAILKILN builds what is missing in WORKDIR. A row is a line of ROWS, counted from 1; all without one. QEMU reads the file itself by the driver of
its format; what the appliance writes goes to an overlay of 4 GiB. Prints the table of docs/formats.md. `./check` does not run it: a boot takes
minutes. Needs qemu-system-x86_64, qemu-img and OVMF.
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import time

BOOT_SECONDS = 900
# Format and how its file ends, what QEMU calls it, the target, firmware, disk, network card.
QCOW2, ZSTD = ("qcow2", "qcow2", "qcow2"), ("qcow2-zstd", "zstd.qcow2", "qcow2")
FIXED, DYNAMIC = ("vhd", "vhd", "vpc"), ("vhd-dynamic", "dynamic.vhd", "vpc")
VHDX, VMDK = ("vhdx", "vhdx", "vhdx"), ("vmdk", "vmdk", "vmdk")
# Debian's OVMF did not see a PVSCSI disk; SeaBIOS does.
ROWS = [
    (VMDK, "vmware-x86_64", "bios", "pvscsi", "vmxnet3"),
    (VHDX, "x86_64", "uefi", "virtio-scsi", "virtio"),
    (DYNAMIC, "x86_64", "bios", "ide", "virtio"),
    (FIXED, "x86_64", "uefi", "nvme", "virtio"),
    (QCOW2, "x86_64", "bios", "4096", "virtio"),
    (VMDK, "vmware-x86_64", "uefi", "nvme", "vmxnet3"),
    (ZSTD, "x86_64", "uefi", "4096", "virtio"),
    (FIXED, "x86_64", "bios", "virtio-scsi", "virtio"),
    (VHDX, "x86_64", "bios", "virtio", "virtio"),
    (DYNAMIC, "x86_64", "uefi", "virtio", "virtio"),
    (QCOW2, "x86_64", "uefi", "virtio-scsi", "virtio"),
]
# QEMU's devices, for a drive that is called `disk`.
DISKS = {
    "virtio": ["virtio-blk-pci,drive=disk"],
    "virtio-scsi": ["virtio-scsi-pci,id=disks", "scsi-hd,bus=disks.0,drive=disk"],
    "nvme": ["nvme,drive=disk,serial=mailkiln"],
    "pvscsi": ["pvscsi,id=disks", "scsi-hd,bus=disks.0,drive=disk"],
    "ide": ["piix3-ide,id=disks", "ide-hd,bus=disks.0,drive=disk"],
    # Physical sectors of 4096 bytes that are counted in 512: 512e.
    "4096": ["virtio-blk-pci,drive=disk,physical_block_size=4096,logical_block_size=512"],
}
NAMES = {"ide": "IDE (PIIX3)", "4096": "virtio, sectors of 4096 bytes (512e)", "pvscsi": "PVSCSI", "nvme": "NVMe", "vmxnet3": "VMXNET3"}
CARDS = {"virtio": "virtio-net-pci", "vmxnet3": "vmxnet3", "e1000e": "e1000e"}
OVMF = pathlib.Path("/usr/share/OVMF")


def images(mailkiln, folder, rows):
    """Builds what the rows need and `folder` lacks; a target's formats in one run."""
    spec = pathlib.Path(__file__).resolve().parent / "mail.toml"
    for target in {target for _, target, *_ in rows}:
        formats = {kind[0] for kind, name, *_ in rows if name == target and not (folder / f"mail.example.test-{target}.{kind[1]}").exists()}
        if formats:
            subprocess.run([mailkiln, "build", spec, "--target", target, "--format", ",".join(sorted(formats)), "-o", folder], check=True)


def boot(row, folder, scratch):
    """Seconds until the console says that mail was sent and read, and where its log is."""
    (_, suffix, driver), target, firmware, disk, card = row
    image, overlay = (folder / f"mail.example.test-{target}.{suffix}").resolve(), scratch / "disk.qcow2"
    console = folder / f"console-{suffix}-{firmware}-{disk}-{card}.log"
    console.unlink(missing_ok=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", driver, overlay, "4G"], check=True)
    # One processor: emulated ones trip now and then over a kernel that rewrites itself.
    command = ["qemu-system-x86_64", "-machine", "q35", "-cpu", "max", "-smp", "1", "-m", "1024", "-display", "none", "-nodefaults", "-no-reboot",
               "-serial", f"file:{console}", "-device", "virtio-rng-pci", "-drive", f"if=none,id=disk,format=qcow2,file={overlay}",
               "-netdev", "user,id=net", "-device", f"{CARDS[card]},netdev=net,romfile="]  # fmt: skip
    for device in DISKS[disk]:
        command += ["-device", device]
    if firmware == "uefi":
        variables = scratch / "variables.fd"
        variables.write_bytes((OVMF / "OVMF_VARS_4M.fd").read_bytes())
        command += ["-drive", f"if=pflash,format=raw,readonly=on,file={OVMF / 'OVMF_CODE_4M.fd'}", "-drive", f"if=pflash,format=raw,file={variables}"]
    started = time.monotonic()
    process = subprocess.Popen(command)
    try:
        while time.monotonic() - started < BOOT_SECONDS and process.poll() is None:
            text = console.read_text(errors="replace").replace("\r", "") if console.exists() else ""
            if re.search("^mailkiln: ready", text, re.MULTILINE):
                return round(time.monotonic() - started), console
            time.sleep(1)
        return None, console
    finally:
        process.terminate()
        process.wait(60)


def main():
    mailkiln, folder = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    rows = [ROWS[int(number) - 1] for number in sys.argv[3:]] or ROWS
    images(mailkiln, folder, rows)
    print("| format | firmware | disk | network card | target | ready after |\n|---|---|---|---|---|---|", flush=True)
    failed = []
    for row in rows:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            seconds, console = boot(row, folder, pathlib.Path(scratch))
        kind, target, firmware, disk, card = row
        shown = f"{seconds} s" if seconds else "**not**"
        print(f"| `{kind[0]}` | {firmware.upper()} | {NAMES.get(disk, disk)} | {NAMES.get(card, card)} | `{target}` | {shown} |", flush=True)
        failed += [] if seconds else [console]
    sys.exit(f"not ready within {BOOT_SECONDS} s: see {', '.join(map(str, failed))}" if failed else None)


if __name__ == "__main__":
    main()
