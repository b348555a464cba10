"""Texts that are no ASCII, no text at all, or huge, in the place of whatever a call decodes: refused, never a 500."""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from console.models import Gateway
from tests.console.machine import Machine

pytestmark = pytest.mark.django_db
ODD = [
    "ä",
    "\ud800",
    "💥",
    "\0",
    "",
    "QQ==ä",
    "x" * 100_000,
    "-----BEGIN CERTIFICATE REQUEST-----\nä\n-----END CERTIFICATE REQUEST-----",
    "٣",  # a digit, though no ASCII
]
SIGNED: dict[str, dict[str, Any]] = {
    "gateway/config": {"applied_version": 0, "wait": 0, "epoch": "", "seal": ""},
    "gateway/status": {"version": "1", "envoy": "running", "tunnels": {"server-1": 1}, "open_flows": 1},
    "gateway/upgrade": {"order": "upgrade-1", "state": "healthy", "message": ""},
    "logs": {"export": "logs-1", "part": 0, "last": True, "data": "QQ=="},
    "logs/failed": {"export": "logs-1", "message": ""},
    "flows": {"batch": str(uuid.UUID(int=1)), "records": [{"flow": "f1", "host": "a", "path": "cloud"}]},
    "renew": {"csrs": {"tunnel": "", "access": ""}},
    "login": {
        "instance": "sag-1",
        "username": "a",
        "password": "b",
        "public_address": "::1",
        "kind": "proxy",
    },
}
UNSIGNED: dict[str, dict[str, Any]] = {
    "enroll": {"code": "AAAA-BBBB-CCCC", "kind": "server", "csrs": {"outer": "", "inner": ""}, "system": ""},
    "login": {"instance": "sag-1", "username": "a", "password": "b", "kind": "connect"},
    "session/renew": {"token": "a.b.c"},
    "logout": {"token": "a.b.c"},
}


def odd(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the body with each of its texts, and each name of a table, replaced by each odd text."""
    for path in places(body):
        for text in ODD:
            changed = copy.deepcopy(body)
            inner: Any = changed
            for step in path[:-1]:
                inner = inner[step]
            if isinstance(inner[path[-1]], str):
                inner[path[-1]] = text
            else:
                inner[text] = inner.pop(path[-1])
            yield changed


def places(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    steps: Any = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for name, value in steps:
        if isinstance(value, str) or (path and isinstance(body, dict)):
            yield (*path, name)
        yield from places(value, (*path, name))


@pytest.mark.parametrize("call", SIGNED)
def test_no_text_makes_a_signed_call_fail(gateway: Gateway, call: str) -> None:
    machine = Machine("gateway", gateway.pk)
    for body in odd(SIGNED[call]):
        answer = machine.call(call, body)
        assert answer.status_code < 500, (body, answer.content)
        assert answer.status_code == 200 or answer.json()["error"]["message"]


@pytest.mark.parametrize("call", UNSIGNED)
def test_no_text_makes_an_unsigned_call_fail(db: None, call: str) -> None:
    client = Client()
    for body in odd(UNSIGNED[call]):
        answer = client.post(f"/edge/v1/{call}", json.dumps(body), content_type="application/json")
        assert 400 <= answer.status_code < 500, (body, answer.content)
        assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "header", ["Bearer ä", "Bearer \0", "Bearer eyJhbGciOiJFUzI1NiIsImtpZCI6IsOkIn0.e30.AA"]
)
def test_no_signature_makes_a_call_fail(db: None, header: str) -> None:
    for call in SIGNED:
        answer = Client().post(
            f"/edge/v1/{call}", "{}", content_type="application/json", headers={"authorization": header}
        )
        assert 400 <= answer.status_code < 500, answer.content
