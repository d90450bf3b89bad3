"""The parts of ./check: what each runs, what it needs, and what it waits for.

Jobs stand in the order in which they are preferred when several could start: what others wait for comes first.
"""

import platform

from driver import needs, units
from driver.job import Job, Part, Step
from driver.workplace import IMAGES, PYTHON, ROOT

WORKSPACES = {"builder": "Cargo.toml", **units.workspaces()}
FUZZ = "fuzz/Cargo.toml"
IMAGE_NEEDS = (*needs.CARGO, *needs.IMAGE)
NICE = 10
# The checks that boot an appliance, in the order in which one is chosen for `-k`.
BOOTS = ("x86_64", "aarch64-uefi", "moved", "rpi3")
ISOLATED = str(ROOT / "tests/boot/isolated")


def step(name, *command, **more):
    """A step; paths and numbers become words, and `environment` is a dictionary."""
    environment = tuple(more.pop("environment", {}).items())
    return Step(name, tuple(map(str, command)), environment, **more)


def pytest(name, path, run, *arguments, isolated=False):
    """A step that runs the checks of a folder or file; `-k` and `--last-failed` go to it."""
    junit = run.junit / f"{name}.xml"
    # What checks print is shown as it comes: they take minutes.
    command = [PYTHON, "-m", "pytest", "-s", "-c", ROOT / "pyproject.toml", "--rootdir", ROOT, "-o", f"cache_dir={run.kept / 'pytest' / name}",
               "--junit-xml", junit, *run.pytest_options(), *arguments, ROOT / path]  # fmt: skip
    return step(name, *([ISOLATED] if isolated else []), *command, junit=junit, none_is_well=run.last_failed)


def cargo(name, *arguments, manifest=None, environment=None):
    """A step that calls cargo for a workspace."""
    where = ["--manifest-path", ROOT / manifest] if manifest else []
    subcommand, *rest = arguments
    return step(name, "cargo", subcommand, *where, *rest, environment=environment or {})


def script(name, *command, **more):
    """A step that runs a script of the checkout."""
    program, *rest = command
    return step(name, ROOT / program, *rest, **more)


def nextest(name, run, *arguments, workspace="builder", environment=None):
    """A step that runs the Rust tests of the workspace of that name, or a selection out of `workspace`."""
    junit = run.junit / f"test-{name}.xml"
    command = [PYTHON, "-m", "driver.rust", WORKSPACES.get(name, WORKSPACES[workspace]), junit, *run.nextest_options(name), *arguments]
    return step(f"{name}: tests", *command, junit=junit, environment=environment or {})


def builder(run):
    """Everything else needs the builder; the profile is that of the tests, so that their dependencies are compiled once."""
    return Job("builder", "builder", (step("builder", PYTHON, "-m", "driver.make", "builder"),), needs=needs.CARGO, cargo=True, nice=NICE)


def images(run):
    """The images of the tests, one after another: what the first one compiles or fetches, the others find. What boots waits for them,
    so that they come before whatever else compiles."""
    waits = {"x86_64": (), "aarch64-uefi": ("image x86_64",), "clamav": ("image aarch64-uefi",)}
    return tuple(
        Job(f"image {name}", "image", (step(f"image {name}", PYTHON, "-m", "driver.make", "image", name),), needs=IMAGE_NEEDS,
            requires=("builder",), after=waits[name])
        for name in IMAGES
    )  # fmt: skip


