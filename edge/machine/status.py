"""Lights of a gateway or server, four with a reason each, seen from the machine itself.

They are read from Envoy, from the folder and from the network, so that they tell the truth also when the agent is dead.
"""

import asyncio
import datetime as dt
import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil

from edge.envoy.process import EnvoyError, EnvoyProcess
from edge.envoy.tunnels import arrived_tunnels, line_tunnels
from edge.home import Home
from edge.machine.enrollment import CONFIGURATION, kept, renewal_due
from edge.machine.reach import answers
from edge.machine.support import MODULE, STATUS, agent_pid
from edge.protocol.configuration import GatewayConfiguration, ServedApplication, ServerConfiguration

# A gateway asks every 25 s, a server every 10 s to 60 s.
CONSOLE_SECONDS = 90.0
PROBES = 20
UNWRITTEN = "Open flows go on and records wait in memory, but no configuration can be written down: make room on disk."


@dataclass(frozen=True)
class Light:
    """`color`: ``green``, ``yellow`` (works, but not well), ``red``, ``off`` (not measured). `reason`: a sentence."""

    name: str
    color: str
    reason: str


@dataclass(frozen=True)
class Report:
    """Content of ``causeway status``."""

    id: str
    kind: str
    connector: str
    console: str
    certificates_renewed_from: str | None
    lights: list[Light]

    @property
    def good(self) -> bool:
        return all(light.color != "red" for light in self.lights)


async def report(home: Home, *, clock: Callable[[], float] = time.time) -> Report:
    """Look at a machine. Raises `edge.home.NotEnrolled`."""
    identity = home.identity
    envoy = EnvoyProcess(home.file("envoy"))
    if identity.kind == "server":
        server = kept(home, ServerConfiguration)
        lights = [
            await _process(home, envoy, switched_off=server is not None and not server.server.enabled),
            await _dialled(envoy, server),
            _server_configuration(home, server, clock()),
            await _destinations(server),
        ]
    else:
        gateway = kept(home, GatewayConfiguration)
        lights = [
            await _process(home, envoy),
            await _arrived(envoy),
            _gateway_configuration(home, gateway, clock()),
            await _clients(gateway),
        ]
    try:
        renewed: str | None = renewal_due(home).isoformat(timespec="seconds")
    except (OSError, KeyError, ValueError):
        renewed = None
    return Report(identity.id, identity.kind, identity.connector, identity.console, renewed, lights)


async def _process(home: Home, envoy: EnvoyProcess, *, switched_off: bool = False) -> Light:
    pid = agent_pid(home)
    try:
        live = (await envoy.admin("/ready")).strip() == "LIVE"
    except EnvoyError:
        live = False
    if pid is None:
        rest = "Envoy still runs; open flows go on." if live else "Envoy does not run either."
        return Light("process", "red", f"The agent does not run. {rest}")
    if _is_stopped(pid):
        return Light(
            "process",
            "red",
            f"The agent is stopped, and does nothing until somebody has it go on: kill -CONT {pid}. Open flows go on.",
        )
    if not live:
        if switched_off:
            return Light(
                "process", "off", "This server is switched off in the console, so Envoy does not run."
            )
        return Light(
            "process", "red", f"The agent runs as process {pid}, but Envoy does not answer; see envoy.log."
        )
    running = f"The agent runs as process {pid}, and Envoy answers."
    if without := (home.read_json(MODULE) or {}).get("without"):
        return Light("process", "yellow", f"{running} {without}")
    return Light("process", "green", running)


