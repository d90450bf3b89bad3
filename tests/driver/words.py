"""Lints the words that people read: `python3 -m driver.words`.

Looks at pages in Markdown, at the help of the command line (doc comments of its arguments), and at string literals of Rust outside
tests. tests/words.txt has the patterns: each with what to write instead. `word:allow` in a line, or in the one before, lets
it through.
"""

import re
import sys

from driver.scripts import files
from driver.workplace import ROOT

RULES = ROOT / "tests/words.txt"
ALLOW = "word:allow"
# Quotes what others have written, or is history. The filter's messages are part of its sources, and so of its key: they change
# with its next compilation.
LEFT_OUT = re.compile(
    r"^(CHANGELOG\.md|LICENSE|units/filter/.*\.rs|units/mail-server/(?!src|README)|builder/lock/keys|docs/nixos-options\.md|images/)"
)
TESTS = re.compile(r"(^|/)(tests|examples|benches|fuzz)/|tests?\.rs$|_tests\.rs$|conformance\.rs$|judges\.rs$|samples\.rs$")
# One string literal of Rust, raw or not; a comment; a character.
LITERAL = re.compile(
    r"""(?P<comment>//[^\n]*)|r(?P<fence>\#+)"(?P<raw>.*?)"(?P=fence)|"(?P<text>(?:[^"\\]|\\.)*)"|'(?:[^'\\\n]|\\.)\'""", re.DOTALL
)


def rules():
    """The patterns of tests/words.txt and their cures."""
    found = []
    for line in RULES.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pattern, _, cure = line.partition(" => ")
            found.append((re.compile(pattern.strip(), re.I), cure.strip()))
    return found


def markdown(text):
    """The lines of a page outside code."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield number, re.sub(r"`[^`]*`", "``", line)


def literals(text, help_too):
    """The string literals of Rust before its tests, and doc comments where these are help."""
    text = text.split("#[cfg(test)]\nmod ", 1)[0]
    for match in LITERAL.finditer(text):
        number = text.count("\n", 0, match.start()) + 1
        said = match["text"] or match["raw"]
        if said:
            # A string goes on in the next line after a backslash.
            yield number, re.sub(r"\\\n\s*", "", said)
        elif help_too and (match["comment"] or "").startswith("///"):
            yield number, match["comment"]


def faults(name, text, known):
    """The faults of one file."""
    lines = text.splitlines()
    allowed = {number + more for number, line in enumerate(lines, 1) if ALLOW in line for more in (0, 1)}
    if name.endswith(".md"):
        words = markdown(text)
    else:
        words = literals(text, "cli/src/arguments" in name)
    for number, said in words:
        for pattern, cure in known:
            if number not in allowed and (match := pattern.search(said)):
                yield f"{name}:{number}: “{match[0]}”: {cure}"


def main():
    """Prints the faults; fails when there are any."""
    known = rules()
    found = []
    for name in files():
        path = ROOT / name
        wanted = name.endswith(".md") or (name.endswith(".rs") and not TESTS.search(name))
        if wanted and not LEFT_OUT.search(name) and path.is_file():
            found += faults(name, path.read_text(encoding="utf-8"), known)
    print("\n".join(found))
    sys.exit(f"{len(found)} words to change (tests/words.txt)" if found else 0)


if __name__ == "__main__":
    main()
