"""A gateway whose console is away: known cut-offs hold after a restart too, and its log tells of the limit."""

import asyncio
import logging

import pytest

from edge.gateway import configuration
from tests.edge.gateway_lab import SESSION, Echo, GatewayLab, echoes
from tests.edge.gateway_network import Network, refusal

pytestmark = pytest.mark.processes

LOST, FOUND = "nobody new is let in", "The console is heard again"


async def asked_again(network: Network) -> None:
    """Two more: the first answer may be under way."""
    seen = len(network.calls)
    while len(network.calls) < seen + 2:
        await asyncio.sleep(0.01)


async def test_the_log_tells_once_that_the_limit_is_over_and_when_the_console_is_back(
    network: Network, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(configuration, "MOST_SECONDS", 0.1)
    network.answer = lambda path, body: refusal(503, "TryAgainLater")
    async with network.polling():
        network.state.heard_console()  # first: a question may be under way, and is answered in between
        await network.configuration.apply(network.document)
        await asked_again(network)
        assert LOST not in caplog.text
        network.now += network.document["offline_seconds"] + 60
        await asked_again(network)
        await asked_again(network)
        assert caplog.text.count(LOST) == 1 and "not heard for 3660 s" in caplog.text
        assert network.state.refusal() is not None
        network.answer = lambda path, body: (200, {"unchanged": True, "version": 1}, {})
        while FOUND not in caplog.text:
            await asyncio.sleep(0.01)
        assert network.state.refusal() is None
    assert caplog.text.count(FOUND) == 1


def test_a_cut_off_that_was_known_holds_after_a_restart_without_the_console(
    lab: GatewayLab, echo: Echo
) -> None:
    kicked, other = lab.tunnel(echo.target), lab.tunnel(echo.target, session="session-of-another")
    assert lab.apply(ended_sessions={SESSION: "kicked"}) == {"cut": 1}
    assert not echoes(kicked) and echoes(other)
    lab.kill_agent()
    lab.start()
    assert lab.verdict(echo.target) == (407, "sessionended")
    assert echoes(other) and echoes(lab.tunnel(echo.target, session="session-of-another"))
