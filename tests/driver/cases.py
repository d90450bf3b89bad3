"""What a step has checked: read from the JUnit file that it wrote, or from what it printed. And the other way round: JUnit files
for steps that write none (the format is that of Jenkins' xunit plugin, which every CI reads)."""

import re
import xml.etree.ElementTree as tree

from driver.job import Case

LINE = re.compile(r"^  (ok|FAILED):? (.*?)(?:,? \(?([\d.]+) s\)?)?$", re.MULTILINE)
# Characters that XML can't hold.
UNFIT = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd]")


def of_step(step, status, seconds, printed):
    """The cases of a step that ended with `status`."""
    if step.junit and step.junit.exists():
        found = from_junit(step.junit)
        if status == 0:
            return found
    elif step.junit and status == 0:
        return [Case(step.name, seconds, "failed", f"{step.junit} was not written")]
    else:
        found = [
            Case(name.strip(), float(time or 0), "passed" if word == "ok" else "failed")
            for word, name, time in LINE.findall(printed)
        ]
    if step.not_run and step.not_run in printed and status == 0:
        return [*found, Case(step.name, seconds, "skipped", step.not_run)]
    if status and not any(case.outcome == "failed" for case in found):
        found.append(Case(step.name, seconds, "failed", f"ended with status {status}:\n{tail(printed)}"))
    return found or [Case(step.name, seconds)]


NOTHING_CHOSEN = 5  # pytest's exit status


def tail(printed, lines=25):
    """The end of what a command printed."""
    return "\n".join(line[:300] for line in printed.splitlines()[-lines:])


def from_junit(path):
    """The cases of a JUnit file."""
    found = []
    for case in tree.parse(path).getroot().iter("testcase"):
        name = case.get("name", "?")
        if case.get("classname"):
            name = f"{case.get('classname')} {name}"
        outcome, detail = "passed", ""
        for child in case:
            if child.tag in ("failure", "error"):
                outcome, detail = "failed", f"{child.get('message') or ''}\n{child.text or ''}".strip()
            elif child.tag == "skipped":
                outcome, detail = "skipped", child.get("message") or ""
        found.append(Case(name, float(case.get("time") or 0), outcome, detail))
    return found


def write_junit(path, suite, cases, seconds):
    """Writes cases as JUnit."""
    root = tree.Element("testsuites")
    counts = {word: sum(case.outcome == word for case in cases) for word in ("failed", "skipped")}
    element = tree.SubElement(root, "testsuite", name=suite, tests=str(len(cases)), failures=str(counts["failed"]),
                              errors="0", skipped=str(counts["skipped"]), time=f"{seconds:.3f}")  # fmt: skip
    for case in cases:
        one = tree.SubElement(element, "testcase", classname=suite, name=UNFIT.sub("?", case.name), time=f"{case.seconds:.3f}")
        if case.outcome != "passed":
            tag = "failure" if case.outcome == "failed" else "skipped"
            detail = UNFIT.sub("?", case.detail)
            tree.SubElement(one, tag, message=detail.splitlines()[0] if detail else "").text = detail
    path.parent.mkdir(parents=True, exist_ok=True)
    tree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
