"""Messages for property tests, made by their types alone: a new message needs no strategy of its own."""

import functools
import json
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin
from uuid import UUID

import msgspec
from hypothesis import strategies as st

from edge.protocol import configuration as wire
from edge.protocol import logon, values
from edge.protocol.message import Message

M = TypeVar("M", bound=Message)

ANNOTATED: dict[Any, st.SearchStrategy[Any]] = {
    wire.PortRange: st.tuples(st.integers(1, 65535), st.integers(1, 65535)).map(sorted).map(tuple),
    wire.EchoKey: st.binary(max_size=3).map(bytes.hex),
    logon.ClientAddress: st.ip_addresses().map(str),
    logon.SessionToken: st.from_regex(r"[A-Za-z0-9._-]{1,4}", fullmatch=True),
    values.Epoch: st.text("0123456789abcdef", max_size=16),
    values.Seal: st.text("0123456789abcdef", max_size=64),
    values.Mark: st.just("") | st.from_regex(r"[0-9]{1,4}\.[a-z0-9-]{1,4}", fullmatch=True),
    values.Address: st.just("") | st.ip_addresses().map(str),
    wire.ServerState: st.sampled_from(["enabled", "draining", "disabled", True, False]),
}
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=3),
    bool: st.booleans(),
    int: st.integers(-(2**53), 2**53),
    float: st.floats(allow_nan=False, allow_infinity=False),
    types.NoneType: st.none(),
    UUID: st.uuids(),
    Any: st.none() | st.integers(0, 9) | st.dictionaries(st.text(max_size=3), st.booleans(), max_size=1),
}
# What people can read: of other texts the console keeps some only in part.
READABLE = st.characters(exclude_categories=["C", "Z"])


def on_the_wire(message: Message) -> Any:
    return json.loads(json.dumps(message.encode()))


@functools.cache
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
    if origin is Annotated:
        return within(*arguments)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, types.UnionType):
        return st.one_of(*map(of, arguments))
    if origin is Sequence:
        return st.lists(of(arguments[0]), max_size=2)
    if origin is Mapping:
        return st.dictionaries(st.text(READABLE, max_size=3), of(arguments[1]), max_size=2)
    return messages(kind)


def within(kind: Any, limits: msgspec.Meta) -> st.SearchStrategy[Any]:
    """Make values of an annotated kind, within its limits."""
    if kind is int:
        return st.integers(int(limits.ge or 0), int(limits.le or 2**53))
    if kind is float:
        return st.floats(limits.ge, limits.le)
    if kind is str:
        least = limits.min_length or 0
        return st.text(READABLE, min_size=least, max_size=least + 3)
    return of(kind)