def lint(run):
    """Formatting and lints of Rust and of scripts."""
    manifests = {**WORKSPACES, "fuzz": FUZZ}
    formats = tuple(cargo(f"rustfmt: {name}", "fmt", "--all", "--check", manifest=path) for name, path in manifests.items())
    clippy = tuple(
        cargo(f"clippy: {name}", "clippy", *([] if name == "fuzz" else ["--workspace"]), "--all-targets", "--locked", "--", "-D", "warnings",
              manifest=path)
        for name, path in manifests.items()
    )  # fmt: skip
    scripts = tuple(step(name, PYTHON, "-m", "driver.scripts", name) for name in ("ruff", "mypy", "shellcheck"))
    text = tuple(step(name, PYTHON, "-m", f"driver.{name}") for name in ("words", "layers", "dependencies"))
    return (
        Job("lint scripts", "lint", (*formats, *text, *scripts), needs=needs.VENV),
        Job("lint driver", "lint", (pytest("driver", "tests/driver", run),), needs=needs.PYTEST),
        Job("lint clippy", "lint", clippy, needs=needs.CARGO, cargo=True, nice=NICE),
    )


def licences(run):
    """Licences and sources of every dependency, and known flaws."""
    manifests = (*WORKSPACES.values(), FUZZ, *units.patched())
    kinds = {"licences": ("licenses", "bans", "sources"), "advisories": ("advisories",)}
    steps = {
        kind: tuple(step(f"{kind}: {path}", PYTHON, "-m", "driver.deny", ROOT / path, *checks, not_run=f"{kind}: not checked: no database")
                    for path in manifests)
        for kind, checks in kinds.items()
    }  # fmt: skip
    return tuple(
        Job(kind, "licences", steps[kind], needs=(*needs.CARGO, needs.PATCH), cargo_tools=("deny",)) for kind in kinds
    )


def rust_tests(run):
    """Tests of the builder and of the units. What the image has compiled with is what tests of the sandbox compile with."""
    compiled = tuple(nextest(name, run, "--no-run") for name in WORKSPACES)
    documented = tuple(step(f"{name}: examples in documentation", PYTHON, "-m", "driver.documentation", path)
                       for name, path in WORKSPACES.items())  # fmt: skip
    findings = (
        cargo("the example `findings`", "build", "--locked", "--workspace", "--example", "findings", manifest=WORKSPACES["filter"]),
        script("oletools and the filter", "units/filter/inspect/tests/oletools", run.target / "debug/examples/findings"),
    )
    tools = (*needs.CARGO, *needs.DISKS, *needs.TOOLS, *needs.IMAGE)
    if run.selection:
        return tuple(Job(f"test {name}", "test", (nextest(name, run),), needs=tools, cargo=True, cargo_tools=("nextest",))
                     for name in WORKSPACES)  # fmt: skip

    def tests(name, *steps):
        return Job(f"test {name}", "test", steps, needs=(*tools, *needs.VENV), requires=("test compiled",), after=("image x86_64",), cargo=True,
                   nice=NICE, cargo_tools=("nextest",))  # fmt: skip

    return (
        Job("test compiled", "test", tuple(without_junit(one) for one in compiled), needs=needs.CARGO, cargo=True, nice=NICE,
            cargo_tools=("nextest",)),
        tests("builder", nextest("builder", run)),
        *(tests(name, nextest(name, run), *(findings if name == "filter" else ())) for name in units.workspaces()),
        tests("documentation", *documented),
        # It compiles the builder once more, and finds all other units compiled.
        Job("test toy", "test", (pytest("toy", "tests/toy", run),), needs=(*needs.PYTEST, *needs.DISKS, *needs.IMAGE), requires=("builder",),
            after=("image x86_64",), cargo=True, nice=NICE),
    )  # fmt: skip


def without_junit(one):
    """A step that only compiles writes no JUnit."""
    return Step(one.name.replace("tests", "tests compiled"), one.command, one.environment)


def fuzz(run):
    """Foreign bytes against every parser."""
    targets = run.words()
    return (Job("fuzz", "fuzz", (script("fuzz", "tests/fuzz", *targets),), needs=(*needs.CARGO, *needs.LIBFUZZER), cargo=True, nice=NICE),)


