"""The console without its front: slow bodies fill the seats of their own lane, and gateways are heard."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests.console.front.served import Served, request

pytestmark = [pytest.mark.processes, pytest.mark.slow]


def test_slow_bodies_do_not_keep_gateways_waiting(tmp_path: Path, made: Path) -> None:
    console = Served(tmp_path, made, tls=False, front=False)
    with console.running(), contextlib.ExitStack() as stack:
        for path in (
            "/log-in/",
            "/edge/v1/login",
            "/edge/v1/gateway/config",
            "/sase/applications/import/",
        ) * 40:
            slow = stack.enter_context(console.connect())
            slow.sendall(request(f"POST {path}", b"{", length=60_000))
        with console.client() as client:
            # Unsigned, it is refused by its head alone: the body of a stranger is not waited for.
            answer = client.post("/edge/v1/gateway/config", json={})
            assert answer.status_code == 401, answer.text
            console.until(
                lambda: client.post("/edge/v1/login", json={}).status_code == 503,
                "the lane of log-ons is full",
            )
