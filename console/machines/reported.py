"""Reading of machines' messages: what decides is strict, and what is reported never makes a call fail.

A reported value that makes no sense stands for unmeasured, is counted in ``dropped``, and is named once in the log.
Reported are the fields of a message that have a default; all others decide (ids, codes, batches, times of samples, the
version that confirms a cut-over), and a wrong value of them refuses the message. Fields of a newer machine are ignored,
and named once.
"""

import functools
import ipaddress
import logging
import reprlib
import threading
import types
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, Union, get_args, get_origin

import msgspec
from prometheus_client import Counter

from console.machines import metrics
from edge.protocol.logon import ClientAddress, Password
from edge.protocol.message import Message, MessageInvalid
from edge.protocol.values import Address, Reason, State, Text, Word

log = logging.getLogger("causeway.reported")
dropped = Counter(
    "causeway_reported_dropped",
    "Values of machines' reports that made no sense, by field.",
    ["field"],
    registry=metrics.registry,
)
# Pairs of machine and field remembered as named in the log; of more, the oldest are named again.
MOST_NAMED = 10_000
# Rows of a report, such as ways to gateways, and keys of a table, such as servers with tunnels; no more are taken.
MOST_ROWS, MOST_KEYS = 500, 20_000
LONGEST_KEY = 40
LONGEST_REASON = 2000

M = TypeVar("M", bound=Message)
_named: OrderedDict[tuple[str, str], None] = OrderedDict()
_lock = threading.Lock()


def read(kind: type[M], document: object, machine: str, *, decides: Collection[str] = ()) -> M:
    """Make a message of what ``machine`` sent. ``decides``: fields that are strict though they have a default.

    Raise ``MessageInvalid`` for a wrong value of what decides, and for nothing else.
    """
    if not isinstance(document, dict):
        return kind.decode(document)
    values, required = _values(kind)
    _name_unknown(kind, document, machine)
    strict = {name: document[name] for name in document if name in required or name in decides}
    message = kind.decode(strict)
    read_alone: dict[str, Any] = {}
    for name, value in values.items():
        if name in strict:
            if value.check is not None:
                read_alone[name] = value.checked(getattr(message, name), name)
        elif document.get(name) is not None:
            try:
                read_alone[name] = value.read(document[name], name, machine)
            except MessageInvalid:
                drop(machine, name, document[name])
    return msgspec.structs.replace(message, **read_alone) if read_alone else message


def read_strictly(kind: type[M], document: object, machine: str) -> M:
    """Make a message of a document all of whose fields decide. Raise ``MessageInvalid``."""
    return read(kind, document, machine, decides=kind.__struct_fields__)


def drop(machine: str, field: str, value: object) -> None:
    """Count a value as dropped, and name it in the log the first time."""
    dropped.labels(field).inc()
    if _is_news(machine, field):
        # Representation of the value, so that neither a megabyte nor a line of its own gets into the log.
        log.warning("%s: %s makes no sense, so it is not measured: %s", machine, field, reprlib.repr(value))


def _is_news(machine: str, field: str) -> bool:
    with _lock:
        if (machine, field) in _named:
            return False
        _named[machine, field] = None
        if len(_named) > MOST_NAMED:
            _named.popitem(last=False)
        return True


def _name_unknown(kind: type[Message], document: dict[str, Any], machine: str) -> None:
    """Name fields that this release does not know: a misspelt one must not go unnoticed for ever."""
    unknown = document.keys() - _values(kind)[0].keys()
    # Single line a message, whatever the names are: a machine must not fill the log with invented ones.
    if unknown and _is_news(machine, f"{kind.__name__}, unknown fields"):
        names = reprlib.repr(sorted(unknown))
        log.warning("%s: fields not known here are ignored (%s): %s", machine, kind.__name__, names)


# -- What the limits of a type alone cannot say


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError
    return text


