"""Spelling of Causeway's own terms: every tracked text file keeps to the list in tools/spelling.txt.

Prints ``file:line: found → right`` for each fault, and each exception that nothing needs any more; fails on either.
"""

import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from tools import texts

LIST = Path(__file__).with_name("spelling.txt")
# Files that name the wrong words in order to find them.
SELF = {"tools/spelling.txt", "tools/spelling.py", "tests/tools/test_texts.py"}


class Term(NamedTuple):
    right: str
    wrong: re.Pattern[str]
    in_names: bool


class Exempt(NamedTuple):
    path: str
    word: str
    reason: str


def read(text: str) -> tuple[list[Term], list[Exempt]]:
    """Read the list. Raises ``ValueError`` for a line that is none of its kinds."""
    terms: list[Term] = []
    exempt: list[Exempt] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        kind, _, rest = (part.strip() for part in line.partition(":"))
        right, arrow, wrong = (part.strip() for part in rest.partition("<-"))
        if kind == "except" and rest.count(",") >= 2:
            exempt.append(Exempt(*(part.strip() for part in rest.split(",", 2))))
        elif kind == "everywhere" and arrow:
            terms.append(Term(right, re.compile(wrong, re.IGNORECASE), in_names=True))
        elif kind == "prose" and arrow:
            pattern = rf"(?<![\w./@#$-])(?:{wrong})(?![\w/@=(-]|\.\w)"
            terms.append(Term(right, re.compile(pattern, re.IGNORECASE), in_names=False))
        else:
            raise ValueError(f"{LIST.name}:{number}: neither a term nor an exception: {line}")
    return terms, exempt


def faults(name: str, content: str, terms: list[Term]) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the word that was found and the right one."""
    sentences = texts.prose(name, content)
    for term in terms:
        text = content if term.in_names else sentences
        for found in term.wrong.finditer(text):
            yield text.count("\n", 0, found.start()) + 1, found.group(), term.right


def main() -> int:
    """Print what is wrong in the tree."""
    terms, exempt = read(LIST.read_text(encoding="utf-8"))
    used: set[Exempt] = set()
    wrong = 0
    for name, content in texts.tracked():
        if name in SELF:
            continue
        for number, found, right in sorted(faults(name, content, terms)):
            excuse = next(
                (each for each in exempt if fnmatchcase(name, each.path) and each.word == found.lower()), None
            )
            if excuse is not None:
                used.add(excuse)
                continue
            wrong += 1
            print(f"{name}:{number}: {found} → {right}")
    for each in exempt:
        if each not in used:
            wrong += 1
            print(f"tools/{LIST.name}: nothing needs the exception of {each.path} for {each.word} any more")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
