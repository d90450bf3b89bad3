"""Machines that a developer leaves running between two calls of `./check boot --keep-running APPLIANCE`.

What is known of one stands in a folder of the cache; its network is found by the process that runs in it.
"""

import dataclasses
import json
import os
import pathlib

from driver.job import Step
from driver.workplace import ROOT, cache_folder

# In the environment of checks that run in the network of a machine that was left running.
INSIDE = "MAILKILN_CHECK_INSIDE"


@dataclasses.dataclass(frozen=True)
class KeptMachine:
    """A machine that runs, and the process whose namespaces hold its network."""

    appliance: str
    folder: pathlib.Path
    pid: int

    def enter(self, job):
        """The job, run in the machine's network instead of a new one; nothing has to be built for it."""
        enter = ("nsenter", f"--target={self.pid}", "--user", "--net", "--mount", "--preserve-credentials", f"--wd={ROOT}", "--")
        inside = ((INSIDE, "yes"),)
        steps = tuple(Step(step.name, (*enter, *step.command), (*step.environment, *inside), step.junit, step.none_is_well) for step in job.steps)
        return dataclasses.replace(job, steps=steps, requires=(), after=())


def kept_folder(appliance):
    """Where a machine that is left running has its disk and console, and what is known of it."""
    return cache_folder() / "check/kept" / appliance


def kept_machine(appliance):
    """The machine of that name that still runs, or nothing."""
    if not appliance:
        return None
    folder = kept_folder(appliance)
    try:
        pid = json.loads((folder / "machine.json").read_text())["pid"]
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError, KeyError):
        return None
    # A number may have been given to another process since.
    if os.fsencode(folder) not in command:
        return None
    return KeptMachine(appliance, folder, pid)
