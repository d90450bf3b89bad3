"""The driver itself: what was not run is no pass, what failed is named, parts need only what is theirs."""

import pathlib
import shutil
import time
import types

import pytest
from driver import __main__ as program
from driver import cases, layers, needs, report, words
from driver.job import Case, Job, State, Step
from driver.kept import kept_machine
from driver.parts import PARTS, jobs_of
from driver.rust_selection import nextest_selection
from driver.schedule import AT_ONCE, Schedule
from driver.scripts import scripts
from driver.workplace import ROOT


class Asked:
    """A run in which everything is asked for, or what fits a keyword."""

    def __init__(self, folder, keyword=""):
        self.kept, self.target, self.junit, self.keyword = folder, folder / "target", folder / "junit", keyword
        self.selection, self.inside, self.last_failed = bool(keyword), False, False

    def pytest_options(self):
        """No options but the keyword."""
        return ["-k", self.keyword] if self.keyword else []

    def nextest_options(self, workspace):
        """As the driver has them."""
        return nextest_selection(self, workspace)

    def words(self):
        """The keyword as words."""
        return self.keyword.split()


def shell(name, script, **more):
    """A job of one step that runs a shell script."""
    return Job(name, "part", (Step(name, ("sh", "-c", script)),), **more)


def ran(folder, *jobs):
    """The outcomes of jobs by name, and what was said."""
    said = []
    schedule = Schedule(jobs, {"PATH": "/usr/bin:/bin"}, folder / "logs", said.append)
    return {outcome.job.name: outcome for outcome in schedule.run()}, said


def summed_up(outcomes, capsys):
    """Whether all is well, and the last line."""
    well = report.sum_up(list(outcomes.values()), [])
    return well, capsys.readouterr().out.splitlines()[-1]


def test_all_well(tmp_path, capsys):
    """Jobs that pass are counted, each line `ok` as a case."""
    outcomes, _ = ran(tmp_path, shell("one", "echo '  ok first (1.5 s)'; echo '  ok second'"), shell("two", "true"))
    assert [case.name for case in outcomes["one"].cases] == ["first", "second"]
    assert summed_up(outcomes, capsys) == (True, "3 passed, 0 failed")


def test_not_run_is_no_pass(tmp_path, capsys):
    """A job whose image failed is not run, nor what requires it; that fails the whole."""
    outcomes, said = ran(tmp_path, shell("image", "echo 'error: no space'; exit 1"), shell("boot", "true", requires=("image",)),
                         shell("moved", "true", requires=("boot",)), shell("other", "true", after=("image",)))  # fmt: skip
    assert [outcome.state for outcome in outcomes.values()] == [State.FAILED, State.NOT_RUN, State.NOT_RUN, State.PASSED]
    assert "boot: not run: image failed" in said
    assert summed_up(outcomes, capsys) == (False, "1 passed, 3 failed")
    report.write_junit(list(outcomes.values()), tmp_path / "junit")
    assert [case.outcome for case in cases.from_junit(tmp_path / "junit/boot.xml")] == ["failed"]


def test_failure_without_a_line(tmp_path, capsys):
    """A command that ends badly is a failure though every line of it says ok."""
    outcomes, _ = ran(tmp_path, shell("one", "echo '  ok first'; exit 3"))
    assert summed_up(outcomes, capsys) == (False, "1 passed, 1 failed")
    assert "ended with status 3" in outcomes["one"].cases[-1].detail


def test_nothing_fits(tmp_path, capsys):
    """A selection that fits nothing is no success, unless only what failed last was asked for; a job without it is passed over."""
    step = Step("one", ("sh", "-c", "exit 5"), junit=tmp_path / "one.xml", none_is_well=True)
    outcomes, _ = ran(tmp_path, Job("one", "part", (step,)))
    assert summed_up(outcomes, capsys) == (False, "0 passed, 0 failed")
    assert report.sum_up(list(outcomes.values()), [], nothing_is_well=True)


def test_junit_that_is_missing(tmp_path, capsys):
    """A command that ends well without the JUnit file that it should write has checked nothing."""
    outcomes, _ = ran(tmp_path, Job("one", "part", (Step("one", ("true",), junit=tmp_path / "one.xml"),)))
    assert summed_up(outcomes, capsys) == (False, "0 passed, 1 failed")


def test_missing_program(tmp_path, capsys):
    """A program that is not there is a failure."""
    outcomes, _ = ran(tmp_path, Job("one", "part", (Step("one", ("/nowhere/program",)),)))
    assert summed_up(outcomes, capsys) == (False, "0 passed, 1 failed")


