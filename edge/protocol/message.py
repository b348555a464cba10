"""Base of the messages between console and machines: checked as a whole where one comes in, typed from there on.

A field that a message does not know is ignored, so that the sender may be of a newer release; a field with a default
may be missing, so that the sender may be of an older one.
"""

import json
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin
from uuid import UUID

import msgspec

_WORDS: dict[Any, str] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    types.NoneType: "null",
    UUID: "a UUID",
}


class MessageInvalid(ValueError):
    """Refusal of a document that is not the message it should be: a sentence naming the field and what is legal.

    `place`: the field alone, as ``machine.hostname``; empty for the document as a whole.
    """

    def __init__(self, sentence: str, place: str = "") -> None:
        super().__init__(sentence)
        self.place = place


class Message(msgspec.Struct, frozen=True):
    """Base of every message, and of its sections."""

    @classmethod
    def decode(cls, document: Any) -> Self:
        """Check a parsed JSON document and make the message of it. Raise `MessageInvalid`, and nothing else."""
        try:
            return msgspec.convert(document, cls)
        except (msgspec.ValidationError, UnicodeError):  # msgspec takes a lone surrogate for no text
            place, legal = _fault(document, cls) or ("", _legal(cls))
            raise MessageInvalid(f"{place or 'The document'} must be {legal}.", place) from None

    def encode(self) -> dict[str, Any]:
        """Take the message apart into what any JSON library writes; every field, with those that have a default."""
        encoded: dict[str, Any] = msgspec.to_builtins(self)
        return encoded

    def json(self) -> bytes:
        """Write the message as JSON in one pass; with ``encode`` for texts that UTF-8 cannot hold, as hosts may say."""
        try:
            return msgspec.json.encode(self)
        except UnicodeEncodeError:  # a lone surrogate
            return json.dumps(self.encode(), separators=(",", ":")).encode()


def _fault(value: Any, kind: Any, where: str = "") -> tuple[str, str] | None:
    """Find the innermost place of a document that is not of its kind, and say what is legal there; None when all are.

    msgspec's own message leaves out the keys of objects, so that nobody would learn which of 10,000 applications is
    broken.
    """
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, UnicodeError):
        inner = (_fault(part, of, where + place) for place, part, of in _parts(value, kind))
        return next(filter(None, inner), (where.lstrip("."), _legal(kind)))
    return None


def _parts(value: Any, kind: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the places below a value with what stands there and the kind that is legal; a missing field is unset."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        for each in arguments:
            yield from _parts(value, each)
    elif isinstance(value, list) and origin is Sequence:
        yield from ((f"[{place}]", part, arguments[0]) for place, part in enumerate(value))
    elif isinstance(value, dict) and origin is Mapping:
        yield from ((f".{name}", part, arguments[1]) for name, part in value.items())
    elif isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, Message):
        for field in msgspec.structs.fields(kind):
            if field.required or field.name in value:
                yield f".{field.name}", value.get(field.name, msgspec.UNSET), field.type


def _legal(kind: Any) -> str:
    """Say what is legal at a place; an annotated kind says so itself."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return str(arguments[-1].description)
    if origin is Literal:
        return " or ".join(argument or "empty" for argument in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(map(_legal, arguments))
    return _WORDS.get(kind) or ("a list" if origin is Sequence else "an object")
