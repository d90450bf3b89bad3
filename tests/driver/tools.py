"""Programs that checks call: their output, and what an image has inside."""

import hashlib
import json
import os
import subprocess

# Where programs of administrators are, which an ordinary user's PATH may lack.
ENVIRONMENT = os.environ | {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}


def run(*command, status=0, **options):
    """What a command says, on both channels, as text; it must end with `status`, or with any but 0 where that is None."""
    options.setdefault("env", ENVIRONMENT)
    done = subprocess.run([*map(str, command)], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace", check=False, **options)
    fits = done.returncode != 0 if status is None else done.returncode == status
    assert fits, f"{' '.join(map(str, command))} ended with {done.returncode}, not {status}:\n{done.stdout[-6000:]}"
    return done.stdout


def output(*command, **options):
    """The bytes that a command writes to standard output; it must succeed."""
    options.setdefault("env", ENVIRONMENT)
    done = subprocess.run([*map(str, command)], capture_output=True, check=False, **options)
    assert done.returncode == 0, f"{command}: {(done.stdout + done.stderr).decode(errors='replace')[-6000:]}"
    return done.stdout


def digest(path):
    """SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inspect(mailkiln, image):
    """What `mailkiln inspect` says of an image."""
    return json.loads(output(mailkiln, "--json", "inspect", image))


def extract(mailkiln, image, label, to):
    """Copies the partition with this label to a file, whose path it returns."""
    part = next(part for part in inspect(mailkiln, image)["partitions"] if part["label"] == label)
    span = [f"skip={part['start']}", f"count={part['size']}"]
    run("dd", f"if={image}", f"of={to}", "bs=1M", "iflag=skip_bytes,count_bytes", *span, "status=none")
    return to


def same(first, second):
    """Fails unless two files have the same bytes."""
    run("cmp", first, second)
