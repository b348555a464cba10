"""Values that no machine can mean, for every field that machines report."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from hypothesis import strategies as st

from edge.protocol.message import Message

MISSING = object()
LONG = "x" * 2**20
ABSURD: list[Any] = [
    *(-1, math.nan, math.inf, -math.inf, 2**63, -(2**63), 10**400, 1e-320, 0.5, True, None, MISSING),
    *(LONG, "a\0b", "\x1b[2J", "\ud800", "\u202eevil", "-3574", ""),
    *([], [1], [[]], [None], {}, {"a": 1}, {"\0": 1}, {"x" * 1000: -1}),
]
# Any JSON, with what is absurd in its leaves and names.
JSON: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([each for each in ABSURD if each is not MISSING and each != LONG])
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=()), max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def put(body: dict[str, Any], field: str, value: Any) -> dict[str, Any]:
    """``body`` with ``value`` in ``field``, or without the field for ``MISSING``."""
    return {key: each for key, each in (body | {field: value}).items() if each is not MISSING}


def reported(kind: type[Message]) -> list[str]:
    """The fields of a message whose values may make no sense."""
    return [field.name for field in msgspec.structs.fields(kind) if not field.required]


def makes_sense(value: object) -> bool:
    """Whether something stored could have been measured."""
    if isinstance(value, str):
        return value.isprintable() and len(value) <= 255
    return value is None or (isinstance(value, int | float) and 0 <= value < 2**41)
