"""Needs of a gateway or a server, each with the fix for what fails."""

import asyncio
import contextlib
import ctypes
import os
import resource
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx

from edge.envoy import halfclose
from edge.home import Home
from edge.machine.enrollment import kept
from edge.machine.reach import SECONDS
from edge.outbound.certificates import refused_certificate
from edge.outbound.dialling import touch
from edge.outbound.errors import OutboundError
from edge.outbound.http import client, failure, place_of, refused_by_proxy
from edge.outbound.policy import Proxy, proxy_for, tunnel_proxy
from edge.protocol.configuration import DialledGateway, ServerConfiguration

# Sessions and certificates are checked by both sides; the agent corrects its own calls, Envoy corrects nothing.
CLOCK_SECONDS = 120.0
OPEN_FILES = 65_536
WATCHES = 9  # descriptors that the Envoy of a server takes
FREE_BYTES = 500 * 2**20
VARIABLE_FIX = "Correct the variable in the environment of this machine, or have the proxy allow the way."
CERTIFICATE_FIX = (
    "If the certificate comes from a CA of your own, name the CA's file with --ca-file, or put the CA into this "
    "system's trust store; SSL_CERT_FILE names another store."
)


@dataclass(frozen=True)
class Check:
    """`severity`: ``ok``, ``warning`` (it runs, but not well), ``error`` (it cannot). `fix` is empty when ok."""

    name: str
    severity: str
    finding: str
    fix: str = ""


async def checks(
    console: str,
    home: Home,
    *,
    ca: str | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    clock: Callable[[], float] = time.time,
) -> list[Check]:
    """Look at this machine and its ways to the console and, once enrolled, to every gateway.

    `ca`: PEM of the CA of the console's certificate; else that of the home.
    """
    found = [_open_files(), _watches(), _disk(home)]
    found += await _way(console, home.console_ca if ca is None else ca, transport, clock)
    if home.enrolled and home.identity.kind == "server":
        found.append(await asyncio.to_thread(_module))
        configuration = kept(home, ServerConfiguration)
        gateways = configuration.gateways if configuration else ()
        ways = await asyncio.gather(*(_gateway(each) for each in gateways))
        found += [check for way in ways for check in way]
    return found


def _open_files() -> Check:
    """Check the shell's limit: Envoy needs two files for each flow. The limit of a service stands in its unit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= OPEN_FILES:
        return Check("open files", "ok", f"The limit of open files is {soft}.")
    if hard == resource.RLIM_INFINITY or hard >= OPEN_FILES:
        fix = f"Run 'ulimit -n {OPEN_FILES}' first. The systemd service sets its own limit."
    else:
        fix = (
            f"Add '* - nofile {OPEN_FILES}' to /etc/security/limits.conf and log in again. "
            "The systemd service sets its own limit."
        )
    return Check("open files", "warning", f"The limit of open files is {soft}; each flow takes two.", fix)


def _watches() -> Check:
    """Check inotify, by which Envoy watches its files: without a free instance Envoy ends at once."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "inotify_init1"):
        return Check("file watches", "ok", "This system has no limit of watched files.")
    descriptors = [libc.inotify_init1(os.O_CLOEXEC) for _ in range(WATCHES)]
    for descriptor in descriptors:
        if descriptor >= 0:
            os.close(descriptor)
    if min(descriptors) >= 0:
        return Check("file watches", "ok", "Envoy can watch its files.")
    fix = (
        "Run 'sysctl -w fs.inotify.max_user_instances=1024', and write it to /etc/sysctl.d/60-causeway.conf."
    )
    return Check("file watches", "error", "This user has no inotify instance left, which Envoy needs.", fix)


def _module() -> Check:
    """Check the module that makes the ends of flows exact; a server works without the module."""
    name, hindrance = "byte-exact ends", halfclose.hindrance()
    if not hindrance:
        return Check(name, "ok", "Envoy loads the module for byte-exact ends.")
    fix = (
        f"{halfclose.CONSEQUENCE} Install a wheel that has the module for this machine (docs/operations.md)."
    )
    return Check(name, "warning", hindrance, fix)


