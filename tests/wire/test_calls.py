"""Every call on the wire: out and back, from the release before, read by the console as the machine wrote it."""

import copy
import json
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.machines import reported
from edge.protocol import enrollment, logon, reports
from edge.protocol.message import Message, MessageInvalid
from tests.wire.strategies import messages, on_the_wire

QUESTIONS: list[type[Message]] = [
    *(enrollment.Enroll, enrollment.Renew, logon.Login, logon.Token),
    *(reports.GatewayPoll, reports.GatewayStatus, reports.Flows, reports.FlowRecord),
    *(reports.Nothing, reports.Telemetry, reports.Sample, reports.UpgradeWord),
    *(reports.LogPart, reports.LogsFailed),
]
ANSWERS: list[type[Message]] = [
    *(enrollment.Enrolled, enrollment.Renewed, logon.Grant, reports.Unchanged),
    *(reports.StatusAnswer, reports.FlowsAnswer, reports.TelemetryAnswer),
]
KINDS = {kind.__name__: kind for kind in (*QUESTIONS, *ANSWERS)}
# As machines and console of release 0.1 wrote them, before they had types.
RELEASED = [
    (KINDS[name], document)
    for name, document in json.loads((Path(__file__).parent / "release_0_1" / "calls.json").read_text())
]
# Fields that came since, by the messages that have them: as one of release 0.1 leaves them out.
SINCE = {"epoch": "", "seal": "", "ends": None, "server": None}
EVERY = pytest.mark.parametrize(("kind", "document"), RELEASED)


def as_released(kind: type[Message], document: Any) -> Any:
    """What was written, with the fields that came since at their defaults."""
    if kind.__struct_config__.omit_defaults:
        return document
    return {name: value for name, value in SINCE.items() if name in kind.__struct_fields__} | document


def inner(kind: Any) -> type[Message] | None:
    """The message that a field holds, by itself, perhaps, or in a list."""
    if get_origin(kind) in (Union, types.UnionType, Sequence):
        return next(filter(None, map(inner, get_args(kind))), None)
    return kind if isinstance(kind, type) and issubclass(kind, Message) else None


def parts(kind: type[Message], document: Any, place: str = "") -> Iterator[tuple[type[Message], Any, str]]:
    """Every message of a document, with the document's part and its place."""
    yield kind, document, place
    for field in msgspec.structs.fields(kind):
        below, value = inner(field.type), document.get(field.name)
        if below is not None:
            for number, part in enumerate(value if isinstance(value, list) else [value]):
                where = f"[{number}]" if isinstance(value, list) else ""
                yield from parts(below, part, f"{place}{field.name}{where}.")


@pytest.mark.parametrize("kind", KINDS.values())
@given(data=st.data())
def test_every_message_comes_back(kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(messages(kind))
    assert kind.decode(on_the_wire(message)) == message


@pytest.mark.parametrize("kind", QUESTIONS)
@given(data=st.data())
def test_the_console_reads_what_the_machine_wrote(kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(messages(kind))
    assert reported.read(kind, on_the_wire(message), "a machine") == message
    assert reported.read_strictly(kind, on_the_wire(message), "a machine") == message


def test_every_message_has_a_document_of_the_last_release() -> None:
    assert {kind for kind, _ in RELEASED} == set(KINDS.values())


@EVERY
def test_what_the_last_release_wrote_is_read_and_written_alike(kind: type[Message], document: Any) -> None:
    message = kind.decode(document)
    assert on_the_wire(message) == as_released(kind, document)
    if kind in QUESTIONS:
        assert reported.read_strictly(kind, document, "a machine") == message


def test_a_gateway_is_said_to_drain_only_when_it_does() -> None:
    gateway = {"id": "gateway-1", "area": "mainland-china", "proxy": "https://127.0.0.1:1"}
    assert on_the_wire(logon.GrantedGateway.decode(gateway)) == gateway
    draining = gateway | {"draining": True}
    assert on_the_wire(logon.GrantedGateway.decode(draining)) == draining


@EVERY
def test_what_a_newer_release_adds_is_ignored(kind: type[Message], document: Any) -> None:
    newer = copy.deepcopy(document)
    for _, part, _ in list(parts(kind, newer)):
        part["of_a_newer_release"] = {"more": [1]}
    assert kind.decode(newer) == kind.decode(document) == reported.read(kind, newer, "a machine")


@EVERY
def test_a_missing_field_is_named_or_has_a_default(kind: type[Message], document: Any) -> None:
    changed = copy.deepcopy(document)
    for below, part, place in parts(kind, changed):
        for field in msgspec.structs.fields(below):
            if field.name in SINCE:
                continue
            value = part.pop(field.name, None)
            if field.required:
                with pytest.raises(MessageInvalid) as caught:
                    kind.decode(changed)
                assert caught.value.place == f"{place}{field.name}"
                assert str(caught.value).startswith(f"{caught.value.place} must be ")
            else:
                assert kind.decode(changed)
            part[field.name] = value


@EVERY
def test_a_value_of_another_type_is_named(kind: type[Message], document: Any) -> None:
    for name in document.keys() - {"interval"}:  # kept as it came, and judged by `pause_of`
        with pytest.raises(MessageInvalid) as caught:
            kind.decode(document | {name: 10**400 if name in ("records", "samples") else [None]})
        assert caught.value.place.startswith(name)


def test_no_secret_is_shown_with_its_message() -> None:
    secret = "s3cret"
    session = logon.GrantedSession("session-1", "user-1", "sag-1", "alice", "172.16.0.2", 0)
    shown = [
        logon.Login(instance="sag-1", username="alice", password=secret, kind="connect"),
        logon.Token(secret),
        logon.Grant(secret, session, (), ""),
        enrollment.Enroll(code=secret, kind="server", csrs={}),
    ]
    assert secret not in repr(shown)


@pytest.mark.parametrize("password", ["", "s3cret\0", "s3cret" * 50, ["s3cret"], {"s3cret": 1}])
def test_no_password_is_told_by_a_refusal(password: Any, caplog: pytest.LogCaptureFixture) -> None:
    document = {"instance": "sag-1", "username": "alice", "password": password, "kind": "connect"}
    with pytest.raises(MessageInvalid) as caught:
        reported.read(logon.Login, document, "a machine")
    assert caught.value.place == "password"
    assert "s3cret" not in f"{caught.value!r} {caught.value.__cause__!r} {caplog.text}"
