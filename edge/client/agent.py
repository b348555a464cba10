"""``causeway connect`` at work: log on, keep a local Envoy, keep the session, say why when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import random
import re
import signal
import ssl
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from edge.api import ApiRefused, Caller, ConsoleUnreachable
from edge.client.session import Grant, Session, SessionEnded
from edge.envoy.client import GATEWAYS, TOKEN_FILE, Forward, bootstrap, token_file
from edge.envoy.process import EnvoyError, EnvoyProcess
from edge.home import Home

logger = logging.getLogger(__name__)

WATCH_SECONDS = 1.0
RETRY_SECONDS = 15.0


class Exit(IntEnum):
    """Exit codes of ``causeway connect``."""

    DONE = 0
    FAILED = 1
    REFUSED = 2
    ENDED = 3
    UNREACHABLE = 4


class OptionError(ValueError):
    """An option cannot be used; the message is a sentence that names it and what is legal."""


@dataclass(frozen=True)
class Options:
    """What the user asked for. `trust`: PEM of the CA to trust instead of what the console names."""

    console: str
    instance: str
    username: str
    listen: tuple[str, int] | None
    forwards: tuple[Forward, ...]
    pac: Path | None = None
    pac_domains: tuple[str, ...] = ()
    trust: str | None = None


def parse_listen(text: str) -> tuple[str, int]:
    """Read ``[ADDR:]PORT`` on loopback. Raises `OptionError`."""
    address, _, port = text.rpartition(":")
    address = address.strip("[]") or "127.0.0.1"
    try:
        loopback = ipaddress.ip_address(address).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise OptionError(
            f"{text!r}: the local address must be a loopback one, such as 127.0.0.1; "
            "whoever reaches it uses your session."
        )
    return address, _port(port, text)


def parse_forward(text: str) -> Forward:
    """Read ``[ADDR:]PORT=HOST:PORT``. Raises `OptionError`."""
    here, equals, there = text.partition("=")
    host, colon, target = there.rpartition(":")
    if not equals or not colon or not re.fullmatch(r"[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]", host):
        raise OptionError(f"--forward {text!r} must be like 5432=db.corp.example:5432.")
    address, port = parse_listen(here)
    return Forward(address, port, host.strip("[]"), _port(target, text))


def _port(text: str, whole: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise OptionError(f"{whole!r}: a port must be a number from 1 to 65535.")
    return int(text)


def pac_file(listen: tuple[str, int], domains: Sequence[str]) -> str:
    """Return a proxy auto-configuration: the `domains` (all, when none are named) go through the proxy."""
    proxy = json.dumps(f"PROXY {listen[0]}:{listen[1]}")
    if not domains:
        test = "!isPlainHostName(host)"
    else:
        tests = [
            f"host == {json.dumps(name)} || dnsDomainIs(host, {json.dumps('.' + name)})" for name in domains
        ]
        test = " || ".join(tests)
    return f'function FindProxyForURL(url, host) {{\n  return ({test}) ? {proxy} : "DIRECT";\n}}\n'


async def run_connect(options: Options, password: str, say: Callable[[str], None]) -> int:
    """Log on, serve until SIGINT or SIGTERM or the end of the session; return an `Exit` code."""
    verify: ssl.SSLContext | bool = True
    if options.trust is not None:
        verify = ssl.create_default_context(cadata=options.trust)
    async with Caller(options.console, verify=verify) as api:
        session = Session(api)
        try:
            grant = await session.log_on(options.instance, options.username, password)
        except ApiRefused as error:
            say(error.message)
            return Exit.REFUSED
        except ConsoleUnreachable as error:
            say(str(error))
            return Exit.UNREACHABLE
        except (KeyError, TypeError, ValueError):
            say("The console's answer cannot be read; is it as new as this program?")
            return Exit.FAILED
        try:
            return await _serve(options, session, grant, say)
        finally:
            await session.log_off()


async def _serve(options: Options, session: Session, grant: Grant, say: Callable[[str], None]) -> int:
    if not grant.gateways:
        say("There is no gateway in the area of this instance.")
        return Exit.FAILED
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with tempfile.TemporaryDirectory(prefix="causeway-connect-") as folder:
        home = Home(folder)
        home.write_atomic(TOKEN_FILE, token_file(grant.token))
        envoy = EnvoyProcess(home.path, concurrency=1)
        ca = options.trust or grant.ca
        try:
            await envoy.start(bootstrap(options.listen, options.forwards, grant.gateways, ca=ca))
        except EnvoyError as error:
            say(_why_not(options, error))
            await envoy.stop()
            return Exit.FAILED
        try:
            _announce(options, grant, say)
            return await _keep(session, envoy, home, stop, say)
        finally:
            await envoy.stop()


async def _keep(
    session: Session, envoy: EnvoyProcess, home: Home, stop: asyncio.Event, say: Callable[[str], None]
) -> int:
    """Keep Envoy and the session alive until the user or the console ends it."""
    guard = asyncio.create_task(envoy.run_forever())
    refused, retry_at = 0, 0.0
    clock = asyncio.get_running_loop().time
    try:
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), min(WATCH_SECONDS, session.seconds_to_renewal + 0.1))
                break
            # A gateway that no longer accepts the token knows before we would ask.
            now_refused = await _refusals(envoy)
            doubted, refused = now_refused > refused, now_refused
            if (session.seconds_to_renewal > 0 and not doubted) or clock() < retry_at:
                continue
            try:
                grant = await session.renew()
                home.write_atomic(TOKEN_FILE, token_file(grant.token))
            except SessionEnded as error:
                say(str(error))
                return Exit.ENDED
            except (ConsoleUnreachable, ApiRefused) as error:
                logger.warning("The session could not be renewed yet: %s", error)
                retry_at = clock() + RETRY_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311
    finally:
        guard.cancel()
    return Exit.DONE


async def _refusals(envoy: EnvoyProcess) -> int:
    """Return how often a gateway has answered 407."""
    with contextlib.suppress(EnvoyError):
        answer = json.loads(
            await envoy.admin(f"/stats?format=json&filter=^cluster.{GATEWAYS}.upstream_rq_407$")
        )
        return sum(int(each["value"]) for each in answer["stats"] if "value" in each)
    return 0


def _announce(options: Options, grant: Grant, say: Callable[[str], None]) -> None:
    say(
        f"Logged on as {grant.username} of {grant.instance}"
        + (f", client IP {grant.client_ip}." if grant.client_ip else ".")
    )
    if options.listen is not None:
        say(f"HTTP proxy: http://{options.listen[0]}:{options.listen[1]}")
        if options.pac is not None:
            options.pac.write_text(pac_file(options.listen, options.pac_domains))
            say(f"Proxy auto-configuration: {options.pac}")
    for forward in options.forwards:
        say(f"{forward.address}:{forward.port} leads to {forward.host}:{forward.target}.")
    say("Press Ctrl-C to log off.")


def _why_not(options: Options, error: EnvoyError) -> str:
    if "Address already in use" in str(error) or "cannot bind" in str(error):
        places = [options.listen] if options.listen else []
        places += [(forward.address, forward.port) for forward in options.forwards]
        ports = ", ".join(f"{address}:{port}" for address, port in places)
        return f"A local port is taken by another program (one of {ports}). Choose another one."
    return str(error)