def _is_stopped(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return False


async def _dialled(envoy: EnvoyProcess, configuration: ServerConfiguration | None) -> Light:
    gateways = [each.id for each in configuration.gateways] if configuration else []
    if not gateways:
        return Light("tunnel", "red", "The console names no gateway to dial.")
    try:
        found = await line_tunnels(envoy)
    except EnvoyError:
        return Light("tunnel", "red", "There is no tunnel, because Envoy does not run.")
    counts = dict.fromkeys(gateways, 0)
    for line, count in found.items():
        gateway = line.partition("~")[0]
        counts[gateway] = counts.get(gateway, 0) + count
    text = ", ".join(f"{gateway}: {count}" for gateway, count in counts.items())
    missing = [gateway for gateway in gateways if not counts[gateway]]
    if missing:
        return Light("tunnel", "red", f"There is no tunnel to {', '.join(missing)}. Living tunnels: {text}.")
    return Light("tunnel", "green", f"Living tunnels: {text}.")


async def _arrived(envoy: EnvoyProcess) -> Light:
    try:
        tunnels = await arrived_tunnels(envoy)
    except EnvoyError:
        return Light("tunnel", "red", "There is no tunnel, because Envoy does not run.")
    if not tunnels:
        return Light("tunnel", "off", "No connector server has dialled this gateway.")
    text = ", ".join(f"{server}: {count}" for (_, server), count in sorted(tunnels.items()))
    return Light("tunnel", "green", f"Tunnels of {len(tunnels)} servers ({text}).")


def _server_configuration(home: Home, configuration: ServerConfiguration | None, now: float) -> Light:
    told = home.read_json(STATUS) or {}
    applied, wanted, heard = told.get("applied", 0), told.get("wanted", 0), told.get("heard_at")
    problem = f" {told['problem']}" if told.get("problem") else ""
    if hindrance := home.cannot_write():
        return Light("configuration", "red", f"{hindrance} {UNWRITTEN}{problem}")
    if configuration is None:
        return Light("configuration", "red", f"There is no configuration on disk yet.{problem}")
    if heard is None or now - heard > CONSOLE_SECONDS:
        since = f"since {_moment(heard)}" if heard else "yet"
        return Light(
            "configuration",
            "red",
            f"The console was not heard {since}; working by version {configuration.version}.{problem}",
        )
    if told.get("behind", applied < wanted):
        reason = f"Version {applied} is in force, the console wants {wanted}.{problem}"
        return Light("configuration", "red", reason)
    return Light("configuration", "green", f"Version {applied} is in force, as the console wants.")


def _gateway_configuration(home: Home, configuration: GatewayConfiguration | None, now: float) -> Light:
    if hindrance := home.cannot_write():
        return Light("configuration", "red", f"{hindrance} {UNWRITTEN}")
    if configuration is None:
        problem = (home.read_json(STATUS) or {}).get("problem")
        return Light("configuration", "red", problem or "There is no configuration on disk yet.")
    # The agent sets the file's time whenever the console answers.
    heard = home.file(CONFIGURATION["gateway"]).stat().st_mtime
    version = configuration.version
    if heard <= 0:
        reason = "A newer configuration could not be written down; nobody new is let in until the console is heard."
        return Light("configuration", "red", reason)
    if now - heard > CONSOLE_SECONDS:
        reason = f"The console was not heard since {_moment(heard)}; working by version {version}."
        if now - heard > configuration.offline_seconds:
            reason += " That is too long: nobody new is let in."
        return Light("configuration", "red", reason)
    return Light("configuration", "green", f"Version {version} is in force; the console was heard just now.")


async def _clients(configuration: GatewayConfiguration | None) -> Light:
    if configuration is None:
        return Light("clients", "off", "There is no configuration on disk yet.")
    gateway = configuration.gateway
    listen = ipaddress.ip_address(gateway.listen)
    host = str(listen) if not listen.is_unspecified else ("127.0.0.1" if listen.version == 4 else "::1")
    where = f"port {gateway.client_port}"
    if await answers(host, gateway.client_port):
        return Light("clients", "green", f"Clients are taken on {where}.")
    return Light("clients", "red", f"Nobody listens for clients on {where}.")


async def _destinations(configuration: ServerConfiguration | None) -> Light:
    """Look whether applications answer at their origin, or at the address where that can be dialled."""
    applications = configuration.applications if configuration else ()
    targets = [target for each in applications for target in _targets(each)]
    chosen = targets[:PROBES]
    if not chosen:
        return Light("destinations", "off", "No application has an address that can be tried from here.")
    reached = await asyncio.gather(*(answers(host, port) for _, host, port in chosen))
    silent = [
        f"{name} at {host}:{port}"
        for (name, host, port), good in zip(chosen, reached, strict=True)
        if not good
    ]
    if silent:
        return Light("destinations", "red", f"No answer from {', '.join(silent)}.")
    return Light(
        "destinations", "green", f"{len(chosen)} of {len(targets)} addresses were tried; all answer."
    )


def _targets(application: ServedApplication) -> list[tuple[str, str, int]]:
    name, port = application.name, application.ports[0][0] if application.ports else 0
    if application.origin:
        parts = urlsplit(f"//{application.origin}")
        return [(name, parts.hostname or "", parts.port or port)]
    return [(name, each, port) for each in application.addresses if "*" not in each and "/" not in each]


def _moment(seconds: float) -> str:
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