def test_fault_of_the_driver(tmp_path, capsys):
    """A JUnit file that can't be read fails the job, and the run ends."""
    junit = tmp_path / "broken.xml"
    job = Job("one", "part", (Step("one", ("sh", "-c", f"echo '<testsuite' >{junit}"), junit=junit),))
    outcomes, _ = ran(tmp_path, job)
    assert summed_up(outcomes, capsys)[0] is False


def test_not_checked(tmp_path, capsys):
    """What could not be checked for a reason that is no failure is skipped, and named."""
    job = Job("flaws", "part", (Step("flaws", ("echo", "flaws: not checked: no database"), not_run="flaws: not checked: no database"),))
    outcomes, _ = ran(tmp_path, job)
    assert outcomes["flaws"].state is State.NOT_CHECKED
    assert summed_up(outcomes, capsys) == (True, "0 passed, 0 failed, 1 skipped")


def test_steps_go_on(tmp_path):
    """Every step of a job runs, also after one that failed."""
    steps = tuple(Step(name, (name,)) for name in ("false", "true"))
    outcomes, _ = ran(tmp_path, Job("one", "part", steps))
    assert [case.outcome for case in outcomes["one"].cases] == ["failed", "passed"]


@pytest.mark.parametrize("kinds, most", [((False,), AT_ONCE), ((True,), 1), ((False, True), AT_ONCE + 1)])
def test_at_once(tmp_path, kinds, most):
    """Two jobs run at a time, and beside them one in which cargo compiles."""
    script = f"mkdir {tmp_path}/on-$$; sleep 0.3; set -- {tmp_path}/on-*; echo $#; rmdir {tmp_path}/on-$$"
    outcomes, _ = ran(tmp_path, *(shell(str(number), script, cargo=kinds[number % len(kinds)]) for number in range(6)))
    assert all(outcome.state is State.PASSED for outcome in outcomes.values())
    counts = [int(outcome.log.read_text()) for outcome in outcomes.values()]
    assert max(counts) == most, counts


@pytest.mark.skipif(not pathlib.Path("/proc/self/autogroup").exists(), reason="this kernel has no sessions that share processors")
def test_nice(tmp_path):
    """What compiles leaves the processors to what does not, also as a session."""
    jobs = [shell(str(nice), "sleep 0.3; cat /proc/self/autogroup", nice=nice) for nice in (0, 10)]
    outcomes, _ = ran(tmp_path, *jobs)
    assert [outcomes[job.name].log.read_text().split(" nice ")[1].strip() for job in jobs] == ["0", "10"]


def test_order_of_preference(tmp_path):
    """What is ready and stands first is started first; what waits is passed over."""
    outcomes, said = ran(tmp_path, shell("late", "true", after=("slow",)), shell("slow", "sleep 0.3"), shell("quick", "true"))
    assert [line for line in said if line.startswith("==")] == ["== slow", "== quick", "== late"]
    assert len(outcomes) == 3


def test_stop(tmp_path):
    """A run that is stopped ends what it has started, children too."""
    schedule = Schedule([shell("one", f"sleep 60 & echo $! >{tmp_path}/child; wait")], {"PATH": "/usr/bin:/bin"}, tmp_path / "logs", print)
    schedule.logs.mkdir()
    schedule.start_one()
    while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text():
        time.sleep(0.05)
    running = schedule.running["one"]
    schedule.stop()
    running.join(10)
    state = pathlib.Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/stat")
    # A killed process is gone when it has next been on a processor, which may take a while on a busy machine.
    for _ in range(200):
        try:
            if state.read_text().split()[2] == "Z":
                return
        except (FileNotFoundError, ProcessLookupError):
            return
        time.sleep(0.05)
    pytest.fail("the child still runs after ten seconds")


def test_junit_both_ways(tmp_path):
    """What is written as JUnit is read again, with characters that XML has none for left out."""
    written = [Case("a", 1.5), Case("b\x00", 0, "failed", "why\x1b[31m"), Case("c", 0, "skipped", "no tool")]
    cases.write_junit(tmp_path / "x.xml", "suite", written, 2)
    read = cases.from_junit(tmp_path / "x.xml")
    assert [(case.name, case.outcome) for case in read] == [("suite a", "passed"), ("suite b?", "failed"), ("suite c", "skipped")]


def test_lint_installs_nothing_for_boots(tmp_path):
    """`./check lint` needs a compiler and python3-venv, and no image."""
    jobs = jobs_of(["lint"], Asked(tmp_path))
    packages = {need.package for job in jobs for need in job.needs}
    assert packages <= {need.package for need in (*needs.CARGO, *needs.VENV, *needs.PYTEST)}, packages
    assert {job.part for job in jobs} == {"lint"}
    assert not any(job.servers for job in jobs)


def test_a_selection_builds_no_image(tmp_path):
    """With -k, jobs that make images are left out: a check builds the one it uses."""
    assert [job.name for job in jobs_of(["boot"], Asked(tmp_path, "dkim"))] == ["builder", "boot"]
    assert {job.part for job in jobs_of(["test"], Asked(tmp_path, "name"))} == {"test"}


