"""The names that docs/metrics.md gives."""

import re
from collections.abc import Iterable
from pathlib import Path

from prometheus_client.core import Metric

PAGE = Path(__file__).resolve().parent.parent / "docs" / "metrics.md"
ROW = re.compile(r"^\| `(causeway_\w+)` \|[^|]+\|[^|]*\|[^|]*\|$", re.MULTILINE)


def documented(heading: str) -> set[str]:
    """The metrics of the first table after ``heading`` (a heading's or a paragraph's beginning)."""
    page = PAGE.read_text()
    start = re.search(rf"^(## )?{re.escape(heading)}", page, re.MULTILINE)
    assert start, f"{PAGE.name} has no {heading!r}"
    table = re.search(r"(^\|.*\n)+", page[start.start() :], re.MULTILINE)
    assert table
    return set(ROW.findall(table[0]))


def names(families: Iterable[Metric]) -> set[str]:
    """As they are asked for in Prometheus: counters end in ``_total``."""
    return {family.name + ("_total" if family.type == "counter" else "") for family in families}
