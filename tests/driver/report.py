"""The end of a run: failures with their place, the parts with their seconds, and one line with the sum."""

from driver import cases
from driver.job import State

EXCERPT_LINES = 40


def failures(outcomes):
    """Prints each failed case with the end of what it said: whoever reads this has mostly not the rest."""
    for outcome in outcomes:
        failed = [case for case in outcome.cases if case.outcome == "failed"]
        for case in failed[:10]:
            print(f"\n-- FAILED {outcome.job.name}: {case.name}")
            print("\n".join(line[:300] for line in case.detail.splitlines()[-EXCERPT_LINES:]))
        if len(failed) > 10:
            print(f"\n-- and {len(failed) - 10} more failed in {outcome.job.name}")
        if failed and outcome.log:
            print(f"   the whole output: {outcome.log}")
        if failed and not any(case.detail for case in failed):
            print(cases.tail(outcome.log.read_text(errors="replace"), EXCERPT_LINES))


def table(outcomes, seconds):
    """Prints the parts with their seconds; parts overlap, so that the sum is more than the whole."""
    print(f"\n== Parts ({seconds:.0f} s in all; two run at a time)")
    print(f"  {'seconds':>7}  {'passed':>6} {'failed':>6} {'skipped':>7}")
    for outcome in outcomes:
        counts = (outcome.count("passed"), outcome.count("failed"), outcome.count("skipped"))
        line = f"  {outcome.seconds:7.0f}  {counts[0]:6} {counts[1]:6} {counts[2]:7}  {outcome.job.name}"
        why = f": {outcome.reason}" if outcome.reason else ""
        print(line if outcome.state is State.PASSED else f"{line}: {outcome.state.value}{why}")


def sum_up(outcomes, left, nothing_is_well=False):
    """Prints the closing lines; whether all is well. What was not run is no pass."""
    for outcome in outcomes:
        for case in outcome.cases:
            if case.outcome == "skipped":
                print(f"skipped: {outcome.job.name}: {case.name}: {case.detail.splitlines()[0] if case.detail else ''}"[:220])
    for outcome in outcomes:
        if outcome.state is State.FAILED:
            print(f"FAILED: {outcome.job.name}")
        elif outcome.state is State.NOT_RUN:
            print(f"NOT RUN: {outcome.job.name}: {outcome.reason}")
    if left:
        print(f"not asked for: {' '.join(left)}")
    passed, failed, skipped = (sum(outcome.count(word) for outcome in outcomes) for word in ("passed", "failed", "skipped"))
    failed += sum(outcome.state is State.NOT_RUN for outcome in outcomes)
    if not passed + failed + skipped:
        print("no check fits")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    # A name that nothing has is a slip of the keyboard; that nothing failed last time is well.
    return failed == 0 and (bool(passed + skipped) or nothing_is_well) and not any(outcome.state is State.FAILED for outcome in outcomes)


def write_junit(outcomes, folder):
    """A JUnit file for each job whose steps wrote none, and for each that was not run."""
    for outcome in outcomes:
        name = outcome.job.name.replace(" ", "-")
        if outcome.state is State.NOT_RUN:
            found = [cases.Case(outcome.job.name, 0, "failed", f"not run: {outcome.reason}")]
        elif any(step.junit for step in outcome.job.steps):
            continue
        else:
            found = outcome.cases
        cases.write_junit(folder / f"{name}.xml", outcome.job.name, found, outcome.seconds)
