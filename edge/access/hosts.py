"""Host names and IP addresses: one way to write each, so that comparing them is comparing strings or integers."""

import ipaddress
import re
import socket
from dataclasses import dataclass

import idna

# Underscores are illegal in host names by the letter, but are met in practice (service records, Windows names).
_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_BITS = {4: 32, 6: 128}


class HostInvalid(ValueError):
    """Error about a text that is neither a host name nor an IP address; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Host:
    """Host of a destination. ``family`` is 4 or 6 for an IP address with its ``value``, 0 for a name.

    ``least_prefix``: a network must be at least this long to count as naming the address, so that ``0.0.0.0/0`` does
    not open the machine itself: loopback and link-local addresses are only reached when they are named explicitly.
    """

    text: str
    family: int = 0
    value: int = 0
    least_prefix: int = 0


@dataclass(frozen=True, slots=True)
class Network:
    family: int
    value: int
    prefix: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """Meaning of an application's address: a ``name``, a ``suffix`` (``*.`` removed) or a ``network``."""

    name: str | None = None
    suffix: str | None = None
    network: Network | None = None


def parse_host(text: str) -> Host:
    """Return the canonical host: lower case, no trailing dot, IDNA, IPv4-mapped IPv6 as IPv4. Raises HostInvalid."""
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
        if ":" not in text:
            raise HostInvalid("Brackets are only for IPv6 addresses.")
    try:
        return _ipv4(int.from_bytes(socket.inet_pton(socket.AF_INET, text)))
    except (OSError, ValueError):
        pass
    if ":" in text:
        return _parse_ipv6(text)
    return Host(parse_name(text))


def parse_name(text: str) -> str:
    """Return a host name in its one form: lower case, no trailing dot, IDNA. Raises HostInvalid."""
    name = text.removesuffix(".").lower()
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii").lower()
        except idna.IDNAError:
            raise HostInvalid(f"{_shown(text)} is not a valid international host name.") from None
    if not _NAME.fullmatch(name):
        raise HostInvalid(f"{_shown(text)} is neither a host name nor an IP address.")
    return name


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 80 else text[:77] + "...")


def _ipv4(value: int) -> Host:
    first = value >> 24
    least = 8 if first in (127, 0) else 16 if value >> 16 == 0xA9FE else 0
    return Host(f"{first}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}", 4, value, least)


def _parse_ipv6(text: str) -> Host:
    try:
        value = int.from_bytes(socket.inet_pton(socket.AF_INET6, text))
    except (OSError, ValueError):
        raise HostInvalid(f"{_shown(text)} is not a valid IPv6 address.") from None
    if value >> 32 == 0xFFFF:  # IPv4-mapped: the same machine as the IPv4 address, so the same rules
        return _ipv4(value & 0xFFFFFFFF)
    least = 128 if value <= 1 else 10 if value >> 118 == 0xFE80 >> 6 else 0
    return Host(str(ipaddress.IPv6Address(value)), 6, value, least)


def parse_network(text: str) -> Network:
    """Read a CIDR or a single address. Raises HostInvalid, also when bits are set beyond the prefix."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        raise HostInvalid(f"{_shown(text)} is not an IP address or a network in CIDR notation.") from None
    return Network(network.version, int(network.network_address), network.prefixlen)


def parse_pattern(text: str) -> Pattern:
    """Read an application's address: host name, ``*.`` wildcard, IP address or CIDR. Raises HostInvalid."""
    if text.startswith("*."):
        return Pattern(suffix=parse_name(text[2:]))
    if "/" in text:
        return Pattern(network=parse_network(text))
    host = parse_host(text)
    if host.family:
        return Pattern(network=Network(host.family, host.value, _BITS[host.family]))
    return Pattern(name=host.text)


def mask(family: int, value: int, prefix: int) -> int:
    """Return the network part of an address."""
    shift = _BITS[family] - prefix
    return value >> shift << shift
