"""The exported binary cache, checked by real Nix.

What Nix must take it takes from a file:// cache into stores in the folder of the run; then the cache is broken in the ways that
matter, and both Nix and `mailkiln verify nix-cache` must refuse it. The exported programs run where nothing but their own store paths
is mounted.
"""

import json
import os
import pathlib
import platform
import re
import shutil
import stat

import pytest
from driver.tools import run
from driver.workplace import ROOT

NAME = "cache.example.test-1"
FOREIGN = "cache.example.test-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
# The start of a launcher: the ELF header and two program headers.
HEADERS = 64 + 2 * 56


def refuses(what, pattern, *command, status=1):
    """The command fails and says `pattern`."""
    said = run(*command, status=status)
    assert re.search(pattern, said, re.IGNORECASE), f"{what}: {' '.join(map(str, command))} should say {pattern!r}:\n{said}"


class Judge:
    """Both programs, and the cache they look at."""

    def __init__(self, mailkiln, nix, work, lock):
        self.mailkiln, self.nix_folder, self.work = mailkiln, nix, work
        self.lock = ["--lock", lock] if lock else []
        self.secret, self.stores = work / "secret", 0
        self.public = run(mailkiln, "keygen", NAME, "-o", self.secret).strip()

    def export(self, folder, *arguments):
        said = run(self.mailkiln, "--json", "export", "nix-cache", folder, "--secret-key-file", self.secret, *self.lock, *arguments)
        return json.loads(said)

    def nix(self, *arguments, **options):
        return run(self.nix_folder / "nix", *arguments, **options)

    def store(self):
        """A new, empty store."""
        self.stores += 1
        return f"local?root={self.work}/stores/{self.stores}"

    def copy(self, cache, paths, key=None, store=None):
        """The command by which a host takes paths from a cache."""
        trusted = ["--option", "trusted-public-keys", key or self.public, "--option", "narinfo-cache-negative-ttl", "0"]
        return [self.nix_folder / "nix", "copy", "--from", f"file://{cache}", "--to", store or self.store(), *trusted, *paths]

    def verify(self, cache, key=None):
        return [self.mailkiln, "verify", "nix-cache", cache, "--trusted-public-key", key or self.public]


@pytest.fixture(scope="session")
def judge(place):
    """Both programs and a new key."""
    return Judge(place.mailkiln, place.nix(), place.folder("nix-cache"), place.lock)


@pytest.fixture(scope="session")
def cache(judge):
    """The folder of the exported cache."""
    return judge.work / "cache"


@pytest.fixture(scope="session")
def report(judge, cache):
    """What `export` says of the cache that it wrote."""
    return judge.export(cache)


@pytest.fixture(scope="session")
def filled(judge, cache, report):
    """A store that took every path from the cache."""
    store = judge.store()
    run(*judge.copy(cache, [path["path"] for path in report["paths"]], store=store))
    return store


def test_keys(judge):
    """keygen: Nix reads the key and says the same public one; an existing file is left alone."""
    assert stat.S_IMODE(judge.secret.stat().st_mode) == 0o600
    assert judge.nix("key", "convert-secret-to-public", input=judge.secret.read_text()) == judge.public
    run(judge.mailkiln, "keygen", NAME, "-o", judge.secret, status=2)


def test_same_twice(judge, cache, report):
    """export: the same bytes twice, and a third time nothing to do."""
    again = cache.with_name("again")
    judge.export(again)
    run("diff", "-r", cache, again)
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    judge.export(cache)
    assert before == {path: path.stat().st_mtime_ns for path in cache.rglob("*")}, "a whole cache was written to"


def test_path_info(judge, cache, report):
    """nix path-info: sizes, references, content addresses and signatures."""
    told = json.loads(judge.nix("path-info", "--store", f"file://{cache}", "--json", *(path["path"] for path in report["paths"])))
    for path in report["paths"]:
        info = told[path["path"]]
        assert info["narSize"] == path["nar_size"], path
        assert info["ca"].startswith("fixed:r:sha256:") and info["signatures"][0].startswith(NAME + ":"), info
        assert path["path"] not in info["references"] and len(info["references"]) == (2 if "unit" in path else 0), info


