"""Runs cargo-deny on one manifest: `python3 -m driver.deny MANIFEST CHECK...`, where a check is licenses, bans, sources or advisories.

The database of known flaws is a git repository, which cargo-deny fetches; $MAILKILN_ADVISORIES names a clone of it where that
can't be reached. Without either, nothing is checked, and that is said.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import tomllib

from driver.workplace import ROOT, cache_folder

CONFIG = ROOT / "deny.toml"
FETCH_SECONDS = 120
ADVISORIES = "MAILKILN_ADVISORIES"
# One configuration for all workspaces, none of which has every exception.
EXCESS = ("license-exception-not-encountered", "advisory-not-detected")


def working_copy(manifest, folder):
    """The mail server's lock is that of the patched library, and the published one names more crates: cargo works on a copy of both."""
    if manifest.parent.name != "mail-server":
        return manifest
    copy = folder / "mail-server/Cargo.toml"
    shutil.copytree(manifest.parent, copy.parent)
    patches = sorted((manifest.parent / "patches").glob("*.patch"))
    patched = {line.split("/")[1] for patch in patches for line in patch.read_text().splitlines() if line.startswith("--- a/")}
    crates = folder / "crates"
    for name, published in published_crates(copy).items():
        if name in patched:
            shutil.copytree(published, crates / name)
    for patch in patches:
        subprocess.run(["patch", "--quiet", "--fuzz=0", "--strip=1", f"--directory={crates}", f"--input={patch}"], check=True)
    # The other patched crates keep their manifests, so that the lock says all about them.
    library = tomllib.loads(copy.read_text())["dependencies"]["stalwart-lite"]["version"].removeprefix("=")
    with copy.open("a") as text:
        text.write(f'\n[patch.crates-io]\nstalwart-lite = {{ path = "{crates}/stalwart-lite-{library}" }}\n')
    shutil.copy(manifest.parent / "Cargo.lock", copy.parent)
    return copy


def published_crates(manifest):
    """NAME-VERSION of every crate and the folder that cargo has unpacked it in. Changes the lock beside `manifest`."""
    command = ["cargo", "metadata", "--quiet", "--format-version=1", "--manifest-path", manifest]
    metadata = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return {f"{one['name']}-{one['version']}": pathlib.Path(one["manifest_path"]).parent for one in json.loads(metadata)["packages"]}


def environment():
    """The environment of git, in which a clone at hand takes the place of the one on the network."""
    clone = os.environ.get(ADVISORIES)
    if not clone:
        return os.environ | {"GIT_TERMINAL_PROMPT": "0"}
    (address,) = tomllib.loads(CONFIG.read_text())["advisories"]["db-urls"]
    key = f"url.{pathlib.Path(clone).absolute()}.insteadOf"
    return os.environ | {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": key, "GIT_CONFIG_VALUE_0": address}


def database(folder):
    """A configuration whose database was fetched into the cache; nothing where it can't be."""
    config = folder / "deny.toml"
    config.write_text(CONFIG.read_text().replace("[advisories]\n", f'[advisories]\ndb-path = "{cache_folder() / "advisories"}"\n', 1))
    command = ["cargo", "deny", "--manifest-path", ROOT / "Cargo.toml", "--config", config, "fetch", "db"]
    try:
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=FETCH_SECONDS, check=False, env=environment())
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        sys.stderr.write(done.stderr[-2000:])
        return None
    return config


def main():
    """Checks, or says that it did not."""
    manifest, *checks = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="mailkiln-deny-") as folder:
        copy = working_copy(pathlib.Path(manifest), pathlib.Path(folder))
        config = CONFIG
        if "advisories" in checks:
            config = database(pathlib.Path(folder))
            if not config:
                print(f"set {ADVISORIES} to a clone of the database that {CONFIG.name} names")
                print("advisories: not checked: no database")
                return
        allowed = [word for code in EXCESS for word in ("--allow", code)]
        command = ["cargo", "deny", "--manifest-path", copy, "--config", config, "check", *allowed, *checks]
        sys.exit(subprocess.run([*map(str, command)], check=False, env=environment()).returncode)


if __name__ == "__main__":
    main()