def nix(run):
    """What is written for Nix, evaluated and taken by real Nix."""
    modules = (
        step("modules are current", PYTHON, "-m", "driver.make", "modules"),
        nextest("nix", run, environment={"MAILKILN_NIX": "work"}),
        step("nixpkgs", PYTHON, "-m", "driver.make", "nixpkgs", not_run="nixpkgs: not checked: no NIXPKGS"),
    )
    return (
        Job("nix modules", "nix", modules, needs=IMAGE_NEEDS, requires=("builder",), cargo=True, nice=NICE, cargo_tools=("nextest",)),
        # It exports what images of both architectures are compiled from.
        Job("nix cache", "nix", (pytest("nix-cache", "tests/nix_cache", run),), requires=("builder",),
            needs=(*needs.PYTEST, *needs.ASSEMBLERS), after=("image aarch64-uefi",)),
    )  # fmt: skip


def closure(run):
    """Images from a NixOS closure, checked by real Nix and booted."""
    tools = (*needs.PYTEST, *needs.DISKS, *needs.QEMU, *needs.TOOLS, *needs.IMAGE)
    return (Job("closure", "closure", (pytest("closure", "tests/closure", run),), needs=tools, requires=("builder",)),)


def programs(run):
    """The image's own programs, on loopback."""
    tools = (*needs.PYTEST, *needs.DISKS, *needs.TOOLS, *needs.PROGRAMS, *needs.BIND, *needs.LOOPBACK, *needs.CLIENTS)
    jobs = []
    for name, (folder, _) in units.tested().items():
        junit = run.junit / f"programs-{name}.xml"
        one = step(f"programs {name}", PYTHON, "-m", "driver.programs", name, folder, junit, run.kept / "pytest" / name,
                   *run.pytest_options(), junit=junit, none_is_well=run.selection)  # fmt: skip
        own = (*needs.BROWSER, *needs.VENV) if name == "web" else ()
        jobs.append(Job(f"programs {name}", "programs", (one,), needs=(*tools, *own), requires=image(run, "x86_64"), servers=True))
    # Rust tests that need the mail server of the image.
    selections = () if run.selection else (("settings", "builder"), ("clients", "web"))
    for name, workspace in selections:
        judged = nextest(name, run, workspace=workspace, environment={"MAILKILN_MAIL_SERVER": "work"})
        jobs.append(Job(f"programs {name}", "programs", (judged,), needs=(*needs.CARGO, *tools), requires=image(run, "x86_64"), cargo=True,
                        nice=NICE, cargo_tools=("nextest",)))  # fmt: skip
    return tuple(jobs)


def artifacts(run):
    """Same bytes twice, other tools accept them, and architectures differ in machine code alone."""
    tools = (*needs.PYTEST, *needs.VENV, *needs.DISKS)
    return (
        Job("artifacts", "artifacts", (pytest("artifacts", "tests/artifacts", run),), needs=tools, requires=image(run, "x86_64"),
            after=("image aarch64-uefi",)),
        Job("sameness", "artifacts", (pytest("sameness", "tests/sameness", run),), needs=needs.PYTEST,
            requires=image(run, "x86_64", "aarch64-uefi")),
    )  # fmt: skip


def upload(run):
    """`mailkiln upload` at real servers where there are any, each after a gate that checks what arrives."""
    tools = (*needs.PYTEST, *needs.DISKS, *needs.VENV, *needs.IMAGE, *needs.UPLOAD)
    return (Job("upload", "upload", (pytest("upload", "tests/upload", run),), needs=tools, requires=("builder",)),)


def boards(run):
    """The image of every board, from outside."""
    tools = (*needs.PYTEST, *needs.DISKS)
    return (Job("boards", "boards", (pytest("boards", "tests/boards", run),), needs=tools, requires=("builder",),
                after=("image aarch64-uefi",)),)  # fmt: skip


def hostile(run):
    """Bad input at the command line."""
    return (Job("hostile", "hostile", (pytest("hostile", "tests/hostile", run),), needs=needs.PYTEST, requires=("builder",),
                after=("image x86_64",)),)  # fmt: skip