def test_copied(judge, cache, report, filled):
    """nix copy, nix store verify: every path, in the cache and in a store that took it."""
    for store in [f"file://{cache}", filled]:
        paths = [path["path"] for path in report["paths"]]
        judge.nix("store", "verify", "--store", store, "--sigs-needed", "1", "--trusted-public-keys", judge.public, *paths)


def test_copied_without_the_key(judge, cache, report):
    """nix copy without the key: content addresses suffice."""
    run(*judge.copy(cache, [path["path"] for path in report["paths"]], key=FOREIGN))


def test_verified(judge, cache, report):
    """mailkiln verify: nothing wrong."""
    said = run(*judge.verify(cache))
    assert f"nothing wrong; store paths: {len(report['paths'])}" in said, said


def test_launchers(judge, report, filled):
    """The code of launchers of both architectures is what an assembler makes of their sources."""
    tools = {"x86_64": "x86_64-linux-gnu-", "aarch64": "aarch64-linux-gnu-"}
    root = pathlib.Path(filled.split("=", 1)[1])
    for path in (path for path in report["paths"] if "unit" in path):
        (program, *_) = (root / path["path"][1:] / "bin").iterdir()
        binary = judge.work / "start.bin"
        source = ROOT / "builder/nix-store/src/launcher" / f"{path['arch']}.S"
        run(tools[path["arch"]] + "as", "-o", judge.work / "start.o", source)
        run(tools[path["arch"]] + "objcopy", "-O", "binary", "-j", ".text", judge.work / "start.o", binary)
        code = binary.read_bytes()[: -6 * 8]
        assert program.read_bytes()[HEADERS:].startswith(code), f"{program} is not what {source} says"


def test_named_by_configurations(judge, cache, report):
    """builtins.fetchClosure takes a path, as docs/nix-cache.md says, and so does a store that has the cache as its substituter."""
    (path, *_) = [path["path"] for path in report["paths"] if path.get("unit") == "mail-server"]
    fetch = f'builtins.fetchClosure {{ fromStore = "file://{cache}"; fromPath = {path}; }}'
    package = f'{{ type = "derivation"; name = "mailkiln-mail-server-0.1.0"; outPath = {fetch}; }}'
    # Nix has fetchClosure read file:// only where its own tests run.
    environment = os.environ | {"_NIX_IN_TEST": "1", "NIX_REMOTE": judge.store()}
    feature = ["--extra-experimental-features", "fetch-closure"]
    said = judge.nix("eval", "--raw", *feature, "--expr", f'"${{{package}}}/bin/"', env=environment)
    assert said.splitlines()[-1] == f"{path}/bin/", said
    store = judge.store()
    substitutes = ["--option", "substitute", "true", "--option", "substituters", f"file://{cache}"]
    judge.nix("build", "--no-link", "--store", store, *substitutes, "--option", "trusted-public-keys", judge.public, path)


def test_runs_alone(judge, cache, report):
    """The programs run where only their three store paths are, and are the compiled ones, unaltered."""
    starters = [path for path in report["paths"] if "unit" in path and path["arch"] == platform.machine()]
    assert {path["unit"] for path in starters} >= {"agent", "mail-server"}, starters
    for path in starters:
        store = judge.store()
        run(*judge.copy(cache, [path["path"]], store=store))
        root = pathlib.Path(store.split("=", 1)[1])
        folders = sorted(folder.name for folder in (root / "nix/store").iterdir() if folder.name != ".links")
        assert len(folders) == 3, folders
        for program in (root / path["path"][1:] / "bin").iterdir():
            inside = f"{path['path']}/bin/{program.name}"
            said = run("unshare", "--user", "--map-root-user", "--root", root, inside, "--help", env={})
            assert program.name in said, said
            (original,) = root.glob(f"nix/store/*-program-*/libexec/{program.name}")
            cached = pathlib.Path(os.environ.get("MAILKILN_CACHE") or pathlib.Path.home() / ".cache/mailkiln")
            compiled = [file for file in cached.glob(f"derived/unit/*/bin/{program.name}") if same(file, original)]
            assert compiled, f"{program.name} is no program that was compiled for appliances"


def same(first, second):
    return first.stat().st_size == second.stat().st_size and first.read_bytes() == second.read_bytes()


def broken(judge, cache, report, name):
    """A copy of the cache, the record of a unit's start in it, and the store path."""
    copy = judge.work / name
    shutil.copytree(cache, copy)
    (path, *_) = [path["path"] for path in report["paths"] if path.get("unit") == "agent"]
    return copy, copy / f"{path[11:43]}.narinfo", path


