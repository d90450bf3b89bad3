"""Checks: each is one sentence about the appliance and a function that proves it in a world.

`tests/boot/*_checks.py` hold them, in lists; tests/boot/test_appliance.py runs every one on each appliance that it is for.
"""

import dataclasses

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
    # Functions that have proved their sentence here.
    proved: set = dataclasses.field(default_factory=set)

    def shell(self, command, seconds=180):
        """Standard output of `command` in the guest; fails loudly when the command does."""
        done = self.machine.shell(self.key, command, seconds)
        assert done.returncode == 0, f"`{command}` ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def prove(self, function):
        """Runs a check, and before it those that it builds on where they have not passed here yet."""
        for ground in getattr(function, "after", ()):
            if ground not in self.proved:
                self.prove(ground)
        function(self)
        self.proved.add(function)


class Checks(list):
    """A list that functions join by decoration: `@checks("what must hold")`.

    `@checks("what must hold", after=[other])` builds on what another check has done, and runs it first where it is chosen alone.
    """

    def __call__(self, sentence, after=()):
        def register(function):
            function.after = tuple(after)
            self.append((sentence, function))
            return function

        return register
