"""What all checks may use: the place of this run with its builder, images and tools (driver.workplace)."""

import pytest
from driver.workplace import workplace

pytest_plugins = ["driver.lines"]


@pytest.fixture(scope="session")
def place():
    """The place of this run."""
    with workplace() as found:
        yield found


@pytest.fixture(scope="session")
def mailkiln(place):
    """The builder's program."""
    return place.mailkiln
