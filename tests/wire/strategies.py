"""Messages for property tests, made by their types alone: a new message needs no strategy of its own."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec
from hypothesis import strategies as st

from edge.protocol import configuration as wire
from edge.protocol.message import Message

M = TypeVar("M", bound=Message)

ANNOTATED: dict[Any, st.SearchStrategy[Any]] = {
    wire.Version: st.integers(0, 2**53),
    wire.Port: st.integers(1, 65535),
    wire.PortRange: st.tuples(st.integers(1, 65535), st.integers(1, 65535)).map(sorted).map(tuple),
    wire.EchoKey: st.binary(max_size=3).map(bytes.hex),
    wire.Kbps: st.integers(1, 2**53),
    wire.PublicKey: st.text(max_size=3),
    wire.ServerState: st.sampled_from(["enabled", "draining", "disabled", True, False]),
}
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=3),
    bool: st.booleans(),
    int: st.integers(-(2**53), 2**53),
    float: st.floats(allow_nan=False, allow_infinity=False),
    types.NoneType: st.none(),
}


def messages(kind: type[M]) -> st.SearchStrategy[M]:
    """Make messages of a kind; fields with a default are sometimes left to it."""
    fields = {field.name: (of(field.type), field.required) for field in msgspec.structs.fields(kind)}
    required = {name: strategy for name, (strategy, needed) in fields.items() if needed}
    optional = {name: strategy for name, (strategy, needed) in fields.items() if not needed}
    return st.fixed_dictionaries(required, optional=optional).map(lambda values: kind(**values))


def of(kind: Any) -> st.SearchStrategy[Any]:
    """Make values of any kind that a field may have."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in ANNOTATED:
        return ANNOTATED[kind]
    if kind in PLAIN:
        return PLAIN[kind]
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, types.UnionType):
        return st.one_of(*map(of, arguments))
    if origin is Sequence:
        return st.lists(of(arguments[0]), max_size=2)
    if origin is Mapping:
        return st.dictionaries(of(arguments[0]), of(arguments[1]), max_size=2)
    return messages(kind)
