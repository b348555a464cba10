"""Citations: whatever the tree refers a reader to is in the tree.

Looked at are documents (``….md``, their headings too), files and modules of ours, tests by their names, and the ways in
which papers that are elsewhere are cited. Prints ``file:line: citation: why`` for each fault; fails on any.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tools import texts

FOLDERS = "bench|connectors|console|demo|docs|edge|roaming|static|templates|tests|tools"
# Words that need other papers: numbered facts, sections of a design, tickets, folders of one machine.
ELSEWHERE = re.compile(
    r"\bfacts? [A-D]\.\d[\w.–-]*|\b(?:design|spec|brief) §? ?\d[\d.]*|§ ?\d[\d.]*|\bissues? #?\d+|\bticket #?\d+|"
    r"\b(?:envoy-lab|seed document|the brief)\b|(?:^|[\s\"'`(])(?:\.\./shared|shared|/work)/[\w./-]*",
    re.IGNORECASE,
)
DOCUMENT = re.compile(r"(?<![\w/.-])([\w./-]*\w\.md)\b(?:#([\w-]+)|,? «([^»]+)»)?")
FILE = re.compile(rf"(?<![\w/.-])(?:{FOLDERS})/[\w/.-]*\w\.(?:css|html|js|py|sh|svg|txt|ya?ml)\b")
# These two in documents only: elsewhere, Python itself and the type checker look after modules' names.
TEST = re.compile(r"(?<![\w/.-])(tests/[\w/]+\.py)((?:::\w+)+)")
MODULE = re.compile(r"`(?:python -m )?((?:bench|connectors|console|demo|edge|roaming|tools)(?:\.\w+)+)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
# A file that a test puts into a wheel of its own.
MADE_UP = {"edge/upgraded.py"}
# Files that name such citations in order to find them.
SELF = {"tools/citations.py", "tests/tools/test_texts.py"}


def _slug(heading: str) -> str:
    """Return the name of a heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _document(name: str, cited: re.Match[str]) -> str | None:
    """Return what is wrong with a citation of a document in the file ``name``; None when nothing is."""
    path, anchor, title = cited.groups()
    places = [texts.ROOT / path, (texts.ROOT / name).parent / path, texts.ROOT / "docs" / path]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        return "no such document"
    headings = HEADING.findall(found.read_text(encoding="utf-8"))
    if anchor and anchor not in map(_slug, headings):
        return "no heading has this anchor"
    if title and title not in headings:
        return "no such heading"
    return None


def _module_exists(dotted: str) -> bool:
    """Tell whether the second part of a dotted name is a module, or a name that the package's ``__init__`` holds."""
    package, name = dotted.split(".")[:2]
    folder = texts.ROOT / package
    if (folder / name).is_dir() or (folder / f"{name}.py").is_file():
        return True
    places = [folder / "__init__.py", folder / "models" / "__init__.py"]
    return any(name in place.read_text(encoding="utf-8") for place in places if place.is_file())


def _test_exists(file: str, names: str) -> bool:
    """Tell whether a file of tests has the class and the test, each by a definition of its own."""
    path = texts.ROOT / file
    content = path.read_text(encoding="utf-8") if path.is_file() else ""
    return all(
        re.search(rf"^ *(?:async )?(?:def|class) {each}\b", content, re.M) for each in names.split("::")[1:]
    )


def faults(name: str, content: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the citation and what is wrong with it."""
    for number, line in enumerate(content.splitlines(), start=1):
        for found in ELSEWHERE.finditer(line):
            yield number, found.group().strip(), "cites what is not in the tree; say what it means"
        for found in DOCUMENT.finditer(line):
            wrong = _document(name, found)
            if wrong:
                yield number, found.group(), wrong
        for found in FILE.finditer(line):
            places = (texts.ROOT / found.group(), texts.ROOT / "templates" / found.group())
            if not any(place.is_file() for place in places) and found.group() not in MADE_UP:
                yield number, found.group(), "no such file"
        for found in TEST.finditer(line) if Path(name).suffix == ".md" else ():
            if not _test_exists(*found.groups()):
                yield number, found.group(), "no such test"
        for found in MODULE.finditer(line) if Path(name).suffix == ".md" else ():
            if not _module_exists(found.group(1)):
                yield number, found.group(1), "no such module"


def main() -> int:
    """Print what is wrong in the tree."""
    wrong = 0
    for name, content in texts.tracked():
        if name in SELF:
            continue
        for number, cited, why in faults(name, content):
            wrong += 1
            print(f"{name}:{number}: {cited}: {why}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