def test_flipped_byte(judge, cache, report):
    """A flipped byte is refused by Nix and by mailkiln verify."""
    copy, record, path = broken(judge, cache, report, "flipped")
    nar = copy / re.search(r"URL: (.*)", record.read_text())[1]
    content = bytearray(nar.read_bytes())
    content[len(content) // 2] ^= 1
    nar.write_bytes(content)
    refuses("a flipped byte", r"hash mismatch|corrupt|decompress|checksum|Restored data", *judge.copy(copy, [path]))
    refuses("a flipped byte", "has not the digest that its record says", *judge.verify(copy))


def test_missing_reference(judge, cache, report):
    """A missing reference is refused by Nix and by mailkiln verify."""
    copy, record, path = broken(judge, cache, report, "missing")
    needed = re.search(r"References: (\w{32})", record.read_text())[1]
    (copy / f"{needed}.narinfo").unlink()
    refuses("a missing reference", rf"{needed}.*(not valid|does not exist)|required, but|no substituter", *judge.copy(copy, [path]))
    refuses("a missing reference", f"refers to /nix/store/{needed}", *judge.verify(copy))


def test_wrong_key(judge, cache, report):
    """A wrong key is refused by Nix, where signatures decide, and by mailkiln verify everywhere."""
    # Nix asks for no signature where there is a content address; so that is taken out for this.
    copy, _, path = broken(judge, cache, report, "signed")
    for file in copy.glob("*.narinfo"):
        file.write_text(re.sub(r"(?m)^CA: .*\n", "", file.read_text()))
    run(*judge.copy(copy, [path]))
    refuses("a wrong key", "lacks a signature by a trusted key", *judge.copy(copy, [path], key=FOREIGN))
    refuses("a wrong key", "no signature of a trusted key", *judge.verify(cache, key=FOREIGN))


def test_references_left_out(judge, cache, report):
    """References that were left out are refused by Nix and by mailkiln verify."""
    copy, record, path = broken(judge, cache, report, "address")
    record.write_text(re.sub(r"(?m)^References: .*$", "References: ", record.read_text()))
    # Nix 2.26 ends by an assertion here, without having copied anything.
    refuses("references left out", "lacks a signature|storePathForDst == storePathForSrc", *judge.copy(copy, [path]), status=None)
    refuses("references left out", "has not the path", *judge.verify(copy))


def foreign_key(judge):
    """A key that Nix made: its file, and the public one."""
    secret, public = judge.work / "foreign", judge.work / "foreign.pub"
    if not secret.exists():
        run(judge.nix_folder / "nix-store", "--generate-binary-cache-key", "foreign-1", secret, public)
    return secret, public.read_text()


def test_foreign(judge, report):
    """Caches of Nix (xz, zstd, none) are verified and added to."""
    content = judge.work / "content"
    content.mkdir()
    (content / "hello").write_text("hi\n")
    store = judge.store()
    path = run(judge.nix_folder / "nix", "store", "add", "--store", store, content).strip()
    secret, public = foreign_key(judge)
    theirs = judge.work / "theirs"
    for compression in ["xz", "zstd", "none"]:
        shutil.rmtree(theirs, ignore_errors=True)
        target = f"file://{theirs}?compression={compression}&secret-key={secret}"
        judge.nix("copy", "--from", store, "--to", target, path, "--no-check-sigs")
        run(*judge.verify(theirs, key=public))
    judge.export(theirs, "--arch", platform.machine())
    run(*judge.verify(theirs, key=public), "--trusted-public-key", judge.public)
    refuses("two signers, one key", "no signature of a trusted key", *judge.verify(theirs))


def test_second_key(judge, cache, report):
    """A second key signs beside the first."""
    secret, public = foreign_key(judge)
    before = {file.name: file.read_text() for file in cache.glob("*.narinfo")}
    both = judge.work / "both"
    shutil.copytree(cache, both)
    run(judge.mailkiln, "export", "nix-cache", both, "--secret-key-file", secret, *judge.lock)
    for key in [public, judge.public]:
        run(*judge.verify(both, key=key))
    assert all(text.splitlines()[0] in (both / name).read_text() for name, text in before.items())