def _disk(home: Home) -> Check:
    folder = next(each for each in (home.path, *home.path.parents) if each.exists())
    free = shutil.disk_usage(folder).free
    finding = f"{folder} has {free // 2**20} MiB free."
    if free >= FREE_BYTES:
        return Check("disk", "ok", finding)
    fix = f"Free some space, or give another folder with --home; {FREE_BYTES // 2**20} MiB are needed."
    return Check("disk", "warning" if free > FREE_BYTES // 10 else "error", finding, fix)


async def _name(what: str, host: str) -> Check:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        fix = f"Check /etc/resolv.conf, or add {host} to /etc/hosts."
        return Check(what, "error", f"{host} cannot be resolved: {error}.", fix)
    return Check(what, "ok", f"{host} is {', '.join(sorted({str(each[4][0]) for each in found}))}.")


async def _way(
    console: str, ca: str, transport: httpx.AsyncBaseTransport | None, clock: Callable[[], float]
) -> list[Check]:
    """Check the way to the console: the variables, then the name of who is dialled, then a call."""
    try:
        proxy = proxy_for(*place_of(console))
    except OutboundError as error:
        return [Check("proxy", "error", f"{error}", VARIABLE_FIX)]
    except (httpx.InvalidURL, ValueError):
        proxy = None
    found = [_tunnels(proxy)] if proxy else []
    host = proxy.host if proxy else urlsplit(console).hostname or ""
    name = await _name("proxy's name" if proxy else "console's name", host)
    found.append(name)
    return found + (await _console(console, ca, transport, clock) if name.severity == "ok" else [])


def _tunnels(proxy: Proxy) -> Check:
    """Say before the enrollment whether tunnels to gateways, whose names are not known yet, could go by the proxy."""
    finding = f"This machine goes out by the proxy {proxy.shown} of {proxy.variable}"
    try:
        tunnel_proxy("the gateways", 443)
    except OutboundError as error:
        return Check("proxy", "warning", f"{finding}; a connector server's tunnels cannot.", str(error))
    return Check("proxy", "ok", f"{finding}.")


async def _console(
    console: str, ca: str, transport: httpx.AsyncBaseTransport | None, clock: Callable[[], float]
) -> list[Check]:
    url, lead = f"{console.rstrip('/')}/healthz", f"{console} cannot be reached"
    try:
        async with client(console, ca=ca, transport=transport, timeout=10.0) as caller:
            response = await caller.get(url)
    except (httpx.HTTPError, OutboundError) as error:
        told = await failure(error, console, lead=lead, remedy="")
        return [Check("console", "error", told.strip(), _fix(console, error))]
    except httpx.InvalidURL as error:
        return [
            Check(
                "console", "error", f"{lead}: {error}.", "Give an address like https://console.example.com."
            )
        ]
    if refusal := refused_by_proxy(response):
        return [Check("console", "error", f"{lead}: {refusal}", VARIABLE_FIX)]
    found = [_clock(response, clock())]
    if response.status_code == 200:
        return [Check("console", "ok", f"{console} answers."), *found]
    fix = "Is this the console's address? If it is, look at the console's own log."
    return [Check("console", "error", f"{console} answers with status {response.status_code}.", fix), *found]


def _fix(console: str, error: Exception) -> str:
    """Return the fix for a console that cannot be reached, by what stands in the way."""
    if not isinstance(error, httpx.ProxyError) and refused_certificate(error) is not None:
        return CERTIFICATE_FIX
    with contextlib.suppress(OutboundError):
        if isinstance(error, OutboundError) or proxy_for(*place_of(console)):
            return VARIABLE_FIX
    return f"Open the way to {console} in the firewall (TCP, outgoing), or name a proxy in HTTPS_PROXY."


def _clock(response: httpx.Response, now: float) -> Check:
    try:
        offset = now - parsedate_to_datetime(response.headers["date"]).timestamp()
    except (KeyError, ValueError):
        return Check(
            "clock",
            "warning",
            "The console did not tell its time.",
            "Compare this machine's clock with the console's by hand.",
        )
    if abs(offset) <= CLOCK_SECONDS:
        return Check("clock", "ok", f"The clock is within {max(1, round(abs(offset)))} s of the console's.")
    direction = "ahead of" if offset > 0 else "behind"
    return Check(
        "clock",
        "error",
        f"The clock is {abs(offset):.0f} s {direction} the console's; certificates would be refused.",
        "Set it by network time: 'timedatectl set-ntp true', or 'chronyd -q', or on macOS 'sntp -sS time.apple.com'.",
    )


async def _gateway(gateway: DialledGateway) -> list[Check]:
    what, host, port = f"gateway {gateway.id}", gateway.host, gateway.port
    try:
        proxy = tunnel_proxy(host, port)
        if proxy is None and (name := await _name(what, host)).severity != "ok":
            return [name]
        await touch(host, port, SECONDS)
    except OutboundError as error:
        return [Check(what, "error", str(error), VARIABLE_FIX)]
    except (OSError, ValueError):
        fix = f"Open TCP from here to {host} port {port} in the firewall, and see that the gateway runs."
        return [Check(what, "warning", f"{host}:{port} does not answer.", fix)]
    by = f" by the proxy {proxy.shown} of {proxy.variable}" if proxy else ""
    return [Check(what, "ok", f"{host}:{port} answers{by}.")]
