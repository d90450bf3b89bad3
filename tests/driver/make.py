"""Makes what parts share, as a program of its own: `python3 -m driver.make builder|image NAME|modules|nixpkgs`."""

import os
import subprocess
import sys
import typing

from driver.workplace import PYTHON, ROOT, WORK, BuildFailed, Workplace, compile_builder, workplace


def builder():
    """The builder, in the folder of this run."""
    compile_builder(os.environ[WORK])


def image(place: Workplace, name):
    """One of the images."""
    print(place.image(name))


def modules(place: Workplace):
    """The committed NixOS modules and their reference are what the builder emits."""
    command = [place.mailkiln, "emit", "modules", "--check", "--reference", "docs/nixos-options.md"]
    subprocess.run([*map(str, command)], check=True, cwd=ROOT)


def nixpkgs(place: Workplace):
    """The modules with a real nixpkgs, where $NIXPKGS names one."""
    tree = os.environ.get("NIXPKGS")
    if not tree:
        print("evaluated with a stub of the module system; NIXPKGS=/path/to/nixpkgs ./check nix takes the real one too")
        print("nixpkgs: not checked: no NIXPKGS")
        return
    command = [PYTHON, ROOT / "tests/nix/nixpkgs", place.mailkiln, place.nix(), tree]
    subprocess.run([*map(str, command)], check=True)


def main():
    """Makes what the arguments name."""
    what, *arguments = sys.argv[1:]
    try:
        if what == "builder":
            builder()
        else:
            makers: dict[str, typing.Callable[..., None]] = {"image": image, "modules": modules, "nixpkgs": nixpkgs}
            with workplace() as place:
                makers[what](place, *arguments)
    except BuildFailed as error:
        sys.exit(f"error: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: `{' '.join(map(str, error.cmd))}` ended with status {error.returncode}")


if __name__ == "__main__":
    main()
