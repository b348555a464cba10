"""A console's clock that is off, and put right: a gateway goes by it, and does not wait for what it believed before."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from edge.home import Identity
from tests.edge.console_lab import FakeConsole, refusal
from tests.edge.gateway_lab import GATEWAY, GatewayLab, wait_until

pytestmark = pytest.mark.processes


class Console(FakeConsole):
    """Refuses, as the real one does, what is signed by another clock than its own."""

    def __init__(self) -> None:
        super().__init__()
        self.document: dict[str, Any] = {}
        self.followed = 0
        self.answers = {
            "gateway/config": lambda body: self.checked(self.configuration(body)),
            "gateway/status": lambda body: self.checked({"interval": 1}),
        }

    def checked(self, answer: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        token = self.calls[-1][2]["authorization"].split()[1]
        signed = jwt.decode(token, options={"verify_signature": False})["iat"]
        off = abs(signed - time.time() - self.clock_offset) > 60
        return (401, refusal("ClockSkew")) if off else (200, answer)

    def configuration(self, body: dict[str, Any]) -> dict[str, Any]:
        self.followed = body["applied_version"]
        if self.followed < self.document["version"]:
            return self.document
        time.sleep(0.1)  # a short long poll
        return {"unchanged": True, "version": self.followed}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[tuple[GatewayLab, Console]]:
    with Console().running() as console:
        assert isinstance(console, Console)
        made = GatewayLab(tmp_path)
        console.document = made.document
        made.home.write_identity(Identity(GATEWAY, "gateway", console.url))
        try:
            yield made, console
        finally:
            made.close()


@pytest.mark.parametrize("hours", [-1, 1], ids=["behind", "ahead"])
def test_a_gateway_follows_when_the_consoles_clock_is_set(
    lab: tuple[GatewayLab, Console], hours: int
) -> None:
    gateway, console = lab
    gateway.start()
    gateway.kill_agent()
    gateway.start()  # it adopts Envoy, and for some seconds waits to hear of the flows in it
    for offset in (hours * 3600.0, 0.0):
        console.clock_offset = offset
        console.document = console.document | {"version": console.document["version"] + 1}
        wait_until(lambda: console.followed == console.document["version"], "the configuration followed")
    assert gateway.log.read_text().count("correcting for it") >= 2
