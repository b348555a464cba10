"""Run of ``causeway connect``: log on, keep a local Envoy and the session, say why the session ends."""

import asyncio
import contextlib
import signal
import tempfile
from enum import IntEnum
from pathlib import Path

from edge.access.pac import PATH as PAC_PATH
from edge.client.events import Events, plain
from edge.client.gateways import hindrance, nearest_first, proxies_of
from edge.client.keeper import Keeper
from edge.client.options import Options, PortProblem, check_ports, written
from edge.client.pac import Pac
from edge.client.password import KeyringProblem, Password, save
from edge.client.session import Grant, Session, SessionEnded
from edge.client.watchdog import Watchdog
from edge.envoy import halfclose, proxied
from edge.envoy.client import ARGUMENTS, CA_FILE, TOKEN_FILE, bootstrap, ca_file, token_file
from edge.envoy.process import EnvoyError, EnvoyProcess
from edge.home import Home
from edge.machine.api import ApiRefused, Caller, ConsoleUnreachable
from edge.protocol.codes import Code

# Word of `edge.machine.api` for an answer that is none of a console's.
NOT_A_CONSOLE = "Refused"
REMEDY = (
    "If the console's certificate comes from a CA of your own, name the CA's file with --ca-file, or put the CA into "
    "this system's trust store."
)
LOG_OFF_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Exit(IntEnum):
    """Exit codes of ``causeway connect``; 2 is the command line's own, for options it does not know."""

    LOGGED_OFF = 0
    FAILED = 1
    ENDED = 3
    UNREACHABLE = 4
    REFUSED = 5


async def run_connect(options: Options, password: Password, events: Events) -> int:
    """Log on, serve until SIGINT, SIGTERM, SIGHUP or the end of the session; return an `Exit` code."""
    async with Caller(options.console, ca=options.trust, remedy=REMEDY) as api:
        session = Session(api)
        try:
            grant = await session.log_on(options.instance, options.username, password.text)
        except ApiRefused as error:
            return _refused(options, password, error, events)
        except ConsoleUnreachable as error:
            events.tell("unreachable", plain(error))
            return Exit.UNREACHABLE
        except (KeyError, TypeError, ValueError):
            events.tell(
                "failed", "The console's answer cannot be read; is the console as new as this program?"
            )
            return Exit.FAILED
        try:
            await _keep_password(password, events)
            return await _serve(options, session, grant, events)
        finally:
            await session.log_off()


def _refused(options: Options, password: Password, error: ApiRefused, events: Events) -> int:
    if error.code == NOT_A_CONSOLE:
        sentence = f"What answers at {options.console} is no console: its status is {error.status}."
        events.tell("unreachable", sentence)
        return Exit.UNREACHABLE
    sentence = error.message
    if password.stored and password.entry is not None and error.code == Code.LOGON_REFUSED:
        command = password.entry.command("set")
        sentence = f"{sentence} The password is the one in the keyring; change it there with: {command}"
    events.tell("refused", sentence, code=error.code, retry_after=error.retry_after)
    return Exit.REFUSED


async def _keep_password(password: Password, events: Events) -> None:
    """Save a typed password, once the console has accepted the password. The session goes on in any case."""
    if password.entry is None or password.stored:
        return
    place = {"service": password.entry.service, "username": password.entry.username}
    try:
        # A keyring may ask its user first, for as long as that takes.
        await asyncio.to_thread(save, password)
    except KeyringProblem as error:
        events.tell("password_not_saved", str(error), **place)
    else:
        events.tell("password_saved", "The password is in the keyring now.", **place)


async def _serve(options: Options, session: Session, grant: Grant, events: Events) -> int:
    if not grant.gateways:
        events.tell("failed", "There is no gateway in the area of this instance. Ask your administrator.")
        return Exit.FAILED
    stop = asyncio.Event()
    for number in LOG_OFF_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    gateways, reachable = await nearest_first(grant.gateways, last=grant.draining)
    if not reachable:
        why = await hindrance(gateways[0])
        events.tell("gateway_lost", f"No gateway can be reached at present; trying again.{why and f' {why}'}")
    folder = Path(tempfile.mkdtemp(prefix="causeway-connect-"))
    with Watchdog(folder):
        home, pac = Home(folder), Pac(options, folder)
        home.write_atomic(TOKEN_FILE, token_file(grant.token))
        home.write_atomic(CA_FILE, ca_file(grant.ca))
        # Each thread has its own connection to the gateway, and another thread there: several fast flows get both.
        envoy = EnvoyProcess(home.path, concurrency=2, arguments=ARGUMENTS)
        await asyncio.to_thread(
            halfclose.hindrance
        )  # asking Envoy takes a moment; `bootstrap` has the answer then
        try:
            proxies = proxies_of(gateways)
            for proxy in proxies.values():
                home.write_atomic(proxied.FILE, proxied.secret_file(proxy))
            folder_key = str(home.path)
            # Before the proxy, which may be asked for the file as soon as it listens.
            async with pac.serving():
                await envoy.start(bootstrap(options.listen, options.forwards, gateways, proxies, folder_key))
                await pac.refresh()
                _announce(options, grant, gateways, events)
                keeper = Keeper(session, home, events, pac, reachable=reachable)
                return await _keep(keeper, envoy, stop, events)
        except EnvoyError as error:
            events.tell("failed", _why_not(options, error))
            return Exit.FAILED
        finally:
            await envoy.stop()


async def _keep(keeper: Keeper, envoy: EnvoyProcess, stop: asyncio.Event, events: Events) -> int:
    """Keep Envoy and the session alive until the user or the console ends it."""
    stopped = asyncio.create_task(stop.wait())
    tasks = [asyncio.create_task(envoy.run_forever()), asyncio.create_task(keeper.run())]
    try:
        done, _ = await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopped}:
            task.result()
    except SessionEnded as error:
        events.tell("ended", str(error))
        return Exit.ENDED
    finally:
        for task in [stopped, *tasks]:
            task.cancel()
        with contextlib.suppress(SessionEnded):
            await asyncio.gather(stopped, *tasks, return_exceptions=True)
    events.tell("logged_off", "Logged off.")
    return Exit.LOGGED_OFF


def _announce(options: Options, grant: Grant, gateways: list[str], events: Events) -> None:
    address = f", client IP {grant.client_ip}." if grant.client_ip else "."
    events.tell(
        "logged_on",
        f"Logged on as {grant.username} of {grant.instance}{address}",
        username=grant.username,
        instance=grant.instance,
        client_ip=grant.client_ip,
        expires_at=grant.expires_at,
        gateways=gateways,
    )
    if options.listen is not None:
        place = written(options.listen)
        events.tell("proxy", f"HTTP proxy: http://{place}", address=place)
        url = f"http://{place}{PAC_PATH}"
        file = str(options.pac) if options.pac is not None else None
        also = f", and the file {file}" if file else ""
        events.tell("pac", f"Proxy auto-configuration: {url}{also}", url=url, file=file)
    for forward in options.forwards:
        here, there = written((forward.address, forward.port)), written((forward.host, forward.target))
        events.tell("forward", f"{here} leads to {there}.", address=here, to=there)
    events.tell("ready", "Press Ctrl-C to log off.")


def _why_not(options: Options, error: EnvoyError) -> str:
    """Return why Envoy did not start: most often another program was quicker with a port."""
    try:
        check_ports(options)
    except PortProblem as problem:
        return str(problem)
    return str(error)
