"""Faults of a part of the world (tests/e2e/fault_world.py): one block each, at whose end the fault is mended."""

import contextlib
import json
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager

import psutil

from tests.demo import is_alive, wait_until
from tests.e2e.fault_world import DISKS, ENDED_SECONDS, GROUPS, World
from tests.e2e.wrong_clock import wrong_by
from tests.edge.small_disk import filled
from tests.hostile import beside

FOLLOWED_SECONDS = 60.0


@contextlib.contextmanager
def stopped(world: World, part: str) -> Iterator[None]:
    victims = world.processes(part)
    try:
        for process in victims:
            process.suspend()
        yield
    finally:
        for process in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


@contextlib.contextmanager
def ended(world: World, part: str, number: int) -> Iterator[None]:
    """Kill a part, or ask the part to end; start it again at the end, or have the agent start its Envoy at once."""
    if part.endswith("Envoy"):
        (victim,) = world.processes(part)
        victim.send_signal(number)
        wait_until(lambda: not is_alive(victim), ENDED_SECONDS, what=f"the end of the {part}")
        yield
        return
    try:
        world.program(part).end(number)
        yield
    finally:
        world.program(part).end()  # a part that did not end when told to
        world.program(part).start()


@contextlib.contextmanager
def cut(world: World, part: str) -> Iterator[None]:
    """Let the packets of a part vanish: nobody is told."""
    _filter(world, "add table inet cut; add chain inet cut out { type filter hook output priority 0; };")
    try:
        for match in _traffic(world, part):
            _filter(world, f"add rule inet cut out {match} drop;")
        yield
    finally:
        _filter(world, "delete table inet cut;")


def _traffic(world: World, part: str) -> list[str]:
    """Return the rule by which the packet filter knows a part's packets."""
    console = int(world.demo.console.rpartition(":")[2])
    if part in ("console", "database"):
        port = console if part == "console" else world.database_port
        return [f"tcp dport {port}", f"tcp sport {port}"]
    if part.endswith("agent"):
        return [f"meta skgid {GROUPS[part.split(maxsplit=1)[0]]} tcp dport {console}"]
    mine = json.loads((world.disk("machine-gateway-shanghai") / "snapshot.json").read_text())["gateway"]
    if part == "gateway Envoy":
        ports = f"{{ {mine['client_port']}, {mine['tunnel_port']} }}"
        return [f"tcp dport {ports}", f"tcp sport {ports}"]
    # Packets that server 1 alone sends into its tunnels. Packets to the server are heard, and never answered.
    dialled = json.loads((world.disk("machine-server-1") / "config.json").read_text())["gateways"]
    ports = ", ".join(str(each["port"]) for each in dialled)
    (envoy,) = world.processes(part)
    own = [each.laddr.port for each in envoy.net_connections("tcp") if each.raddr]
    listed = ", ".join(map(str, own))
    return [f"tcp sport {{ {listed} }} tcp dport {{ {ports} }}"] if own else []


def _filter(world: World, rules: str) -> None:
    subprocess.run([*world.within(), "nft", "-f", "-"], input=rules.encode(), check=True)


def full_disk(world: World, part: str) -> AbstractContextManager[None]:
    return filled(world.seen(world.database_folder) if part == "database" else world.disk(DISKS[part]))


@contextlib.contextmanager
def started_on_full_disk(world: World, part: str) -> Iterator[None]:
    """Start an agent on a full disk; for an Envoy, an agent that has to start Envoy too. Nothing is started again."""
    # A killed agent leaves its Envoy to the next agent; an agent that is told to end also ends Envoy.
    world.program(part).end(signal.SIGTERM if part.endswith("Envoy") else signal.SIGKILL)
    with full_disk(world, part):
        world.program(part).start()
        yield


@contextlib.contextmanager
def environment(world: World, part: str, extra: Mapping[str, str]) -> Iterator[None]:
    """Start a part again with other variables, and at the end without these."""
    try:
        _begin_anew(world, part, extra)
        yield
    finally:
        _begin_anew(world, part, {})


def _begin_anew(world: World, part: str, extra: Mapping[str, str]) -> None:
    program = world.program(part)
    if part == "console":
        world.programs["worker"].end()
        world.programs["worker"].start(extra)
    # A killed agent leaves its Envoy alone; an Envoy has the environment of the agent that starts Envoy.
    program.end(signal.SIGKILL if part != "database" else signal.SIGINT)
    if part.endswith("Envoy"):
        for envoy in world.processes(part):
            envoy.kill()
    program.start(extra)
    if part == "database":
        wait_until(world.database_answers, 30, what="PostgreSQL")


def wrong_clock(world: World, part: str, hours: int) -> AbstractContextManager[None]:
    """Set the clock of one part wrong; an Envoy has the clock of the agent that starts Envoy.

    Only calls for the time of day get the wrong time.
    """
    return environment(world, part, wrong_by(hours * 3600))


@contextlib.contextmanager
def restored(world: World, part: str) -> Iterator[None]:
    """A database of before: every machine works by a version that it does not know, and its numbers come again."""
    file = world.back_up()
    changed = (
        "UPDATE console_configversion SET version = version + 20, servers_version = servers_version + 20"
    )
    world.rows(f"{changed} RETURNING version")
    behind = (
        "SELECT 1 FROM console_gateway, console_configversion AS now WHERE applied_version < now.version UNION"
        " SELECT 1 FROM connectors_server, console_configversion AS now WHERE applied_version < now.servers_version"
    )
    wait_until(lambda: not world.rows(behind), FOLLOWED_SECONDS, what="every machine at what is forgotten")
    world.restore(file)
    yield


def hostile(world: World, part: str) -> AbstractContextManager[None]:
    """A stranger at the console, who also sits silently at a gateway's ports; guesses at an account of nobody here."""
    mine = json.loads((world.disk("machine-gateway-shanghai") / "snapshot.json").read_text())["gateway"]
    ports = (int(world.demo.console.rpartition(":")[2]), mine["client_port"], mine["tunnel_port"])
    account = world.demo.world["accounts"][-1]
    return beside(
        world.demo.console,
        "--slow=250",
        "--silent=150",
        *(f"--silent-at={port}" for port in ports),
        "--guesses=20",
        f"--account={account['instance']}/{account['username']}",
        within=world.within(),
    )


# Faults by name, as the table of tests/e2e/test_fault_matrix.py has the names.
FAULTS: dict[str, Callable[[World, str], AbstractContextManager[None]]] = {
    "kill": lambda world, part: ended(world, part, signal.SIGKILL),
    "stop": stopped,
    "restart": lambda world, part: ended(
        world, part, signal.SIGINT if part == "database" else signal.SIGTERM
    ),
    "cut network": cut,
    "full disk": full_disk,
    "started on a full disk": started_on_full_disk,
    "clock an hour ahead": lambda world, part: wrong_clock(world, part, +1),
    "clock an hour behind": lambda world, part: wrong_clock(world, part, -1),
    "restored from yesterday": restored,
    "one hostile client": hostile,
    "wrong time zone": lambda world, part: environment(world, part, {"TZ": "Asia/Kathmandu"}),
}
