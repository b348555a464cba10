"""Ways to the gateways, and to the applications' hosts: measured by the server, told with its samples.

To each gateway goes a datagram a second (edge.protocol.echo). Where nothing comes back though the gateway's port takes
TCP connections, UDP does not pass: then latency is the time that a connection takes, and loss is not measured.
"""

import asyncio
import contextlib
import ipaddress
import logging
import random
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from edge.outbound.dialling import touch, touch_directly
from edge.protocol import echo
from edge.protocol.configuration import ServedApplication, ServerConfiguration
from edge.protocol.reports import Destination, Path

logger = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
# Seconds after which a datagram without an answer is lost.
LOST_SECONDS = 1.0
# Datagrams in a row without an answer after which TCP is asked as well.
SILENT = 5
TCP_EVERY_SECONDS = 5.0
TCP_SECONDS = 3.0
# Seconds after which a socket that hears nothing is opened anew: the gateway's name may point elsewhere.
REOPEN_SECONDS = 30.0
DESTINATIONS_EVERY_SECONDS = 30.0
MOST_DESTINATIONS = 100
AT_ONCE = 10


class _Line(asyncio.DatagramProtocol):
    """Socket to one gateway."""

    def __init__(self, heard: Callable[[bytes], None]) -> None:
        self._heard = heard

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._heard(data)

    def error_received(self, exc: Exception) -> None:
        """Do nothing: a datagram to which nobody listens counts as one without an answer."""


@dataclass
class GatewayProbe:
    """Probe of one gateway until cancelled. ``now``: the time by which the gateway tells a fresh question, epoch s."""

    id: str
    host: str
    port: int
    key: bytes
    clock: Callable[[], float] = time.perf_counter
    now: Callable[[], float] = time.time
    news: Callable[[int], None] = lambda version: None
    every: float = EVERY_SECONDS
    lost_after: float = LOST_SECONDS
    tcp_every: float = TCP_EVERY_SECONDS
    _open: dict[int, float] = field(default_factory=dict)
    _latencies: list[float] = field(default_factory=list)
    _lost: int = 0
    _silence: int = 0
    _by_tcp: deque[float] = field(default_factory=lambda: deque(maxlen=2))
    _tcp_answers: bool | None = None
    _ever: bool = False

    async def run(self) -> None:
        while True:
            transport = None
            with contextlib.suppress(OSError):
                transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                    lambda: _Line(self._heard), remote_addr=(self.host, self.port)
                )
            try:
                await self._ask(transport)
            finally:
                if transport is not None:
                    transport.close()

    async def _ask(self, transport: asyncio.DatagramTransport | None) -> None:
        """Ask until the socket has heard nothing for long."""
        silent_since, next_tcp = self.clock(), 0.0
        while self.clock() - silent_since < REOPEN_SECONDS:
            number = secrets.randbits(64)
            self._open[number] = self.clock()
            if transport is not None and self.key:
                transport.sendto(echo.question(self.key, number, self.now()))
            await asyncio.sleep(self.every)
            self._give_up()
            if not self._silence:
                silent_since = self.clock()
                self._tcp_answers = None
                self._by_tcp.clear()
            elif self._silence >= SILENT and self.clock() >= next_tcp:
                await self._ask_by_tcp()
                next_tcp = self.clock() + self.tcp_every

    def _heard(self, data: bytes) -> None:
        number, version = echo.answered(self.key, data) or (None, 0)
        sent = None if number is None else self._open.pop(number, None)
        if sent is None:
            return
        self.news(version)
        self._latencies.append((self.clock() - sent) * 1000)
        self._silence, self._ever = 0, True

    def _give_up(self) -> None:
        late = [number for number, sent in self._open.items() if self.clock() - sent >= self.lost_after]
        for number in late:
            del self._open[number]
        self._lost += len(late)
        self._silence += len(late)

    async def _ask_by_tcp(self) -> None:
        took = await connect_time(self.host, self.port, self.clock, dial=touch)
        self._tcp_answers = took is not None
        if took is not None:
            self._by_tcp.append(took)

    def take(self) -> Path:
        """Return what was measured since the last call."""
        latencies, lost = self._latencies, self._lost
        self._latencies, self._lost = [], 0
        if latencies:
            loss = 100 * lost / (len(latencies) + lost)
            return Path(self.id, round(sum(latencies) / len(latencies), 3), round(loss, 2), "udp")
        if self._by_tcp and self._tcp_answers:
            return Path(self.id, round(sum(self._by_tcp) / len(self._by_tcp), 3), None, "tcp")
        if lost and self._ever and self._tcp_answers is False:
            return Path(self.id, None, 100.0, "udp")
        return Path(self.id, None, None, "")


