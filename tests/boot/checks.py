"""The list of checks and how they are reported: each is one sentence about the appliance and a function that proves it."""

import dataclasses
import sys
import time
import traceback

from dns_server import Zone
from foreign_host import ForeignHost
from machine import Machine


@dataclasses.dataclass
class World:
    """What a check may use: the running appliance and the other hosts of its little internet."""

    machine: Machine
    zone: Zone
    foreign: ForeignHost
    key: str
    passwords: dict
    machine_id: str = ""
    seed: object = None
    authority: object = None
    dkim: str = ""
    acknowledged: list = dataclasses.field(default_factory=list)

    def shell(self, command, seconds=180):
        """Standard output of `command` in the guest; fails loudly when the command does."""
        done = self.machine.shell(self.key, command, seconds)
        assert done.returncode == 0, f"`{command}` ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout


class Report:
    """Counts and prints; a failed check does not stop the next one."""

    def __init__(self):
        self.passed = 0
        self.failed = []

    def run(self, sentence, function, *arguments):
        """Runs one check; returns whether it passed."""
        started = time.monotonic()
        try:
            function(*arguments)
        except Exception:  # every failure of a check is reported, whatever it is
            self.failed.append(sentence)
            print(f"  FAILED {sentence} ({time.monotonic() - started:.1f} s)", flush=True)
            traceback.print_exc(file=sys.stdout)
            return False
        self.passed += 1
        print(f"  ok {sentence} ({time.monotonic() - started:.1f} s)", flush=True)
        return True

    def run_all(self, checks, world):
        """Runs `checks` (sentence, function) in order against one world."""
        for sentence, function in checks:
            self.run(sentence, function, world)

    def end(self):
        """Sums up, and ends the program."""
        for sentence in self.failed:
            print(f"FAILED: {sentence}")
        print(f"{self.passed} passed, {len(self.failed)} failed")
        sys.exit(1 if self.failed else 0)


class Checks(list):
    """A list that functions join by decoration: `@checks("what must hold")`."""

    def __call__(self, sentence):
        def register(function):
            self.append((sentence, function))
            return function

        return register