def test_a_full_disk_is_named_before_anything_runs(tmp_path, monkeypatch):
    """A disk without room for a whole run ends it at once, with the folder and the cure"""
    free = program.ROOM
    monkeypatch.setattr(shutil, "disk_usage", lambda _: types.SimpleNamespace(free=free))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    program.expect_room(Asked(tmp_path))
    free -= 1
    with pytest.raises(SystemExit, match=r"GiB free; the checks need 8 GiB\. Delete"):
        program.expect_room(Asked(tmp_path))


def test_requirements_exist(tmp_path):
    """Every job that another one waits for is there, and each part has jobs."""
    for run in (Asked(tmp_path), Asked(tmp_path, "word")):
        names = [job.name for job in jobs_of(list(PARTS), run)]
        assert len(names) == len(set(names))
        for job in jobs_of(list(PARTS), run):
            assert set(job.requires) <= set(names), job.name
            assert run.selection or set(job.after) <= set(names), job.name
    assert all(part.jobs(Asked(tmp_path)) for part in PARTS.values())


def test_scripts_are_found():
    """Scripts are found by their ending and by their first line."""
    found = scripts()
    assert {"bench", "tests/nix/unpack", "tests/driver/scripts.py"} <= set(found["python"])
    assert {"check", "demo", "tests/prepare.sh", "units/agent/tests/run"} <= set(found["shell"])


def test_kept_machine_is_the_one(tmp_path, monkeypatch):
    """A number in a file that is now another process's is no machine that was left running."""
    monkeypatch.setenv("MAILKILN_CACHE", str(tmp_path))
    folder = tmp_path / "check/kept/x86_64"
    folder.mkdir(parents=True)
    assert kept_machine("x86_64") is None
    (folder / "machine.json").write_text('{"pid": 1}')
    assert kept_machine("x86_64") is None


def test_an_upward_dependency_fails():
    """A crate that depends on one of its own floor or of a higher one is named; a lower one is fine."""
    crates = {"pin": [], "tree": ["pin"], "image": ["tree"], "format": ["image"]}
    page = "```\n 3 │ format\n 2 │ image\n 1 │ tree\n 0 │ pin\n```\n"
    assert list(layers.faults(crates, layers.floors(page))) == []
    crates["tree"].append("format")
    crates["new"] = ["pin"]
    found = list(layers.faults(crates, layers.floors(page)))
    assert found == [
        "tree (floor 1) depends on format (floor 3): a crate may only use lower floors",
        "new is not in the drawing",
    ]


def test_an_upward_dependency_of_a_crate_fails_the_lint(tmp_path, monkeypatch, capsys):
    """The builder's own crates pass; with one line more in a Cargo.toml, `python3 -m driver.layers` fails and names it."""
    page = "docs/internals/layers.md"
    for path in (ROOT / "Cargo.toml", ROOT / page, *ROOT.glob("builder/*/Cargo.toml")):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
        if path.parent.parent.name == "builder":
            (copy.parent / "src").mkdir()
            (copy.parent / "src/lib.rs").touch()
    monkeypatch.setattr(layers, "ROOT", tmp_path)
    monkeypatch.setattr(layers, "PAGE", tmp_path / page)
    monkeypatch.setattr("sys.argv", ["layers"])
    with pytest.raises(SystemExit) as ended:
        layers.main()
    assert ended.value.code == 0, capsys.readouterr().out
    manifest = tmp_path / "builder/pin/Cargo.toml"
    manifest.write_text(manifest.read_text().replace("[dependencies]\n", "[dependencies]\nmailkiln-assemble.workspace = true\n"))
    with pytest.raises(SystemExit) as ended:
        layers.main()
    assert ended.value.code == 1
    assert f"{page}: pin (floor 0) depends on assemble (floor 6): a crate may only use lower floors" in capsys.readouterr().out


def test_words_are_found_where_people_read_them():
    """Pages, help and messages are linted; code, comments and tests are not."""
    known = words.rules()
    page = "The file shall exist.\n\n```\nnobody\n```\nThere is no `somebody` here. <!-- word:allow -->\n"
    assert [fault.split(":")[1] for fault in words.faults("docs/x.md", page, known)] == ["1"]
    code = '// nobody\nlet a = "this is no image";\nlet b = r#"shall"#;\n#[cfg(test)]\nmod tests {\n let c = "shall"; }\n'
    assert [fault.split(":")[1] for fault in words.faults("builder/x/src/lib.rs", code, known)] == ["2", "3"]
    assert len(list(words.faults("builder/cli/src/arguments.rs", "/// Nobody knows\n", known))) == 1