def _readable(text: str) -> str:
    kept = text[:LONGEST_REASON]
    return "".join(each if each.isprintable() or each == "\n" else " " for each in kept)


def _address(text: str) -> str:
    """Normalise an IP address; without the scope of a link-local one, which means nothing here."""
    return str(ipaddress.ip_address(text.partition("%")[0])) if text else ""


CHECKS: dict[Any, Callable[[str], str]] = {
    Text: _printable,
    Word: _printable,
    State: _printable,
    Password: _printable,
    Reason: _readable,
    Address: _address,
    ClientAddress: _address,
}


# -- Values


@dataclass(frozen=True)
class _Value:
    """Values that a field may have, but for null. ``check``: raises ValueError; ``of``: rows of a list, or a table's.

    ``kind``: class of a message, or what msgspec converts to.
    """

    kind: Any
    check: Callable[[str], str] | None
    of: "_Value | None"

    def read(self, value: Any, field: str, machine: str) -> Any:
        """Read a value that is not null. Raise ``MessageInvalid`` when it makes no sense as a whole."""
        if self.of is not None:
            if isinstance(value, list) and get_origin(self.kind) is Sequence:
                return _rows(self.of, value, field, machine)
            if isinstance(value, dict) and get_origin(self.kind) is Mapping:
                return _table(self.of, value, field, machine)
        if isinstance(self.kind, type) and issubclass(self.kind, Message):
            return read(self.kind, value, machine)
        try:
            return self.checked(msgspec.convert(value, self.kind), field)
        except (msgspec.ValidationError, UnicodeError):  # msgspec takes a lone surrogate for no text
            raise MessageInvalid(f"{field} makes no sense.", field) from None

    def checked(self, value: Any, field: str) -> Any:
        """Check and normalise what is of its kind. Raise ``MessageInvalid``; its sentence holds no value."""
        if self.check is None or value is None:
            return value
        try:
            return self.check(value)
        except ValueError:
            raise MessageInvalid(
                f"{field} must be {self.kind.__metadata__[-1].description}.", field
            ) from None

    def read_or_none(self, value: Any, field: str, machine: str) -> Any:
        """Read a row, or a value of a table; one that makes no sense is dropped without the others."""
        try:
            return None if value is None else self.read(value, field, machine)
        except MessageInvalid:
            drop(machine, field, value)
            return None


def _rows(of: _Value, value: list[Any], field: str, machine: str) -> list[Any]:
    """Read rows one by one; a row that makes no sense is left out, and those beyond the limit are."""
    if len(value) > MOST_ROWS:
        drop(machine, field, value)
    rows = (of.read_or_none(row, field, machine) for row in value[:MOST_ROWS])
    return [row for row in rows if row is not None]


def _table(of: _Value, value: dict[str, Any], field: str, machine: str) -> dict[str, Any]:
    """Read a table by id; a value that makes no sense is None, and an id that makes none is left out."""
    sensible = [key for key in value if len(key) <= LONGEST_KEY and key.isprintable()][:MOST_KEYS]
    if len(sensible) < len(value):
        drop(machine, field, value)
    return {key: of.read_or_none(value[key], field, machine) for key in sensible}


@functools.cache
def _values(kind: type[Message]) -> tuple[dict[str, _Value], frozenset[str]]:
    """Return what the fields of a message may hold, and which of them it must have."""
    fields = msgspec.structs.fields(kind)
    values = {field.name: _value(field.type) for field in fields}
    return values, frozenset(field.name for field in fields if field.required)


def _value(kind: Any) -> _Value:
    if get_origin(kind) in (Union, types.UnionType):  # with null; Python's own union of one is that one
        kind = Union[tuple(each for each in get_args(kind) if each is not types.NoneType)]  # noqa: UP007
    of = _value(get_args(kind)[-1]) if get_origin(kind) in (Sequence, Mapping) else None
    return _Value(kind, CHECKS.get(kind), of)
