"""A job: some commands that prove a part or a piece of it, what has to be there before, and what came of it."""

import dataclasses
import enum
import pathlib
import typing

from driver.needs import Need


@dataclasses.dataclass(frozen=True)
class Step:
    """One command. Its cases are those of the JUnit file it writes, else its lines `  ok …` and `  FAILED …`, else itself."""

    name: str
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    # The JUnit file that the command writes.
    junit: pathlib.Path | None = None
    # Whether it is well when no check fits what was chosen: pytest ends with 5 then.
    none_is_well: bool = False
    # What it says, alone on a line, when it could not check anything for a reason that is no failure.
    not_run: str = ""


@dataclasses.dataclass(frozen=True)
class Job:
    """Steps that run one after another, all of them even where one fails."""

    name: str
    part: str
    steps: tuple[Step, ...]
    needs: tuple[Need, ...] = ()
    # Jobs that must have passed: if one has not, this one is not run.
    requires: tuple[str, ...] = ()
    # Jobs that are waited for, whatever becomes of them.
    after: tuple[str, ...] = ()
    # Whether cargo compiles for it, in the one folder that all share.
    cargo: bool = False
    # Compiles what others wait for; boots, which have deadlines, go first where both want a processor.
    nice: int = 0
    # Whether the programs of pebble and BIND are needed.
    servers: bool = False
    # Programs of cargo that are needed.
    cargo_tools: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Part:
    """What `./check NAME` runs."""

    name: str
    what: str
    # Its jobs in a run (driver.__main__.Run).
    jobs: typing.Callable[[typing.Any], tuple[Job, ...]]
    # What `-k` selects in it: "pytest", "nextest" or "words"; nothing where it selects nothing.
    selects: str = ""


class State(enum.Enum):
    """What became of a job."""

    PASSED = "passed"
    FAILED = "FAILED"
    NOT_RUN = "NOT RUN"
    NOT_CHECKED = "not checked"


@dataclasses.dataclass
class Case:
    """One thing that was checked."""

    name: str
    seconds: float = 0.0
    # "passed", "failed" or "skipped", and why.
    outcome: str = "passed"
    detail: str = ""


@dataclasses.dataclass
class Outcome:
    """What became of a job, in how many seconds, and its cases."""

    job: Job
    state: State
    seconds: float = 0.0
    reason: str = ""
    cases: list[Case] = dataclasses.field(default_factory=list)
    log: pathlib.Path | None = None

    def count(self, outcome):
        """How many cases ended so."""
        return sum(case.outcome == outcome for case in self.cases)
