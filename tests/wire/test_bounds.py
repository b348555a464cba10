"""Every number that a machine reports has bounds, so that sums of many never leave what a database holds."""

from __future__ import annotations

import math
import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
import pytest

from edge.protocol import enrollment, logon, reports
from edge.protocol.message import Message
from edge.protocol.reports import MOST_RECORDS, FlowRecord

# What machines say; `Sample` has bytes beside a length of time, by which the console's intake bounds them.
SAID = [
    kind
    for module in (enrollment, logon, reports)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Message) and kind.__module__ == module.__name__
]


def numbers(kind: Any, bounded: bool = False) -> Iterator[bool]:
    """Tell of every number in a type whether it has bounds."""
    if kind in (int, float):
        yield bounded
    elif get_origin(kind) is Annotated:
        least, *_ = [meta for meta in get_args(kind)[1:] if isinstance(meta, msgspec.Meta)]
        yield from numbers(get_args(kind)[0], bounded or (least.ge is not None and least.le is not None))
    elif get_origin(kind) in (Union, types.UnionType, *(list, tuple)) or get_args(kind):
        for each in get_args(kind):
            if each is not types.NoneType and not isinstance(each, str):
                yield from numbers(each)


@pytest.mark.parametrize("kind", SAID, ids=lambda kind: kind.__name__)
def test_every_number_has_a_least_and_a_most(kind: type[Message]) -> None:
    if kind.__name__.endswith(("Answer", "Unchanged")) or kind in (logon.GrantedSession,):
        return  # the console's word
    for field in msgspec.structs.fields(kind):
        assert all(numbers(field.type)), field.name


def test_a_batch_of_the_largest_flows_stays_below_what_a_database_holds() -> None:
    (bound,) = [f.type for f in msgspec.structs.fields(FlowRecord) if f.name == "bytes_up"]
    (meta,) = [each for each in get_args(bound) if isinstance(each, msgspec.Meta)]
    assert meta.le is not None
    assert meta.le * MOST_RECORDS <= 2**63 - 1
    assert math.log2(meta.le) == 53
