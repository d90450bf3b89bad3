"""Runs Rust tests with cargo-nextest and keeps their JUnit file: `python3 -m driver.rust MANIFEST JUNIT [ARGUMENT...]`.

The profile `ci` of .config/nextest.toml holds for all workspaces. Where the environment names a tool as "work", it is that of
this run: MAILKILN_NIX, the folder of Nix's commands; MAILKILN_MAIL_SERVER, the mail server out of the x86_64 image.
"""

import os
import pathlib
import shutil
import subprocess
import sys

from driver.programs import unpacked
from driver.workplace import ROOT, target_folder, workplace

# What a workspace's tests leave is written below the folder that all share.
WRITTEN = "nextest/ci/junit.xml"


def tools():
    """The tools of this run that the environment asks for."""
    found = {}
    with workplace() as place:
        if os.environ.get("MAILKILN_NIX") == "work":
            found["MAILKILN_NIX"] = str(place.nix())
        if os.environ.get("MAILKILN_MAIL_SERVER") == "work":
            found["MAILKILN_MAIL_SERVER"] = str(unpacked(place)["mail-server"])
    return found


def main():
    """Runs cargo nextest."""
    manifest, junit, *arguments = sys.argv[1:]
    written = target_folder() / WRITTEN
    written.unlink(missing_ok=True)
    environment = dict(os.environ)
    if "work" in (environment.get("MAILKILN_NIX"), environment.get("MAILKILN_MAIL_SERVER")):
        environment |= tools()
    command = ["cargo", "nextest", "run", "--manifest-path", str(ROOT / manifest), "--config-file", str(ROOT / ".config/nextest.toml"),
               "--profile", "ci", "--locked", *arguments]  # fmt: skip
    status = subprocess.run(command, env=environment, check=False).returncode
    pathlib.Path(junit).parent.mkdir(parents=True, exist_ok=True)
    if written.exists():
        shutil.move(written, junit)
    elif status == 0 and "--no-run" not in arguments:
        pathlib.Path(junit).write_text("<testsuites/>\n")  # no test has the chosen name
    sys.exit(status)


if __name__ == "__main__":
    main()
