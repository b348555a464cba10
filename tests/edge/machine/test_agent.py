"""What the agents of gateways and servers do alike: run their loops, see one that ends, end in order."""

import asyncio
import logging
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pytest
from prometheus_client.core import Metric

from edge.home import Home, NotEnrolled
from edge.machine.agent import Agent, Loops, run_agent
from edge.machine.metrics import gauge
from edge.machine.support import AlreadyRunning, agent_pid, held
from tests.edge.connector_lab import enrolled_server
from tests.edge.gateway_pki import Authority


class Trade(Agent):
    """Trade that notes what happens; ``work`` is its only loop."""

    def __init__(self, home: Home, fault: Exception | None = None, lasts: bool = True) -> None:
        super().__init__(home)
        self.noted: list[str] = []
        self._fault, self._lasts = fault, lasts

    async def begin(self) -> Loops:
        self.noted.append("begin")
        return {"work": self._work()}

    async def _work(self) -> None:
        self.noted.append("work")
        self.stop.set()
        if self._fault is not None:
            raise self._fault
        try:
            while self._lasts:
                await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            self.noted.append("worked")

    def order(self) -> None:
        return None

    def metrics(self) -> Iterable[Metric]:
        yield gauge("causeway_trade", "Of the test.", [((), 1.0)])

    async def end(self) -> None:
        self.noted.append("end")
        self._upgrader.successor = Path("/next")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return enrolled_server(tmp_path, Authority(), "server-1", "connector-1")


async def test_an_agent_ends_after_all_that_it_did_has_ended(home: Home) -> None:
    trade = Trade(home)
    await trade.run()
    assert trade.noted == ["begin", "work", "worked", "end"]
    assert "causeway_trade 1.0" in home.file("metrics.prom").read_text()


async def test_a_loop_that_fails_or_ends_is_seen_and_ends_the_agent(home: Home) -> None:
    async def story(**how: object) -> list[str]:
        trade = Trade(home, **how)  # type: ignore[arg-type]
        try:
            await trade.run()
        finally:
            assert trade.noted[-1] == "end"
        return trade.noted

    with pytest.raises(LookupError, match="a fault of ours"):
        await story(fault=LookupError("a fault of ours"))
    with pytest.raises(RuntimeError, match="“work” has ended"):
        await story(lasts=False)


def test_a_folder_has_one_agent_of_its_own_kind(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", True)  # which an agent sets for its whole process
    root, handlers = logging.getLogger(), list(logging.getLogger().handlers)
    try:
        with pytest.raises(NotEnrolled, match=r"is that of a connector server, not of a gateway\."):
            run_agent("gateway", home, Trade)
        with held(home), pytest.raises(AlreadyRunning):
            run_agent("server", home, Trade)
        assert run_agent("server", home, partial(Trade, lasts=True)) == Path("/next")
        assert agent_pid(home) is None, "another agent may begin"
    finally:
        for handler in set(root.handlers) - set(handlers):
            root.removeHandler(handler)
            handler.close()
