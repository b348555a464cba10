"""What the user asked for, read from the command line's words."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from edge.envoy.client import Forward


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

    @property
    def local_addresses(self) -> list[str]:
        """The addresses that this machine's programs are to use."""
        places = [self.listen] if self.listen else []
        places += [(forward.address, forward.port) for forward in self.forwards]
        return [f"{address}:{port}" for address, port in places]


def check(options: Options) -> None:
    """Refuse what fits together in no way. Raises `OptionError`."""
    if not options.console.startswith(("https://", "http://")):
        raise OptionError(f"--console {options.console!r} must begin with https://.")
    if options.listen is None and not options.forwards:
        raise OptionError("Nothing to do: give --listen, or --forward, or both.")
    if options.listen is None and options.pac is not None:
        raise OptionError("--pac needs --listen: a PAC file names the HTTP proxy.")
    places = options.local_addresses
    if twice := {place for place in places if places.count(place) > 1}:
        raise OptionError(f"{min(twice)} is given twice; every local port can be used once.")


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
