"""Runs Rust tests with cargo-nextest and keeps their JUnit file: `python3 -m driver.rust MANIFEST JUNIT [ARGUMENT...]`.

The profile `ci` of .config/nextest.toml holds for all workspaces. Where the environment names a tool as "work", it is that of
this run: MAILKILN_NIX, the folder of Nix's commands; MAILKILN_MAIL_SERVER, the mail server out of the x86_64 image.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from driver.programs import unpacked
from driver.workplace import ROOT, workplace

PROFILE = "ci"


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
    environment = dict(os.environ)
    if "work" in (environment.get("MAILKILN_NIX"), environment.get("MAILKILN_MAIL_SERVER")):
        environment |= tools()
    with tempfile.TemporaryDirectory(prefix="mailkiln-nextest-") as folder:
        # Results go there instead of below the workspace.
        config = pathlib.Path(folder) / "nextest.toml"
        config.write_text((ROOT / ".config/nextest.toml").read_text() + f'\n[store]\ndir = "{folder}/store"\n')
        command = ["cargo", "nextest", "run", "--manifest-path", str(ROOT / manifest), "--config-file", str(config), "--profile", PROFILE,
                   "--locked", *arguments]  # fmt: skip
        status = subprocess.run(command, env=environment, check=False).returncode
        keep(pathlib.Path(folder) / f"store/{PROFILE}/junit.xml", pathlib.Path(junit), status, arguments)
    sys.exit(status)


def keep(written, junit, status, arguments):
    """Moves the results to where the driver looks for them."""
    junit.parent.mkdir(parents=True, exist_ok=True)
    if written.exists():
        shutil.move(written, junit)
    elif status == 0 and "--no-run" not in arguments:
        junit.write_text("<testsuites/>\n")  # no test has the chosen name


if __name__ == "__main__":
    main()
