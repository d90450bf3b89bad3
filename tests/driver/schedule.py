"""Runs jobs: each as soon as what it needs is there, at most two at a time, and beside them one in which cargo compiles."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import threading
import time
import traceback

from driver import cases
from driver.job import Case, Outcome, State

# Beside these, one in which cargo compiles: it is niced, and takes what waiting for a boot leaves of the processors.
AT_ONCE = 2
HEARTBEAT_SECONDS = 30
# What is shown of a job's output while another runs beside it; all of it is in its log.
SHOWN = re.compile(r"^  +(ok|FAILED|skipped)\b|^== |^error|WARNING")


class Schedule:
    """The jobs of a run, in the order in which they are preferred."""

    def __init__(self, jobs, environment, logs, say):
        self.jobs, self.environment, self.logs, self.say = list(jobs), environment, logs, say
        self.outcomes, self.running = {}, {}
        self.changed = threading.Condition()
        self.alone, self.heard = len(self.jobs) == 1, time.monotonic()

    def run(self):
        """Runs all jobs; returns their outcomes in the order of the jobs."""
        self.logs.mkdir(parents=True, exist_ok=True)
        beat = time.monotonic()
        with self.changed:
            while len(self.outcomes) < len(self.jobs):
                while self.start_one():
                    pass
                self.changed.wait(1)
                # Where one job has the terminal for itself, only its silence is worth a line.
                beat = max(beat, self.heard if self.alone else beat)
                if time.monotonic() - beat > HEARTBEAT_SECONDS:
                    beat = time.monotonic()
                    self.heartbeat()
        return [self.outcomes[job.name] for job in self.jobs]

    def start_one(self):
        """Starts, or gives up, the first job that waits for nothing; whether there was one."""
        names = {job.name for job in self.jobs}
        for job in self.jobs:
            if job.name in self.outcomes or job.name in self.running:
                continue
            missing = [self.outcomes[name] for name in job.requires if name in self.outcomes]
            lost = next((outcome for outcome in missing if outcome.state is not State.PASSED), None)
            if lost:
                self.give_up(job, lost)
                return True
            waited = {*job.requires, *job.after} & names
            alike = sum(other.job.cargo == job.cargo for other in self.running.values())
            if not waited <= self.outcomes.keys() or alike >= (1 if job.cargo else AT_ONCE):
                continue
            self.running[job.name] = Running(self, job)
            self.running[job.name].start()
            return True
        return False

    def give_up(self, job, lost):
        """A job whose ground is missing: not run, which is no pass."""
        reason = f"{lost.job.name} {'failed' if lost.state is State.FAILED else 'was not run'}"
        self.outcomes[job.name] = Outcome(job, State.NOT_RUN, reason=reason)
        self.say(f"{job.name}: not run: {reason}")

    def heartbeat(self):
        """Says what runs, and what it said last."""
        for running in self.running.values():
            self.say(f"   … {running.job.name}, {running.seconds():.0f} s: {running.last_line()}")

    def stop(self):
        """Ends what runs, with all its children."""
        for running in list(self.running.values()):
            running.end()


class Running(threading.Thread):
    """A job at work."""

    def __init__(self, schedule, job):
        super().__init__(daemon=True)
        self.schedule, self.job, self.began = schedule, job, time.monotonic()
        self.log = schedule.logs / f"{job.name.replace(' ', '-')}.log"
        self.process, self.ended, self.ending = None, False, threading.Lock()

    def seconds(self):
        """Since it started."""
        return time.monotonic() - self.began

    def last_line(self):
        """The end of its log, on one line."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()[-40:]
        except OSError:
            return ""
        return next((line.strip()[:110] for line in reversed(lines) if line.strip()), "")

    def run(self):
        """Runs the steps and reports; a fault of the driver itself is a failure too."""
        self.schedule.say(f"== {self.job.name}")
        try:
            with open(self.log, "w", encoding="utf-8", errors="replace") as log:
                outcome = self.steps(log)
        except Exception:
            outcome = Outcome(self.job, State.FAILED, cases=[Case(self.job.name, 0, "failed", traceback.format_exc())])
        outcome.seconds, outcome.log = self.seconds(), self.log
        with self.schedule.changed:
            del self.schedule.running[self.job.name]
            self.schedule.outcomes[self.job.name] = outcome
            self.schedule.changed.notify()
        self.schedule.say(f"{self.job.name}: {outcome.state.value} ({outcome.seconds:.0f} s)")

    def steps(self, log):
        """Runs every step, also after one that failed."""
        found, failed, unchecked = [], False, False
        for step in self.job.steps:
            began = time.monotonic()
            if step.junit:
                step.junit.parent.mkdir(parents=True, exist_ok=True)
                step.junit.unlink(missing_ok=True)
            status, printed = self.step(step, log)
            if step.none_is_well and status == cases.NOTHING_CHOSEN:
                continue
            found += cases.of_step(step, status, time.monotonic() - began, printed)
            failed |= status != 0
            unchecked |= bool(step.not_run) and step.not_run in printed
        state = State.FAILED if failed else State.NOT_CHECKED if unchecked else State.PASSED
        return Outcome(self.job, state, cases=found)

    def step(self, step, log):
        """Runs one command; its status, and what it printed."""
        if len(self.job.steps) > 1:
            self.put(f"  -- {step.name}\n", log)
        environment = {**self.schedule.environment, **dict(step.environment)}
        command = ["nice", "-n", str(self.job.nice), *step.command] if self.job.nice else list(step.command)
        printed = []
        try:
            with self.ending:
                if self.ended:
                    return 1, "the run was ended"
                self.process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                    env=environment, start_new_session=True)  # fmt: skip
                self.yield_to_others()
        except OSError as error:
            self.put(f"error: {step.command[0]} can't be started: {error}\n", log)
            return 127, str(error)
        for line in self.process.stdout:
            printed.append(line)
            self.put(line, log)
        return self.process.wait(), "".join(printed)

    def yield_to_others(self):
        """Between sessions Linux shares processors by the niceness of the session, not of its processes (sched(7), autogroup)."""
        if self.job.nice:
            with contextlib.suppress(OSError):
                pathlib.Path(f"/proc/{self.process.pid}/autogroup").write_text(str(self.job.nice), encoding="ascii")

    def put(self, line, log):
        """Into the log, and onto the terminal where it matters."""
        log.write(line)
        log.flush()
        self.schedule.heard = time.monotonic()
        if self.schedule.alone:
            self.schedule.say(line.rstrip("\n"))
        elif SHOWN.search(line):
            self.schedule.say(f"[{self.job.name}] {line.rstrip()}"[:220])

    def end(self):
        """Ends it and what it started, and starts no further step."""
        with self.ending:
            self.ended = True
            if self.process and self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGTERM)
