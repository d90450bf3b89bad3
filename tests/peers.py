"""Programs of Debian that ours are measured beside: each set in a folder of its own, made by mmdebstrap."""

import os
import re
import subprocess

SUITE = "bookworm"


def unpack(folder, packages, proof):
    """The packages and what they need, in `folder`; made once, which the file `proof` in it shows. Needs root."""
    if not (folder / proof).exists():
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", SUITE, folder]
        subprocess.run([*map(str, command)], check=True)
    return folder


def is_possible():
    """Returns true if this machine can make the folder: root, and mmdebstrap on the path."""
    return os.geteuid() == 0 and subprocess.run(["sh", "-c", "command -v mmdebstrap"], capture_output=True, check=False).returncode == 0


def share(pid):
    """The proportional share (PSS) of a process, MiB."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
        return int(re.search(r"Pss:\s+(\d+)", rollup.read())[1]) / 1024
