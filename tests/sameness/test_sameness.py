"""Shows that the images of one mail.toml for x86_64 and for aarch64 differ in machine code, kernel, firmware and boot files alone.

`mailkiln diff` says what differs in the images, the bills of materials say which crates and programs are in them. What is
beyond machine code, kernel, firmware and boot files has to be in ALLOWED, with its reason; an entry that nothing needs is a
failure too.
"""

import json
import re
import subprocess

import pytest

# Groups of `mailkiln diff` in which machines differ, whatever the files are.
EXPECTED = {"partitions", "boot", "kernel"}
# Machine code may differ in these; a program that only one image has is more than that.
OF_CODE = {"name", "content"}

DPKG = "/(var/lib|usr/lib/sysimage)/dpkg"
# (group, pattern of the whole subject, reason)
ALLOWED = [
    ("machine-code", "/usr/lib/(x86_64-linux-gnu/ld-linux-x86-64.so.2|aarch64-linux-gnu/ld-linux-aarch64.so.1)",
     "each ABI has its own name for the loader of programs"),
    ("machine-code", "/usr/lib64/ld-linux-x86-64.so.2|/usr/lib/ld-linux-aarch64.so.1",
     "and its own place, where every program looks for it"),
    ("machine-code", "/usr/lib/x86_64-linux-gnu/engines-3/padlock.so", "OpenSSL's code for cryptography in VIA's processors"),
    ("packages", "linux-image-(cloud-amd64|arm64)", "the kernel's package: each target names its own"),
    ("packages", f"{DPKG}/info/linux-image-(cloud-amd64|arm64).list", "and the list of its files"),
    ("packages", "grep", "Debian has compiled the same source a second time for arm64 (+b1)"),
    ("packages", f"{DPKG}/info/[^/]+.(list|md5sums|conffiles)", "paths with the architecture in them, digests of machine code"),
    ("packages", f"{DPKG}/status", "it names the architecture with every package"),
    ("units", "/etc/systemd/system/mailkiln-console.service", "the serial port: ttyS0 and ttyAMA0"),
    ("configuration", "/etc/mailkiln/appliance.json", "the serial port: ttyS0 and ttyAMA0"),
    ("other", "/usr/share/mailkiln/target.json", "the serial port: ttyS0 and ttyAMA0"),
    ("configuration", "EFI/BOOT/BOOTX64.EFI", "the os-release in the kernel image: VARIANT_ID is the target"),
    ("other", "/usr/lib/os-release", "VARIANT_ID is the target"),
    ("configuration", "/etc/ld.so.conf.d/x86_64-linux-gnu.conf", "the folder of libraries"),
    ("other", "/lib64|/usr/lib64", "where the ABI of x86_64 has its loader"),
    ("other", "/usr/bin/ld.so", "a link to the loader"),
    ("other", "/usr/bin/ldd", "a script that names the loader"),
    ("other", "/usr/bin/(i386|x86_64)", "util-linux's setarch has a name for each machine that this one can pass for"),
    ("other", "/usr/bin/bashbug", "a script that knows with what options bash was compiled"),
    ("parts", "(core_detect|curve25519-dalek-derive) .*", "of curve25519-dalek, which has vector code for x86_64 alone"),
]


def compare(program, first, second):
    """What `mailkiln diff` says, and its exit status."""
    done = subprocess.run([program, "--json", "diff", first, second], stdout=subprocess.PIPE, check=False)
    return json.loads(done.stdout), done.returncode


def parts(image):
    """Names and versions of what the bill of materials lists, but for Debian's packages: `diff` compares those."""
    with open(f"{image}.spdx.json", encoding="utf-8") as file:
        packages = json.load(file)["packages"]
    own = [package for package in packages if "pkg:deb/" not in json.dumps(package.get("externalRefs", []))]
    neutral = [re.sub("-(x86_64|aarch64-uefi)$", "", package["name"]) for package in own]
    return {f"{name} {package['versionInfo']}" for name, package in zip(neutral, own)}


def is_expected(group, difference):
    """Whether it is machine code, kernel, firmware or boot file."""
    aspects = {aspect["what"] for aspect in difference.get("aspects", [])}
    return group in EXPECTED or (group == "machine-code" and difference["change"] == "differs" and aspects <= OF_CODE)


def beyond(report, first, second):
    """[(group, subject, details)] of everything that is not expected to differ."""
    found = [
        (group["group"], difference["subject"], f"{difference['change']} {difference.get('aspects', '')}")
        for group in report["groups"] for difference in group["differences"] if not is_expected(group["group"], difference)
    ]
    return found + [("parts", part, "only in one bill of materials") for part in sorted(parts(first) ^ parts(second))]


@pytest.fixture(scope="session")
def images(place):
    """The image of x86_64 and that of aarch64."""
    return place.image("x86_64"), place.image("aarch64-uefi")


@pytest.fixture(scope="session")
def findings(mailkiln, images):
    """What differs beyond what has to: without a reason, and reasons that nothing needs."""
    report, status = compare(mailkiln, *images)
    assert (report["same"], status) == (False, 1), status
    assert {group["group"] for group in report["groups"]} > EXPECTED, "these are images for the same machine"
    unused, without = list(ALLOWED), []
    for group, subject, details in beyond(report, *images):
        reasons = [entry for entry in ALLOWED if entry[0] == group and re.fullmatch(entry[1], subject)]
        unused = [entry for entry in unused if entry not in reasons]
        if not reasons:
            without.append(f"{group}: {subject}: {details}")
    return without, unused


def test_image_is_same_as_itself(mailkiln, images):
    """An image does not differ from itself."""
    report, status = compare(mailkiln, images[0], images[0])
    assert (report["same"], report["groups"], status) == (True, [], 0), report


def test_differences_have_reasons(findings):
    """Whatever differs beyond machine code, kernel, firmware and boot files has its reason."""
    assert not findings[0], "\n".join(findings[0])


def test_reasons_are_needed(findings):
    """Each reason is needed by a difference."""
    assert not findings[1], findings[1]
