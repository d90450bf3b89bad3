"""The programs, the store they work on, and what comes out: real Nix builds a small system from packages of the lock (fixture.nix)."""

import importlib.machinery
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import tomllib

from driver import tools
from driver.workplace import ROOT

HERE = ROOT / "tests/closure"
KEY = "closure.example.test-1"
FOREIGN = "closure.example.test-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
PROGRAMS = ["nix-bin", "dash", "coreutils", "util-linux", "mount", "kmod", "e2fsprogs"]
ENVIRONMENT = tools.ENVIRONMENT | {"LC_ALL": "C"}
BOOT_SECONDS = 900
PORT_OFFSETS = {("x86_64", "uefi"): 21000, ("x86_64", "bios"): 22000, ("aarch64", "uefi"): 23000}


def run(*command, **options):
    """What a command says, in English."""
    options.setdefault("env", ENVIRONMENT)
    return tools.run(*command, **options)


def loaded(path):
    """A program of the tests as a module."""
    loader = importlib.machinery.SourceFileLoader(path.name, str(path))
    spec = importlib.util.spec_from_loader(path.name, loader)
    assert spec, path
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


class Bench:
    """The programs, the store they work on, and what comes out."""

    def __init__(self, mailkiln, nix, work, lock):
        self.mailkiln, self.nix_folder, self.work, self.lock = mailkiln, nix, work, lock
        self.root = work / "store"
        self.secret = work / "secret"
        self.public = run(mailkiln, "keygen", KEY, "-o", self.secret).strip()
        self.debs = {}

    def nix(self, command, *arguments, root=None, **options):
        settings = {"NIX_REMOTE": f"local?root={root or self.root}"}
        return run(self.nix_folder / command, *arguments, env=ENVIRONMENT | settings, **options)

    def packages(self, arch):
        """Kernel and userland of an architecture, as files."""
        if arch not in self.debs:
            unpack = loaded(ROOT / "tests/nix/unpack")
            pins = tomllib.loads(self.lock.read_text())["packages"]
            sets = {f"{name}-{arch}" for name in ["nix", "image", "ssh"]}

            def chosen(key, pin):
                name = key.split(":")[0]
                return sets & set(pin["sets"]) and (name in PROGRAMS or name.startswith("lib") or f"nix-{arch}" in pin["sets"])

            def files(wanted):
                found = {key: pin for key, pin in pins.items() if wanted(key, pin)}
                return [str(unpack.package(found[key], unpack.cache_folder())) for key in sorted(found)]

            kernel = files(lambda key, pin: f"kernel-{arch}" in pin["sets"])
            self.debs[arch] = kernel, files(chosen)
        return self.debs[arch]

    def system(self, arch, many=0):
        """The store path of a system that Nix builds."""
        kernel, userland = self.packages(arch)
        lists = [["--arg", name, f"[ {' '.join(json.dumps(file) for file in files)} ]"] for name, files in
                 [("kernelPackages", kernel), ("userlandPackages", userland)]]
        sandbox = ["--option", "sandbox-paths", "/bin /usr /lib /lib64", "--option", "build-hook", ""]
        said = self.nix("nix-build", HERE / "fixture.nix", "--no-out-link", "--argstr", "arch", arch,
                        *sum(lists, []), "--arg", "many", many, *sandbox)
        return said.strip().splitlines()[-1]

    def copy(self, path, cache, compression="zstd"):
        target = f"file://{cache}?compression={compression}&parallel-compression=true&compression-level=1&secret-key={self.secret}"
        self.nix("nix", "copy", "--to", target, path)

    def build(self, path, target, out, *arguments, status=0):
        lock = ["--lock", self.lock]
        return run(self.mailkiln, "--json", "build", "--target", target, "--closure", path, "-o", out, *lock, *arguments, status=status)

    def image(self, *arguments):
        """The image that a build makes."""
        said = self.build(*arguments)
        report = json.loads(said[said.index("{"):])
        return pathlib.Path(report["files"][0]["path"])

    def from_cache(self, cache, key=None):
        return ["--from", f"file://{cache}", "--trusted-public-key", key or self.public]


