"""A plugin of pytest that prints each check on a line of its own, `  ok SENTENCE (SECONDS s)`, as it ends."""

import pytest

WORDS = {"passed": "ok", "failed": "FAILED", "skipped": "skipped"}


def sentence(item):
    """What a check proves: the sentence that it was given, else the first line of its documentation, else its name."""
    given = getattr(item, "callspec", None)
    if given and given.id:
        return f"{given.id}" if item.originalname == "test_check" else f"{described(item)} [{given.id}]"
    return described(item)


def described(item):
    """The first line of a test's documentation, or its name."""
    text = (getattr(item.function, "__doc__", None) or "").strip()
    return text.splitlines()[0].rstrip(".") if text else item.name.split("[")[0]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Gives a report the sentence of its check, and the seconds of the whole of it, what it had to prepare too."""
    outcome = yield
    report = outcome.get_result()
    report.sentence = sentence(item) if hasattr(item, "function") else item.name
    item.seconds = getattr(item, "seconds", 0.0) + call.duration
    report.seconds = item.seconds


def pytest_report_teststatus(report):
    """No dots: the line is printed below."""
    if hasattr(report, "sentence"):
        return report.outcome if report.when == "call" or report.outcome != "passed" else "", "", ""
    return None


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report):
    """Prints the line."""
    if report.when != "call" and report.outcome == "passed":
        return
    word = WORDS[report.outcome] if report.when != "teardown" else "FAILED in its end"
    print(f"  {word} {report.sentence} ({report.seconds:.1f} s)", flush=True)
    if report.outcome == "failed":
        lines = str(report.longrepr).splitlines()
        print("\n".join(f"    {line}" for line in lines[-30:]), flush=True)
