"""`./check`: runs the tests, all parts or those that are named, and says at the end what passed, what failed and how long it took."""

import argparse
import dataclasses
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import threading
import time

from driver import needs, report
from driver.kept import kept_machine
from driver.parts import BOOTS, PARTS, jobs_of
from driver.rust_selection import nextest_selection
from driver.schedule import Schedule
from driver.workplace import BUILDER, ROOT, WORK, cache_folder, make_removable, target_folder


@dataclasses.dataclass(frozen=True)
class Run:
    """What was asked for, and where the results go."""

    kept: pathlib.Path
    target: pathlib.Path
    keyword: str = ""
    last_failed: bool = False
    keep_running: str = ""
    everywhere: bool = False
    # Whether this runs in the network of a machine that was kept running.
    inside: bool = False

    @property
    def junit(self):
        """The folder of JUnit files."""
        return self.kept / "junit"

    @property
    def selection(self):
        """Whether only some checks were asked for: then nothing is built that they don't use."""
        return bool(self.keyword or self.last_failed or self.keep_running)

    def pytest_options(self):
        """Options of every call of pytest."""
        options = ["-k", self.keyword] if self.keyword else []
        options += ["--last-failed", "--last-failed-no-failures", "none"] if self.last_failed else []
        options += ["--keep-running", self.keep_running] if self.keep_running else []
        return options + (["--everywhere"] if self.everywhere else [])

    def nextest_options(self, workspace):
        """Which Rust tests of a workspace run."""
        return nextest_selection(self, workspace)

    def words(self):
        """The keyword as words, for parts that know their pieces by name."""
        return self.keyword.split()


def arguments():
    """The command line."""
    parts = "\n".join(f"  {part.name:<10} {part.what}" for part in PARTS.values())
    parser = argparse.ArgumentParser(prog="./check", description="Runs the tests: every part, or those that are named.", epilog=f"parts:\n{parts}",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("parts", nargs="*", metavar="PART", help="a part (default: all)")
    parser.add_argument("-k", metavar="EXPRESSION", default="", dest="keyword",
                        help="only checks whose name or sentence fits: as in pytest; a part of the name for Rust tests and fuzz targets")
    parser.add_argument("--last-failed", "--lf", action="store_true", help="only checks that failed in the last run")
    parser.add_argument("--keep-running", metavar="APPLIANCE", default="", choices=BOOTS[:2],
                        help=f"boot: leave this machine running ({' or '.join(BOOTS[:2])}), or use the one that was left running")
    parser.add_argument("--everywhere", action="store_true", help="boot: with -k, boot every appliance that has a chosen check, not the first alone")
    parser.add_argument("--list", action="store_true", help="list the parts and their jobs, and run nothing")
    given = parser.parse_args()
    for name in given.parts:
        if name not in PARTS:
            parser.error(f"no part is called `{name}`; the parts are {', '.join(PARTS)}")
    if given.keep_running and given.parts != ["boot"]:
        parser.error("--keep-running is for `./check boot`")
    if given.keyword or given.last_failed:
        for name in given.parts or PARTS:
            if not PARTS[name].selects:
                able = ", ".join(part.name for part in PARTS.values() if part.selects)
                parser.error(f"-k and --last-failed select nothing in `{name}`; name one of {able}")
    return given


def environment(jobs, work, run):
    """The environment of all jobs; installs what they need."""
    if not shutil.which("cargo"):
        sys.exit("error: cargo is not here; install Rust 1.95 or newer from rustup.rs, then run this again")
    needs.install([need for job in jobs for need in job.needs])
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    for tool in dict.fromkeys(tool for job in jobs for tool in job.cargo_tools):
        needs.cargo_tool(tool)
    more = needs.servers() if any(job.servers for job in jobs) else {}
    return {
        **os.environ,
        **more,
        # A tool that checks what we write may be missing on a developer's machine; here it is a failure.
        "CI": os.environ.get("CI", "true"),
        "CARGO_TARGET_DIR": str(run.target),
        # It would write 13 GB, and a run compiles each crate once.
        "CARGO_INCREMENTAL": os.environ.get("CARGO_INCREMENTAL", "0"),
        "CARGO_TERM_COLOR": os.environ.get("CARGO_TERM_COLOR", "never"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(ROOT / "tests"),
        "PYTHONUNBUFFERED": "1",
        WORK: str(work),
        BUILDER: str(work / "bin/mailkiln"),
    }


# What all parts write, in bytes: a full disk fails every check in a way that names something else.
ROOM = 8 << 30


def expect_room(run):
    """Ends the program where the disks have too little room for a whole run."""
    for folder in (cache_folder(), pathlib.Path(tempfile.gettempdir())):
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        if free < ROOM:
            sys.exit(f"error: {folder} has {free / (1 << 30):.1f} GiB free; the checks need {ROOM >> 30} GiB. Delete what earlier runs left"
                     f" ({tempfile.gettempdir()}/mailkiln-*, {run.target}), or name one part")  # fmt: skip


LOUD = threading.Lock()


def say(line):
    """Prints one line, whole."""
    with LOUD:
        print(line, flush=True)


def main():
    """Runs what was asked for; the exit status is 1 when anything failed or was not run for a failure."""
    given = arguments()
    names = given.parts or list(PARTS)
    os.chdir(ROOT)
    kept = cache_folder() / "check"
    machine = kept_machine(given.keep_running)
    run = Run(kept, target_folder(), given.keyword, given.last_failed, given.keep_running, given.everywhere, machine is not None)
    jobs = jobs_of(names, run)
    if machine:
        # It has its image already.
        jobs = [machine.enter(job) for job in jobs if job.name == "boot"]
    if given.list:
        for job in jobs:
            print(f"{job.part:<10} {job.name}" + (f" (needs {', '.join(job.requires)})" if job.requires else ""))
        return
    if not given.parts and not run.selection:
        expect_room(run)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mailkiln-check-") as folder:
        work = pathlib.Path(folder)
        schedule = Schedule(jobs, environment(jobs, work, run), kept / "logs", say)
        # A terminal's Ctrl-C, and what ends a job of a CI.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        try:
            outcomes = schedule.run()
        finally:
            schedule.stop()
            make_removable(folder)
    report.write_junit(outcomes, run.junit)
    report.failures(outcomes)
    report.table(outcomes, time.monotonic() - started)
    print(f"JUnit files: {run.junit}, logs: {kept / 'logs'}")
    left = [name for name in PARTS if name not in names]
    sys.exit(0 if report.sum_up(outcomes, left, given.last_failed) else 1)


if __name__ == "__main__":
    main()
