"""Options of ``causeway connect``, read from the command line's words."""

import errno
import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

import httpx

from edge.access.decision import Destination
from edge.access.hosts import HostInvalid
from edge.envoy.client import Forward
from edge.errors import EdgeError
from edge.outbound.trust import read_ca


class OptionError(EdgeError, ValueError):
    """Error of an option; the message is a sentence that names the option and what is legal."""

    exit_code = 2


class PortProblem(EdgeError):
    """Error of a local port; the message is a sentence that says why and what to do."""


@dataclass(frozen=True)
class Options:
    """Options of the user. `trust`: PEM of a CA that the console's certificate may come from, besides the system's."""

    console: str
    instance: str
    username: str
    listen: tuple[str, int] | None
    forwards: tuple[Forward, ...]
    pac: Path | None = None
    pac_for: tuple[str, ...] = ()
    trust: str = ""

    @property
    def local_places(self) -> list[tuple[str, int]]:
        """Return address and port of each way in for this machine's programs."""
        places = [self.listen] if self.listen else []
        return places + [(forward.address, forward.port) for forward in self.forwards]


def check(options: Options) -> None:
    """Refuse options that do not fit together. Raises `OptionError`."""
    _check_console(options.console)
    for name, text in (("--instance", options.instance), ("--username", options.username)):
        if not text.strip():
            raise OptionError(f"{name} is empty.")
    if options.listen is None and not options.forwards:
        raise OptionError("Nothing to do: give --listen, or --forward, or both.")
    if options.listen is None and options.pac is not None:
        raise OptionError("--pac needs --listen: a PAC file names the HTTP proxy.")
    if options.listen is None and options.pac_for:
        raise OptionError("--pac-for needs --listen: a PAC file names the HTTP proxy.")
    places = options.local_places
    if twice := {place for place in places if places.count(place) > 1}:
        raise OptionError(f"{written(min(twice))} is given twice; every local port can be used once.")


def _check_console(console: str) -> None:
    example = "it must be an address like https://console.example.com."
    try:
        url = httpx.URL(console)
    except httpx.InvalidURL:
        raise OptionError(f"--console {console!r}: {example}") from None
    if url.scheme not in ("https", "http") or not url.host or url.userinfo or url.query or url.fragment:
        raise OptionError(f"--console {console!r}: {example}")
    if url.scheme == "http" and not (url.host == "localhost" or _is_loopback(url.host)):
        raise OptionError(
            f"--console {console!r}: by http:// everybody on the way could read the password; {example}"
        )


def check_ports(options: Options) -> None:
    """Refuse local ports that cannot be listened on. Raises `PortProblem`.

    Envoy itself would not notice another program on the port: on Linux several may share it when all of them agree.
    """
    for place in options.local_places:
        with socket.socket(socket.AF_INET6 if ":" in place[0] else socket.AF_INET) as probe:
            # As for Envoy, a port whose connections ended a moment ago is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(place)
            except OSError as error:
                raise PortProblem(_why_not(place, error)) from error


def _why_not(place: tuple[str, int], error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"The local port {written(place)} is taken by another program. Choose another one."
    if error.errno == errno.EACCES:
        return f"This user may not listen on {written(place)}. Choose a port from 1024 upwards."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"This machine has no address {place[0]}. Give 127.0.0.1, which is always there."
    return f"No program can listen on {written(place)}: {error.strerror or error}. Choose another port."


def written(place: tuple[str, int]) -> str:
    """Return ``address:port`` as it stands in an address line."""
    address, port = place
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def read_trust(file: Path) -> str:
    """Return a CA's certificates (PEM). Raises `OptionError`, or `OSError` when the file cannot be read."""
    try:
        return read_ca(file)
    except ValueError as error:
        raise OptionError(f"--ca-file {file}: {error}.") from None


def parse_listen(text: str) -> tuple[str, int]:
    """Read ``[ADDR:]PORT`` on loopback. Raises `OptionError`."""
    return _local(text, f"--listen {text!r}")


def parse_forward(text: str) -> Forward:
    """Read ``[ADDR:]PORT=HOST:PORT``. Raises `OptionError`."""
    option = f"--forward {text!r}"
    here, equals, there = text.partition("=")
    try:
        target = Destination.parse(there)
    except HostInvalid as error:
        raise OptionError(f"{option} must be like 5432=db.corp.example:5432. {error}") from None
    if not equals:
        raise OptionError(f"{option} must be like 5432=db.corp.example:5432.")
    address, port = _local(here, option)
    return Forward(address, port, target.host.text, target.port)


def _local(text: str, option: str) -> tuple[str, int]:
    address, _, port = text.rpartition(":")
    address = address.strip("[]") or "127.0.0.1"
    if not _is_loopback(address):
        raise OptionError(
            f"{option}: the local address must be a loopback one, such as 127.0.0.1; "
            "whoever reaches the address uses your session."
        )
    return address, _port(port, option)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


def _port(text: str, option: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise OptionError(f"{option}: a port must be a number from 1 to 65535.")
    return int(text)
