"""Pieces of an archive of logs: one that comes too fast, or finds no console, is sent again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge.home import Home
from edge.machine import log_export
from edge.machine.api import ApiRefused, Caller
from edge.machine.log_export import LogSender

TOO_MANY = {"error": {"code": "TooMany", "message": "Send the next one later.", "field": None}}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_export, "RETRY_SECONDS", 0.0)


def sent(tmp_path: Path, *answers: httpx.Response) -> list[Any]:
    """Send a piece to a console that answers so; return the bodies that came there."""
    bodies: list[Any] = []

    def handle(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.read()))
        return answers[len(bodies) - 1]

    async def send() -> None:
        async with Caller("http://console.example", transport=httpx.MockTransport(handle)) as caller:
            await LogSender(Home(tmp_path), caller)._send_part("logs-1", 0, b"piece", last=True)

    asyncio.run(send())
    return bodies


def test_a_piece_that_came_too_fast_or_found_no_console_is_sent_again(tmp_path: Path) -> None:
    busy = httpx.Response(429, json=TOO_MANY, headers={"Retry-After": "0"})
    bodies = sent(tmp_path, busy, httpx.Response(503), httpx.Response(200, json={}))
    assert len(bodies) == 3 and bodies[0] == bodies[1] == bodies[2]


def test_a_piece_that_nobody_wants_is_not_sent_again(tmp_path: Path) -> None:
    with pytest.raises(ApiRefused):
        sent(tmp_path, httpx.Response(404, json=TOO_MANY))