def partition(image, label, out):
    """A partition of an image as a file; holes stay holes."""
    listed = json.loads(run("sfdisk", "--json", image))["partitiontable"]
    (found,) = [part for part in listed["partitions"] if part.get("name") == label]
    run("dd", f"if={image}", f"of={out}", "bs=1M", "iflag=skip_bytes,count_bytes", f"skip={found['start'] * 512}",
        f"count={found['size'] * 512}", "conv=sparse", "status=none")
    return out


def judged(bench, image, folder):
    """Other tools accept what is on the disk, and Nix the store on it."""
    folder.mkdir()
    verdict = run("sgdisk", "-v", image)
    assert "No problems found" in verdict, verdict
    esp, root = partition(image, "esp", folder / "esp"), partition(image, "nixos", folder / "root")
    run("fsck.fat", "-n", esp)
    run("e2fsck", "-fn", root)
    tree = folder / "tree"
    tree.mkdir()
    run("debugfs", "-R", f"rdump / {tree}", root)
    registration = (tree / "nix-path-registration").read_text()
    bench.nix("nix-store", "--load-db", root=tree, input=registration)
    said = bench.nix("nix-store", "--verify", "--check-contents", root=tree)
    assert "error" not in said and "modified" not in said, said
    stat = run("debugfs", "-R", "stat /nix/store", root)
    assert "Mode:  01775" in stat and "Group: 30000" in stat, stat
    return esp, tree, registration


def boot_partition(esp, system, arch):
    """Firmware, systemd-boot and the system's own tools find what they look for."""
    suffix = {"x86_64": "x64", "aarch64": "aa64"}[arch]

    def read(path):
        return subprocess.run(["mtype", "-i", esp, f"::{path}"], check=True, capture_output=True).stdout

    entry = dict(line.split(" ", 1) for line in read("/loader/entries/nixos-generation-1.conf").decode().splitlines())
    assert entry["title"] == "NixOS" and entry["options"].startswith(f"init={system}/init console="), entry
    assert re.fullmatch(r"/EFI/nixos/[a-z0-9]{32}-linux-1-(bzImage|Image)\.efi", entry["linux"]), entry
    assert re.fullmatch(r"/EFI/nixos/[a-z0-9]{32}-initrd-1-initrd\.efi", entry["initrd"]), entry
    assert read(entry["linux"]).startswith(b"MZ") and read(entry["initrd"]).startswith(b"0707")
    assert b"default nixos-generation-1.conf\n" in read("/loader/loader.conf")
    program = read(f"/EFI/BOOT/BOOT{suffix.upper()}.EFI")
    assert program == read(f"/EFI/systemd/systemd-boot{suffix}.efi") and b"#### LoaderInfo: systemd-boot" in program
    return entry


class Boot:
    """A boot of an image, which runs beside everything else."""

    def __init__(self, bench, system, image, arch, firmware, offset):
        self.bench, self.system, self.what = bench, system, f"{arch}, {firmware}"
        self.console = bench.work / f"console-{arch}-{firmware}"
        disk = bench.work / f"{arch}-{firmware}.img"
        run("cp", "--sparse=always", image, disk)
        listed = json.loads(run("sfdisk", "--json", disk))["partitiontable"]["partitions"]
        os.truncate(disk, 6 << 30)
        run("sfdisk", "--quiet", "-N", len(listed), disk, input=", +\n")
        command = [bench.mailkiln, "run", disk, "--firmware", firmware, "--console", self.console, "--disk-size", "6G",
                   "--port-offset", offset]
        self.qemu = subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL, env=ENVIRONMENT)

    def verdict(self):
        """Fails unless it has booted, and Nix on it is content with the store."""
        paths, system = len(self.bench.nix("nix-store", "--query", "--requisites", self.system).split()), self.system
        try:
            self.qemu.wait(BOOT_SECONDS)
        except subprocess.TimeoutExpired:
            self.qemu.terminate()
        said = self.console.read_text(errors="replace").replace("\r", "")
        wanted = ["stage 1", f"stage 2 of {system}", f"profile {system}", "load-db 0", "verify 0", f"paths {paths}", "grown 1", "added", "done"]
        missing = [line for line in wanted if f"closure: {line}\n" not in said]
        assert not missing and ("reading the Nix store" in said or "checking" in said), f"{self.what}: not said: {missing}:\n{said[-6000:]}"


def cases_of(bench, system):
    paths = bench.nix("nix-store", "--query", "--requisites", system).split()
    return next(path for path in paths if path.endswith("-cases-1")).removeprefix("/nix/store/")
