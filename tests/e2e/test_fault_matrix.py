"""Every kind of process killed or stopped (SIGSTOP), on the running demo: the promises of design §10.

The demo's service manager starts again what was killed; an Envoy is also ended in good order, as by a restart.
"""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from tests.demo import Demo, Tunnel, family, wait_until

BACK_SECONDS = 40
PARTS = ("console", "gateway agent", "gateway Envoy", "server agent", "server Envoy")
FAULTS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "restart": signal.SIGTERM}
# What ends in good order by itself stays ended: only an agent starts its Envoy again then.
MATRIX = [(part, fault) for part in PARTS for fault in FAULTS if fault != "restart" or part.endswith("Envoy")]


# -- Who is who -------------------------------------------------------------------------------------------------------


def home_of(demo: Demo, machine: str) -> Path:
    return next(p.parent for p in demo.home.glob("machine-*/identity.json") if machine in p.read_text())


def first_server(demo: Demo) -> str:
    return next(name for name in demo.world["processes"] if name.startswith("server-"))


def envoy_of(demo: Demo, machine: str) -> psutil.Process | None:
    """Not by its parent: an Envoy that an agent adopted is nobody's child."""
    try:
        record = json.loads((home_of(demo, machine) / "envoy" / "envoy.pid").read_text())
        return psutil.Process(record["pid"])
    except (OSError, ValueError, psutil.Error):
        return None


def processes(demo: Demo, part: str) -> list[psutil.Process]:
    """The processes of a part, as they are now."""
    machine = demo.gateway()["id"] if part.startswith("gateway") else first_server(demo)
    if part.endswith("Envoy"):
        envoy = envoy_of(demo, machine)
        return [envoy] if envoy else []
    try:
        main = psutil.Process(demo.pid(part if part == "console" else machine))
        return [main, *(main.children(recursive=True) if part == "console" else [])]
    except psutil.NoSuchProcess:
        return []


# -- What is promised -------------------------------------------------------------------------------------------------


@dataclass
class Watch:
    """Flows that were open before the fault, one for each server where it can be, and what new ones are told."""

    demo: Demo
    open: list[Tunnel] = field(default_factory=list)

    def open_flows_live(self) -> bool:
        return all(echoes(flow) for flow in self.open)

    def some_open_flow_lives(self) -> bool:
        return any(echoes(flow) for flow in self.open)

    def new_flow(self, seconds: int = 4) -> int:
        """The status of a new flow to the wiki, as curl sees it; 0 when there is no answer in time."""
        return self.demo.curl("http://wiki.corp.example/", "--max-time", str(seconds)).status

    def new_flows(self, count: int) -> list[int]:
        return [self.new_flow(seconds=10) for _ in range(count)]


def echoes(flow: Tunnel) -> bool:
    try:
        flow.socket.settimeout(3)
        flow.socket.sendall(b"are you there?")
        return flow.socket.recv(100) == b"are you there?"
    except OSError:
        return False


def while_console_is_away(watch: Watch, fault: str) -> None:
    assert watch.open_flows_live()
    assert watch.new_flows(5) == [200] * 5, "new flows of known sessions"


def while_gateway_agent_is_away(watch: Watch, fault: str) -> None:
    assert watch.open_flows_live()
    assert watch.new_flow() != 200, "closed without the agent"


def while_gateway_envoy_is_away(watch: Watch, fault: str) -> None:
    if fault == "stop":
        assert watch.new_flow() == 0


def while_server_agent_is_away(watch: Watch, fault: str) -> None:
    assert watch.open_flows_live(), "Envoy carries on without its agent"
    assert watch.new_flows(10) == [200] * 10


def while_server_envoy_is_away(watch: Watch, fault: str) -> None:
    assert watch.some_open_flow_lives(), "the other server's flows"
    if fault != "stop":  # a process that hangs is not told from a slow one until a ping is overdue
        assert watch.new_flows(10) == [200] * 10, "by the other server, at once"


PROMISES: dict[str, Callable[[Watch, str], None]] = {
    "console": while_console_is_away,
    "gateway agent": while_gateway_agent_is_away,
    "gateway Envoy": while_gateway_envoy_is_away,
    "server agent": while_server_agent_is_away,
    "server Envoy": while_server_envoy_is_away,
}


# -- The matrix -------------------------------------------------------------------------------------------------------


@pytest.fixture
def watch(demo: Demo) -> Iterator[Watch]:
    """Before and after, everything works."""
    watch = Watch(demo)
    wait_until(lambda: watch.new_flows(4) == [200] * 4, BACK_SECONDS, what="a demo in good health")
    for _ in range(6):  # with so many, both servers carry one but for chances of 1 in 32
        watch.open.append(demo.connect("echo.corp.example", 7))
    assert watch.open_flows_live()
    yield watch
    for flow in watch.open:
        flow.close()
    wait_until(lambda: console_answers(demo), BACK_SECONDS, what="the console")
    wait_until(lambda: watch.new_flows(8) == [200] * 8, BACK_SECONDS, what="everything as before")


def console_answers(demo: Demo) -> bool:
    try:
        return httpx.get(f"{demo.console}/healthz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("part", "fault"), MATRIX)
def test_a_fault_breaks_no_more_than_is_promised(demo: Demo, watch: Watch, part: str, fault: str) -> None:
    victims = processes(demo, part)
    assert victims and {victim.pid for victim in victims} <= {p.pid for p in family(demo.process, demo.home)}
    with inflicted(victims, fault):
        PROMISES[part](watch, fault)
    wait_until(lambda: watch.new_flow() == 200, BACK_SECONDS, what=f"a flow after the {part}'s {fault}")
    if fault != "stop":
        gone = victims[0].pid
        wait_until(lambda: is_new(processes(demo, part), gone), BACK_SECONDS, what=f"a new {part}")


def is_new(found: list[psutil.Process], gone: int) -> bool:
    return bool(found) and found[0].pid != gone


@contextlib.contextmanager
def inflicted(victims: list[psutil.Process], fault: str) -> Iterator[None]:
    """What was stopped goes on at the end."""
    for victim in victims if fault == "stop" else victims[:1]:
        victim.send_signal(FAULTS[fault])
    try:
        yield
    finally:
        for victim in victims:
            if fault == "stop":
                victim.send_signal(signal.SIGCONT)
