"""Deaths on the running demo, and who notices: promises to open and new flows meanwhile."""

import contextlib
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest

from tests.demo import Demo, family, in_time, is_alive, wait_until
from tests.e2e.private_access import Gateway

FLOWS, CLIENTS = 1000, 8


def echo_works(demo: Demo) -> bool:
    return demo.verdict()[0] == 200


def carried(demo: Demo) -> int:
    """Return the status of a new flow; 0 for a flow that was let in but brings nothing back."""
    with demo.connect("echo.corp.example", 7) as tunnel:
        return tunnel.status if tunnel.status != 200 or tunnel.echoes() else 0


def machines(demo: Demo, prefix: str) -> list[str]:
    return [name for name in demo.world["processes"] if name.startswith(prefix)]


def console_answers(demo: Demo) -> bool:
    try:
        return httpx.get(f"{demo.console}/healthz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture(autouse=True)
def whole_again(demo: Demo) -> Iterator[None]:
    """Wait after the test until everything runs."""
    yield
    wait_until(lambda: console_answers(demo), 30, what="the console")
    wait_until(lambda: all_run(demo), 40, what="every program, and every gateway's tunnels of every server")
    wait_until(lambda: flow_or_none(demo), 30, what="a flow")


def all_run(demo: Demo) -> bool:
    try:
        alive = [is_alive(psutil.Process(demo.pid(name))) for name in demo.world["processes"]]
    except psutil.NoSuchProcess:
        return False
    tunnels = [Gateway(demo, each).tunnels() for each in demo.world["gateways"]]
    servers = set(machines(demo, "server-"))
    return all(alive) and all(servers <= {server for (_, server), n in each.items() if n} for each in tunnels)


@contextlib.contextmanager
def unattended(demo: Demo) -> Iterator[None]:
    """Stop the service manager: nothing that died is started again for as long as the block lasts."""
    demo.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        demo.process.send_signal(signal.SIGCONT)


def test_one_of_two_servers_killed_loses_no_new_flow(demo: Demo) -> None:
    agent = psutil.Process(demo.pid(machines(demo, "server-")[0]))
    victims = [agent, *agent.children(recursive=True)]
    assert any("envoy" in victim.name() for victim in victims)
    for victim in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
    with ThreadPoolExecutor(CLIENTS) as clients:
        statuses = list(clients.map(lambda _: carried(demo), range(FLOWS)))
    assert statuses == [200] * FLOWS


def test_a_killed_gateway_agent_leaves_open_flows_and_admits_no_new_ones(demo: Demo) -> None:
    name = demo.gateway()["id"]
    before = demo.pid(name)
    with demo.connect("echo.corp.example", 7) as flow:
        assert flow.echoes()
        with unattended(demo):
            demo.kill(before)
            with demo.connect("echo.corp.example", 7) as refused:
                assert refused.status in (403, 503)
            assert flow.echoes()
        wait_until(lambda: demo.pid(name) != before, 30, what="the agent's restart")
        wait_until(lambda: flow_or_none(demo), 30, what="a new flow after the agent's restart")
        assert flow.echoes()


def test_without_the_console_known_sessions_open_new_flows(demo: Demo) -> None:
    assert echo_works(demo)
    with demo.console_away():
        assert [echo_works(demo) for _ in range(5)] == [True] * 5


def test_a_killed_console_leaves_flows_alone_and_comes_back(demo: Demo) -> None:
    before = demo.pid("console")
    with demo.connect("echo.corp.example", 7) as flow:
        with unattended(demo):
            demo.kill(before)
            wait_until(lambda: not console_answers(demo), 30, what="the console's end")
            assert flow.echoes()
            assert echo_works(demo)
        wait_until(lambda: demo.pid("console") != before and console_answers(demo), 30, what="its restart")
        assert flow.echoes()


def test_a_killed_gateway_envoy_comes_back(demo: Demo) -> None:
    """An adopted Envoy is nobody's child, so that no parent hears of its end."""
    place = str(Gateway(demo, demo.gateway()).home.file("envoy"))
    envoys = (each for each in family(demo.process, demo.home) if "envoy" in each.name())
    next(envoy for envoy in envoys if envoy.cwd() == place).kill()
    assert in_time(lambda: flow_or_none(demo), True, 30) is True, "a flow after Envoy's restart"


def flow_or_none(demo: Demo) -> bool:
    try:
        return echo_works(demo)
    except (OSError, AssertionError):
        return False