def boots(run):
    """Appliances under QEMU. With a selection, one job boots what the chosen checks need, one machine at a time."""
    tools = (*needs.PYTEST, *needs.QEMU, *needs.IMAGE, *needs.CLIENTS, *needs.LOOPBACK, *needs.DISKS, *needs.VENV)
    if run.selection:
        return (Job("boot", "boot", (pytest("boot", "tests/boot", run, isolated=not run.inside),), needs=tools, requires=("builder",),
                    servers=True),)  # fmt: skip
    ground = {
        "x86_64": (image(run, "x86_64"), ()),
        "aarch64-uefi": (image(run, "clamav"), ()),
        "moved": ((*image(run, "aarch64-uefi"), "boot x86_64"), ()),
        # It has its image of that part, which builds all boards.
        "rpi3": (("builder",), ("boards", "image aarch64-uefi")),
    }
    return tuple(
        Job(f"boot {name}", "boot", (pytest(f"boot-{name}", "tests/boot", run, "--appliance", name, isolated=True),), needs=tools,
            requires=ground[name][0], after=ground[name][1], servers=True)
        for name in BOOTS
    )  # fmt: skip


def image(run, *names):
    """The jobs that make images; none where a selection builds what it uses."""
    return ("builder",) if run.selection else tuple(f"image {name}" for name in names)


PARTS = {
    "lint": Part("lint", "formatting, lints, scripts", lint),
    "fuzz": Part("fuzz", "foreign bytes against every parser", fuzz, selects="words"),
    "licences": Part("licences", "licences, sources and known flaws of every dependency", licences),
    "image": Part("image", "the images of the tests", images),
    "test": Part("test", "tests of the builder and of the units", rust_tests, selects="nextest"),
    "nix": Part("nix", "NixOS modules and the binary cache, with real Nix", nix),
    "closure": Part("closure", "images from a NixOS closure, with real Nix, booted", closure, selects="pytest"),
    "programs": Part("programs", "the image's programs, on loopback", programs, selects="pytest"),
    "artifacts": Part("artifacts", "same bytes twice, accepted by other tools; sameness of architectures", artifacts, selects="pytest"),
    "upload": Part("upload", "uploads to clouds, at real servers and played ones on loopback", upload, selects="pytest"),
    "boards": Part("boards", "the images of all boards, from outside", boards, selects="pytest"),
    "hostile": Part("hostile", "bad input at the command line", hostile, selects="pytest"),
    "boot": Part("boot", "appliances under QEMU: UEFI, power cut, BIOS or U-Boot, flipped byte, moved /var, Pi 3", boots, selects="pytest"),
}
# Jobs in the order in which they are preferred: what has the longest way behind it first.
PREFERRED = ("builder", "image x86_64", "image aarch64-uefi", "image clamav", "boot x86_64", "boot aarch64-uefi", "boot moved", "boards",
             "boot rpi3", "closure", "lint clippy", "test compiled")  # fmt: skip
assert platform.system() == "Linux", "the checks run on Linux"


def jobs_of(names, run):
    """The jobs of parts, and those that they require, in the order of preference."""
    every = {job.name: job for job in (builder(run), *(job for part in PARTS.values() for job in part.jobs(run)))}
    wanted = {job.name for name in names for job in every.values() if job.part == name}
    while more := {one for name in wanted for one in needed(every[name], run)} - wanted:
        wanted |= more
    order = {name: place for place, name in enumerate(PREFERRED)}
    return sorted((every[name] for name in every if name in wanted), key=lambda job: order.get(job.name, len(order)))


def needed(job, run):
    """What must be there for a job: what it requires, and the image whose making leaves what it compiles with."""
    return [*job.requires, *(name for name in job.after if name.startswith("image ") and not run.selection)]
