"""Python packages by digest, each set in a folder of the cache."""

import hashlib
import shutil
import subprocess
import sys

from driver.workplace import PYTHON, cache_folder


def installed(pins, name):
    """The programs of the packages that the file `pins` lists; installed when the cache does not have them."""
    key = hashlib.sha256(pins.read_bytes()).hexdigest()[:16]
    folder = cache_folder() / f"{name}-{key}"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([PYTHON, "-m", "venv", folder], check=True)
        pip = [folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command = [*pip, "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", pins]
        if subprocess.run(command, check=False).returncode:
            shutil.rmtree(folder)
            sys.exit(f"error: the packages of {pins} can't be installed; `{' '.join(map(str, command))}` says why")
        (folder / "done").touch()
    return folder / "bin"
