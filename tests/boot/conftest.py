"""Which checks run on which appliance, and the machines that they share."""

import importlib
import pathlib

import pytest
from appliances import APPLIANCES, OTHERS
from driver.kept import kept_folder
from life import Desk, Life

# Lists of checks in the order in which they run; one that is not named here comes after them.
ORDER = ("seed_checks", "system_checks", "acme_checks", "web_checks", "mail_checks", "filter_checks", "clamav_checks")


def pytest_addoption(parser):
    """The options that `./check boot` hands on."""
    parser.addoption("--appliance", choices=[*APPLIANCES, *OTHERS], help="only the checks of this one")
    parser.addoption("--keep-running", metavar="APPLIANCE", help="leave this machine running, or use the one that was left running")
    parser.addoption("--everywhere", action="store_true", help="with -k, run a check on every appliance that it is for")


def lists():
    """(name, list of checks, the feature that an appliance must have) of every file `*_checks.py` here."""
    names = [path.stem for path in sorted(pathlib.Path(__file__).parent.glob("*_checks.py"))]
    for name in sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER)):
        module = importlib.import_module(name)
        yield name, module.CHECKS, getattr(module, "WANTS", None)


def pytest_generate_tests(metafunc):
    """A test that takes a life runs for each appliance, one that takes a check too for each check."""
    if "life" not in metafunc.fixturenames:
        return
    only = metafunc.definition.get_closest_marker("only_with")
    wanted = [one for one in APPLIANCES.values() if not only or only.args[0] in one.features]
    if "check" not in metafunc.fixturenames:
        metafunc.parametrize("life", [one.name for one in wanted], indirect=True)
        return
    found = [
        pytest.param(appliance.name, function, id=f"{appliance.name}: {sentence}")
        for appliance in wanted
        for _, checks, wants in lists()
        for sentence, function in checks
        if wants is None or wants in appliance.features
    ]
    metafunc.parametrize("life, check", found, indirect=["life"])


def appliance_of(item):
    """The appliance whose check this is."""
    given = getattr(item, "callspec", None)
    if given and "life" in given.params:
        return given.params["life"]
    return {"test_moved": "moved", "test_board": "rpi3"}[item.module.__name__]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Before -k selects: gives checks the names of their functions as words, and leaves out other appliances."""
    order = [*APPLIANCES, *OTHERS]
    kept = config.getoption("keep_running")
    only = config.getoption("appliance") or kept
    left_out = []
    for item in items:
        check = getattr(item, "callspec", None) and item.callspec.params.get("check")
        if check:
            item.extra_keyword_matches |= {check.__name__, check.__module__}
    for item in list(items):
        if (only and appliance_of(item) != only) or (kept and item.get_closest_marker("ends_the_machine")):
            items.remove(item)
            left_out.append(item)
    # One machine at a time.
    items.sort(key=lambda item: order.index(appliance_of(item)))
    config.hook.pytest_deselected(items=left_out)


class OneBoot:
    """With -k, only the first appliance that has a chosen check is booted."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config, items):
        """After -k has selected."""
        if not config.getoption("keyword") or config.getoption("everywhere") or not items:
            return
        others = [item for item in items if appliance_of(item) != appliance_of(items[0])]
        if others:
            names = ", ".join(dict.fromkeys(appliance_of(item) for item in others))
            print(f"  left out: {len(others)} checks that fit on {names}; --everywhere runs them", flush=True)
            items[:] = [item for item in items if item not in others]
            config.hook.pytest_deselected(items=others)


def pytest_configure(config):
    """Adds what comes after -k."""
    config.pluginmanager.register(OneBoot())


@pytest.fixture(scope="session")
def desk(request):
    """The one machine that runs, and the internet around it."""
    found = Desk()
    yield found
    kept = request.config.getoption("keep_running")
    # One that never was ready is of no use to anybody.
    if kept and (kept_folder(kept) / "machine.json").exists():
        found.machine = None
    found.stop()


@pytest.fixture(scope="session")
def lives(place, desk, request):
    """The lives of appliances that have begun."""
    kept, begun = request.config.getoption("keep_running"), {}

    def begin(name):
        if name not in begun:
            begun[name] = Life(APPLIANCES[name], place, desk, keep=name == kept)
        return begun[name]

    yield begin
    for name, life in begun.items():
        if name == kept and life.known.exists():
            print(f"\n  {name} is left running: `./check boot --keep-running {name} -k …` uses it, {life.how_to_end()} ends it")


@pytest.fixture
def life(lives, request):
    """The life of the appliance that the test runs for."""
    return lives(request.param)

