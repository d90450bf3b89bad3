"""The system, its caches and images, that the checks share; and what breaks them."""

import re
import shutil

import pytest
from bench import ENVIRONMENT, PORT_OFFSETS, Bench, Boot, judged


def pytest_collection_modifyitems(items):
    """Machines boot beside the other checks, and are asked last."""
    items.sort(key=lambda item: getattr(item, "originalname", "") == "test_booted")


@pytest.fixture
def refuses(bench, system):
    """A function that builds and must fail: with a status, saying a pattern, writing nothing."""
    out = bench.work / "refused"

    def check(what, pattern, *arguments, path=system, target="x86_64", status=1):
        said = bench.build(path, target, out, *arguments, status=status)
        message = said[said.index("{") :] if "{" in said else said
        assert re.search(pattern, message, re.DOTALL), f"{what}: expected {pattern!r}:\n{said}"
        assert not out.exists() or not any(out.iterdir()), f"{what}: something was written"

    return check


@pytest.fixture
def broken(bench, system, cache):
    """A function that copies the cache for a test to break: the copy, the record of the system in it, and its archive."""

    def copied(name):
        copy = bench.work / f"broken-{name}"
        shutil.copytree(cache, copy)
        record = copy / f"{system.removeprefix('/nix/store/')[:32]}.narinfo"
        return copy, record, copy / re.search(r"URL: (.*)", record.read_text())[1]

    return copied


@pytest.fixture
def nothing_fetched(bench, tmp_path):
    """A cache of the builder without what earlier builds have fetched; what the image's boot programs come from is there already."""
    ENVIRONMENT["MAILKILN_CACHE"] = str(tmp_path)
    yield
    del ENVIRONMENT["MAILKILN_CACHE"]


@pytest.fixture(scope="session")
def bench(place):
    """The programs, and an empty store."""
    return Bench(place.mailkiln, place.nix(), place.folder("closure"), place.lock)


@pytest.fixture(scope="session")
def system(bench):
    """A system for x86_64."""
    return bench.system("x86_64")


@pytest.fixture(scope="session")
def cache(bench, system):
    """The cache that has it."""
    bench.copy(system, bench.work / "cache")
    return bench.work / "cache"


@pytest.fixture(scope="session")
def image(bench, system, cache):
    """Its image, from the cache."""
    return bench.image(system, "x86_64", bench.work / "out", *bench.from_cache(cache))


@pytest.fixture(scope="session")
def on_disk(bench, image):
    """What is on its disk, accepted by other tools: boot partition, files of the root, what Nix is told of them."""
    return judged(bench, image, bench.work / "x86_64")


@pytest.fixture(scope="session")
def arm(bench):
    """A system for aarch64."""
    return bench.system("aarch64")


@pytest.fixture(scope="session")
def arm_cache(bench, arm):
    """The cache that has it."""
    bench.copy(arm, bench.work / "arm-cache")
    return bench.work / "arm-cache"


@pytest.fixture(scope="session")
def arm_image(bench, arm, arm_cache):
    """Its image."""
    return bench.image(arm, "aarch64-uefi", bench.work / "arm", *bench.from_cache(arm_cache))


@pytest.fixture(scope="session")
def boots(bench, request):
    """A function that starts a boot, which runs beside the checks between; at the end, those that still run are ended."""
    begun = {}

    def boot(arch, firmware):
        if (arch, firmware) not in begun:
            names = ("system", "image") if arch == "x86_64" else ("arm", "arm_image")
            system, image = (request.getfixturevalue(name) for name in names)
            begun[arch, firmware] = Boot(bench, system, image, arch, firmware, PORT_OFFSETS[arch, firmware])
        return begun[arch, firmware]

    yield boot
    for one in begun.values():
        if one.qemu.poll() is None:
            one.qemu.terminate()