class Probes:
    """Probes of a server, which follow its configuration.

    ``news`` is called with the version of the configuration for servers that a gateway's answer names. ``now``: the
    console's time (epoch s), by which both sides go.
    """

    def __init__(
        self, news: Callable[[int], None] = lambda version: None, *, now: Callable[[], float] = time.time
    ) -> None:
        self._news, self._now = news, now
        self._gateways: dict[str, tuple[GatewayProbe, asyncio.Task[None]]] = {}
        self._wanted: dict[str, tuple[str, int, bytes]] = {}
        self._targets: list[tuple[str, str, int]] = []
        self._changed = asyncio.Event()
        self.ways: list[Path] = []
        self.destinations: list[Destination] = []

    def follow(self, configuration: ServerConfiguration) -> None:
        """Probe the gateways and applications of a configuration; nothing while the server is switched off."""
        enabled = configuration.server.enabled
        gateways = configuration.gateways if enabled else ()
        self._wanted = {each.id: (each.host, each.port, bytes.fromhex(each.echo_key)) for each in gateways}
        targets = targets_of(configuration.applications) if enabled else []
        if targets != self._targets:
            known = set(targets)
            self.destinations = [
                each for each in self.destinations if (each.application, each.host, each.port) in known
            ]
        self._targets = targets
        self._changed.set()

    def take(self) -> dict[str, float]:
        """Return a sample's latency and loss: those of the worst way, which a user may be on."""
        self.ways = [probe.take() for probe, _ in self._gateways.values()]
        values = {}
        for name in ("latency_ms", "loss_percent"):
            found = [value for way in self.ways if (value := getattr(way, name)) is not None]
            if found:
                values[name] = max(found)
        return values

    async def run(self) -> None:
        """Probe until cancelled."""
        destinations = asyncio.create_task(self._probe_destinations())
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                self._sort_out()
        finally:
            for task in (destinations, *(task for _, task in self._gateways.values())):
                task.cancel()

    def _sort_out(self) -> None:
        for name, (probe, task) in list(self._gateways.items()):
            if self._wanted.get(name) != (probe.host, probe.port, probe.key):
                task.cancel()
                del self._gateways[name]
        for name, (host, port, key) in self._wanted.items():
            if name not in self._gateways:
                probe = GatewayProbe(name, host, port, key, now=self._now, news=self._news)
                self._gateways[name] = (probe, asyncio.create_task(probe.run()))

    async def _probe_destinations(self) -> None:
        seats = asyncio.Semaphore(AT_ONCE)

        async def probe(target: tuple[str, str, int]) -> Destination:
            async with seats:
                took = await connect_time(*target[1:], time.perf_counter)
            return Destination(*target, reached=took is not None, milliseconds=took and round(took, 3))

        known: list[tuple[str, str, int]] = []
        due = 0.0
        pause = DESTINATIONS_EVERY_SECONDS * random.uniform(0.9, 1.1)  # noqa: S311
        while True:
            if self._targets != known or time.monotonic() >= due:
                known, due = self._targets, time.monotonic() + pause
                found = await asyncio.gather(*(probe(target) for target in known))
                if known == self._targets:
                    self.destinations = list(found)
            await asyncio.sleep(1.0)


def targets_of(applications: Iterable[ServedApplication]) -> list[tuple[str, str, int]]:
    """Return (application, host, port) for each origin, name and single address; not for wildcards and networks."""
    found = []
    for application in applications:
        ports = [first for first, _ in application.ports]
        if application.origin:
            host, port = _split(application.origin)
            found += [(application.id, host, each) for each in ([port] if port else ports)]
            continue
        hosts = [host for text in application.addresses if (host := _single(text))]
        found += [(application.id, host, port) for host in hosts for port in ports]
    return list(dict.fromkeys(found))[:MOST_DESTINATIONS]


def _split(origin: str) -> tuple[str, int | None]:
    """Split an origin into host and port, which is None where the origin has none."""
    if origin.startswith("["):
        host, _, rest = origin[1:].partition("]")
        return host, int(rest[1:]) if rest.startswith(":") else None
    if origin.count(":") == 1:
        host, _, port = origin.partition(":")
        return host, int(port)
    return origin, None


def _single(address: str) -> str:
    """Return the host that an application's address names; empty for several."""
    if "*" in address:
        return ""
    try:
        network = ipaddress.ip_network(address, strict=False)
    except ValueError:
        return address
    return str(network.network_address) if network.num_addresses == 1 else ""


async def connect_time(
    host: str, port: int, clock: Callable[[], float], *, dial: Callable[..., Awaitable[None]] = touch_directly
) -> float | None:
    """Return the milliseconds until a TCP connection comes about; None without a connection.

    `dial`: `touch` for a gateway, to which a proxy may lead; destinations are dialled directly, as Envoy dials them.
    """
    begin = clock()
    try:
        await dial(host, port, TCP_SECONDS)
    except (OSError, ValueError):  # TimeoutError is an OSError; some names cannot be looked up
        return None
    return (clock() - begin) * 1000
