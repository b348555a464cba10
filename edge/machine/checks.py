"""Needs of a gateway or a server, each with the fix for what fails."""

import asyncio
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
from edge.machine.reach import answers
from edge.protocol.configuration import DialledGateway, ServerConfiguration

# Sessions and certificates are checked by both sides; the agent corrects its own calls, Envoy corrects nothing.
CLOCK_SECONDS = 120.0
OPEN_FILES = 65_536
WATCHES = 9  # descriptors that the Envoy of a server takes
FREE_BYTES = 500 * 2**20


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
    transport: httpx.AsyncBaseTransport | None = None,
    clock: Callable[[], float] = time.time,
) -> list[Check]:
    """Look at this machine and its ways to the console and, once enrolled, to every gateway."""
    found = [_open_files(), _watches(), _disk(home)]
    name = await _name("console's name", urlsplit(console).hostname or "")
    found.append(name)
    if name.severity == "ok":
        found += await _console(console, transport, clock)
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


async def _console(
    console: str, transport: httpx.AsyncBaseTransport | None, clock: Callable[[], float]
) -> list[Check]:
    try:
        async with httpx.AsyncClient(transport=transport, timeout=10.0) as client:
            response = await client.get(f"{console.rstrip('/')}/healthz")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        fix = f"Open the way to {console} in the firewall (TCP, outgoing), or name a proxy in HTTPS_PROXY."
        return [Check("console", "error", f"{console} cannot be reached: {error}.", fix)]
    found = [_clock(response, clock())]
    if response.status_code == 200:
        return [Check("console", "ok", f"{console} answers."), *found]
    fix = "Is this the console's address? If it is, look at the console's own log."
    return [Check("console", "error", f"{console} answers with status {response.status_code}.", fix), *found]


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
    name = await _name(what, host)
    if name.severity != "ok":
        return [name]
    if await answers(host, port):
        return [Check(what, "ok", f"{host}:{port} answers.")]
    fix = f"Open TCP from here to {host} port {port} in the firewall, and see that the gateway runs."
    return [Check(what, "warning", f"{host}:{port} does not answer.", fix)]
