"""Addresses and ports as people write them, turned into the one form in which gateways compare them.

The grammar is that of ``edge.access.hosts``: what is accepted here is exactly what a gateway can compile.
"""

import ipaddress
from itertools import pairwise

from edge.access.hosts import HostInvalid, parse_address, parse_host

MOST_ADDRESSES = 1000
Ports = tuple[int, int]
LOCAL = [
    ipaddress.ip_network(text)
    for text in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "::/127", "fe80::/10")
]


class AddressInvalid(ValueError):
    """Refusal of a text; the message is a sentence that names what was given and what is legal."""


def _shown(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "…"


def _is_local(address: str) -> bool:
    """Tell whether an address stands for the machine that dials, or for a link of that machine."""
    name = address.removeprefix("*.")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        network = ipaddress.ip_network(address)
    except ValueError:
        return False
    return any(network.version == local.version and network.subnet_of(local) for local in LOCAL)  # type: ignore[arg-type]


def normalised_address(text: str, *, allow_local: bool) -> str:
    """Return a host name, ``*.`` wildcard, IP address or CIDR in its one form. Raise AddressInvalid.

    ``allow_local``: whether loopback and link-local addresses are legal, as they are beside an origin only.
    """
    try:
        address = parse_address(text)
    except HostInvalid as error:
        raise AddressInvalid(str(error)) from error
    if not allow_local and _is_local(address):
        raise AddressInvalid(
            f"“{address}” is a loopback or link-local address, legal only for an application with an origin."
        )
    return address


def normalised_origin(text: str) -> str:
    """Return ``host`` or ``host:port`` in its one form, an IPv6 host in brackets. Raise AddressInvalid."""
    text = text.strip()
    host, colon, port = text, "", ""
    if text.startswith("["):
        host, bracket, rest = text.partition("]")
        host, colon, port = host + bracket, rest[:1], rest[1:]
    elif text.count(":") == 1:
        host, colon, port = text.partition(":")
    if colon not in ("", ":") or (colon and not port):
        raise AddressInvalid(f"Origin “{_shown(text)}” is not a host or host:port.")
    try:
        found = parse_host(host)
    except HostInvalid as error:
        raise AddressInvalid(f"Origin “{_shown(text)}” is not a host or host:port.") from error
    shown = f"[{found.text}]" if found.family == 6 else found.text
    return f"{shown}:{_port(port, port)}" if port else shown


def _port(text: str, shown: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0
    if not 1 <= port <= 65535:
        raise AddressInvalid(f"“{_shown(shown)}” is not a port from 1 to 65535.")
    return port


def parse_ports(text: str) -> list[Ports]:
    """Turn ``"80, 443, 8000-8010"`` into sorted ranges. Raise AddressInvalid, also for ranges that overlap."""
    parts = [part.strip() for part in text.replace("\n", ",").split(",")]
    ranges = []
    for part in filter(None, parts):
        low, dash, high = (piece.strip() for piece in part.replace("–", "-").partition("-"))
        begin = _port(low, part)
        ranges.append((begin, _port(high, part) if dash else begin))
    if not ranges:
        raise AddressInvalid("Give at least one port, such as 443 or 8000-8010.")
    return checked_ports(ranges)


def checked_ports(ranges: list[Ports]) -> list[Ports]:
    """Sort ranges. Raise AddressInvalid for an illegal one and for two that overlap."""
    for begin, end in ranges:
        if not 1 <= begin <= 65535 or not 1 <= end <= 65535:
            raise AddressInvalid(f"Ports {begin}-{end} are not from 1 to 65535.")
        if end < begin:
            raise AddressInvalid(f"Ports {begin}-{end} end before they begin.")
    ordered = sorted(ranges)
    for before, after in pairwise(ordered):
        if after[0] <= before[1]:
            raise AddressInvalid(f"Ports {shown_range(before)} and {shown_range(after)} overlap.")
    return ordered


def shown_range(ports: Ports) -> str:
    return str(ports[0]) if ports[0] == ports[1] else f"{ports[0]}-{ports[1]}"


def shown_ports(ranges: list[Ports]) -> str:
    return ", ".join(shown_range(ports) for ports in ranges)


def parse_addresses(text: str, *, allow_local: bool) -> list[str]:
    """Read addresses, one a line or separated by commas. Raise AddressInvalid that names the line."""
    found: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        for part in filter(None, (piece.strip() for piece in line.split(","))):
            try:
                address = normalised_address(part, allow_local=allow_local)
            except AddressInvalid as error:
                raise AddressInvalid(f"Line {number}: {error}") from error
            if address in found:
                raise AddressInvalid(
                    f"Line {number}: “{address}” was given before, in line {found[address]}."
                )
            found[address] = number
    if not found:
        raise AddressInvalid("Give at least one address.")
    return list(found)
