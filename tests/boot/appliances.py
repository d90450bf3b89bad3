"""The appliances that are booted, as values: which image, and what is special about each."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Appliance:
    """An appliance of the first part: booted, checked as its users would, its power cut, booted again."""

    name: str
    # One of driver.workplace.IMAGES.
    image: str
    # What it has that others have not: "seed", "clamav". Checks name it in `WANTS`.
    features: frozenset = frozenset()


APPLIANCES = {
    "x86_64": Appliance("x86_64", "x86_64", frozenset({"seed"})),
    "aarch64-uefi": Appliance("aarch64-uefi", "clamav", frozenset({"clamav"})),
}
# Those of test_moved.py and test_board.py.
OTHERS = ("moved", "rpi3")
