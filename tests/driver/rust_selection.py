"""Which Rust tests run: all, those whose name has the keyword in it, or those that failed last."""

from driver import cases, units

# Tests that other parts run with their own tools.
NIX = "package(mailkiln-nix)"
SETTINGS = "package(mailkiln-services) & binary(appliance) & test(judge_mail_server)"
# The web unit's clients; without a mail server they are ignored, and nextest counts them as skipped.
CLIENTS = "package(mailkiln-servers) & binary(real)"
EVERYTHING = {
    "builder": f"not {NIX}",
    **dict.fromkeys(units.workspaces(), "all()"),
    "nix": NIX,
    "settings": SETTINGS,
    "clients": CLIENTS,
}


def nextest_selection(run, workspace):
    """The arguments of nextest."""
    chosen = EVERYTHING[workspace]
    if workspace in ("nix", "settings", "clients"):
        # Of the whole workspace, so that nothing is compiled with other features than for the other tests.
        return ["--workspace", "-E", chosen, *(["--run-ignored", "only"] if workspace == "clients" else [])]
    if run.last_failed:
        failed = last_failed(run.junit / f"test-{workspace}.xml")
        chosen = " | ".join(f"test(={name})" for name in failed) or "none()"
    elif run.keyword:
        chosen = f"({chosen}) & test({run.keyword})"
    # A workspace may have no test of that name.
    return ["--workspace", "-E", chosen, *(["--no-tests", "pass"] if run.selection else [])]


def last_failed(path):
    """The names of tests that failed in the last run."""
    if not path.exists():
        return []
    return sorted({case.name.split(" ")[-1] for case in cases.from_junit(path) if case.outcome == "failed"})
