"""What programs rely on in ``causeway connect --json``, and what people read: the documents and the program agree."""

import re

from edge.client.agent import Exit
from edge.client.keeper import REASONS
from edge.protocol.codes import ENDS_SESSION
from tests.running import ROOT


def rows(document: str, heading: str) -> list[list[str]]:
    """The cells of all tables under a heading, up to the next one."""
    text = (ROOT / "docs" / document).read_text().partition(f"\n{heading}\n")[2]
    lines = re.split(r"^#", text, maxsplit=1, flags=re.MULTILINE)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


def names(cell: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", cell))


def test_every_event_is_documented() -> None:
    source = "".join(file.read_text() for file in (ROOT / "edge").rglob("*.py"))
    told = set(re.findall(r'events\.tell\(\s*"(\w+)"', source))
    documented = set().union(*(names(row[0]) for row in rows("clients.md", "### For scripts")))
    assert len(told) > 10 and told == documented


def test_every_exit_code_is_documented() -> None:
    documented = {int(row[0]) for row in rows("clients.md", "### For scripts") if row[0].isdigit()}
    # 2 and 130 are the command line's own.
    assert documented == {int(code) for code in Exit} | {2, 130}


def test_every_reason_of_a_gateway_has_a_sentence() -> None:
    table = rows("architecture.md", "## Status codes a client of a gateway sees")
    told = set().union(*(names(row[1]) for row in table if row[0].isdigit() and row[0] != "407"))
    assert len(told) > 10
    # Log-ons are not the gateway's business here, and the end of a session is told by its own sentence.
    assert told - ENDS_SESSION - {"LockedOut"} - REASONS.keys() == set()
