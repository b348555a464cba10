"""Reports of machines: a value that makes no sense is dropped, and never makes a call fail.

A dropped value stands for unmeasured, is counted in ``dropped``, and is named once in the log. Values that decide (ids,
codes, batches, times of samples, the version that confirms a cut-over) are no reports and are checked strictly.
"""

import ipaddress
import logging
import reprlib
import threading
from collections import OrderedDict
from typing import Annotated, Any, TypeVar

from prometheus_client import Counter
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from console.machines import metrics

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
LONGEST_MESSAGE = 2000

T = TypeVar("T")
_named: OrderedDict[tuple[str, str], None] = OrderedDict()
_lock = threading.Lock()


def _is_news(machine: str, field: str) -> bool:
    with _lock:
        if (machine, field) in _named:
            return False
        _named[machine, field] = None
        if len(_named) > MOST_NAMED:
            _named.popitem(last=False)
        return True


def _machine(info: ValidationInfo) -> str:
    """Name who reports: ``machine`` of the context, or who signed the call. A machine that enrolls has no name yet."""
    context = info.context or {}
    if "machine" in context:
        return str(context["machine"])
    caller = getattr(context.get("request"), "auth", None)
    return str(getattr(caller, "id", "a machine that enrolls"))


def drop(info: ValidationInfo, value: object) -> None:
    """Count a value of the field being validated as dropped, and name it in the log the first time."""
    field = info.field_name or "?"
    dropped.labels(field).inc()
    if _is_news(machine := _machine(info), field):
        # Representation of the value, so that neither a megabyte nor a line of its own gets into the log.
        log.warning("%s: %s makes no sense, so it is not measured: %s", machine, field, reprlib.repr(value))


def _or_none(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    if value is None:
        return None
    try:
        return handler(value)
    except ValidationError:
        drop(info, value)
        return None


def _or_empty(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    return _or_none(value, handler, info) or ""


def _first_rows(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, list) and len(value) > MOST_ROWS:
        drop(info, value)
        return value[:MOST_ROWS]
    return value


def _sensible_keys(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, dict):
        return value
    sensible = [key for key in value if len(key) <= LONGEST_KEY and key.isprintable()][:MOST_KEYS]
    if len(sensible) < len(value):
        drop(info, value)
    return {key: value[key] for key in sensible}


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must have printable characters only")
    return text


def _readable(text: str) -> str:
    kept = text[:LONGEST_MESSAGE]
    return "".join(each if each.isprintable() or each == "\n" else " " for each in kept)


def _address(text: str) -> str:
    """Normalise an IP address; without the scope of a link-local one, which means nothing here."""
    return str(ipaddress.ip_address(text.partition("%")[0])) if text else ""


# Report of ``T``: None where it makes no sense or was not measured. Give the field a default as well.
Reported = Annotated[T | None, WrapValidator(_or_none)]
# Report of a text: empty where it makes no sense or was not given.
ReportedText = Annotated[T, WrapValidator(_or_empty)]
# Rows of a report; one that makes no sense is None, without the others.
ReportedRows = Annotated[list[Reported[T]] | None, BeforeValidator(_first_rows), WrapValidator(_or_none)]
# Table of reports by id; a value that makes no sense is None, and an id that makes none is left out.
ReportedTable = Annotated[
    dict[str, Reported[T]] | None, BeforeValidator(_sensible_keys), WrapValidator(_or_none)
]

# Types of reports, strict, since neither true nor "5" is a measured number.
Text = Annotated[str, StringConstraints(strict=True, max_length=255), AfterValidator(_printable)]
Word = Annotated[Text, StringConstraints(max_length=40)]
Message = Annotated[str, StringConstraints(strict=True), AfterValidator(_readable)]
Address = Annotated[str, StringConstraints(strict=True, max_length=100), AfterValidator(_address)]
Count = Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)]
Version = Annotated[int, Field(strict=True, ge=0, le=2**53)]
Seconds = Annotated[float, Field(strict=True, ge=0, le=2**40, allow_inf_nan=False)]
Milliseconds = Annotated[float, Field(strict=True, ge=0, le=600_000, allow_inf_nan=False)]
Percent = Annotated[float, Field(strict=True, ge=0, le=100, allow_inf_nan=False)]


class Block(BaseModel):
    """A group of reports. Fields that a newer machine adds to it are ignored, and named once in the log."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _name_unknown(cls, data: Any, info: ValidationInfo) -> Any:
        if isinstance(data, dict) and (unknown := data.keys() - cls.model_fields.keys()):
            machine = _machine(info)
            # Single line a block, whatever the names are: a machine must not fill the log with invented ones.
            if _is_news(machine, f"{cls.__name__}, unknown fields"):
                names = reprlib.repr(sorted(unknown))
                log.warning("%s: fields not known here are ignored (%s): %s", machine, cls.__name__, names)
        return data
