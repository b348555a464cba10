"""Host names and IP addresses: one way to write each, so that comparing them is comparing strings or integers."""

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

import idna

# Underscores are illegal in host names by the letter, but are met in practice (service records, Windows names).
_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_NUMBER, _HEXADECIMAL = re.compile(r"[0-9]+"), re.compile(r"(.*\.)?0[xX][0-9A-Fa-f]*\.?")
_BITS = {4: 32, 6: 128}
_MAPPED = 0xFFFF << 32  # the begin of ::ffff:0:0/96, IPv4 addresses written as IPv6


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

    def __str__(self) -> str:
        """Return the address in the one form in which it is kept."""
        if self.network is None:
            return f"*.{self.suffix}" if self.suffix is not None else str(self.name)
        family, value, prefix = self.network.family, self.network.value, self.network.prefix
        address = ipaddress.IPv4Address(value) if family == 4 else ipaddress.IPv6Address(value)
        return str(address) if prefix == _BITS[family] else f"{address}/{prefix}"


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
    name = (text.lower() if text.isascii() else _international(text)).removesuffix(".")
    if not _NAME.fullmatch(name):
        raise HostInvalid(f"{_shown(text)} is neither a host name nor an IP address.")
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        # No top-level domain is a number: resolvers and browsers take such a text for an IPv4 address written oddly.
        raise HostInvalid(f"{_shown(text)} is not an IPv4 address: four numbers from 0 to 255.")
    return name


def _international(text: str) -> str:
    """Write each label that needs it as IDNA does; the others stay, so that they may have an underscore."""
    try:
        labels = idna.uts46_remap(text, std3_rules=False).split(".")
        return ".".join(label if label.isascii() else idna.alabel(label).decode() for label in labels)
    except (idna.IDNAError, UnicodeError):
        raise HostInvalid(f"{_shown(text)} is not a valid international host name.") from None


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
        scoped = "%" in text
    except ValueError:
        scoped = True
    if scoped:
        raise HostInvalid(f"{_shown(text)} is not an IP address or a network in CIDR notation.")
    value, prefix = int(network.network_address), network.prefixlen
    if network.version == 6 and prefix >= 96 and value >> 32 == _MAPPED >> 32:
        return Network(4, value & 0xFFFFFFFF, prefix - 96)
    return Network(network.version, value, prefix)


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


def parse_address(text: str) -> str:
    """Return an application's address in its one form. Raises HostInvalid; the sentence says what is legal instead."""
    text = text.strip()
    try:
        if _HEXADECIMAL.fullmatch(text):  # a name to gateways, an IPv4 address to a server's resolver
            raise HostInvalid("This is an IPv4 address written oddly.")
        return str(parse_pattern(text))
    except HostInvalid as error:
        raise HostInvalid(f"{_quoted(text)} {_why_not(text, error)}") from None


def _why_not(text: str, error: HostInvalid) -> str:
    """Say why a text is no address, with the address that was probably meant."""
    if "://" in text:
        host = _host_of(text)
        return f"is a URL; write its host name alone{f': {host}' if host else ''}."
    if text.startswith(".") and _is_pattern(f"*{text}"):
        return f"begins with a dot; all names below are *{text}."
    name, colon, port = text.rpartition(":")
    if colon and port.isdigit() and _is_pattern(name):
        return f"has a port; the address is {name} alone."
    if "%" in text and ":" in text:
        return "has a zone, which counts on one machine only; write the IPv6 address without it."
    if "/" in text:
        return _why_no_network(text)
    if "IPv4" in str(error):
        return "is not an IPv4 address: four numbers from 0 to 255."
    return "is not a host name, a wildcard such as *.example.com, an IP address or a CIDR block."


def _why_no_network(text: str) -> str:
    host = text.partition("/")[0]
    if not host.replace(".", "").isdigit() and ":" not in host and _is_pattern(host):
        return f"has a path; the address is {host} alone."
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return "is not a CIDR block such as 10.0.0.0/8."
    return f"has bits beyond its prefix; {network} would be the block."


def _host_of(text: str) -> str:
    """Return the host of a URL in its one form; empty when it has none."""
    try:
        return parse_host(urlsplit(text).hostname or "").text
    except ValueError:
        return ""


def _is_pattern(text: str) -> bool:
    try:
        parse_pattern(text)
    except HostInvalid:
        return False
    return True


def _quoted(text: str) -> str:
    return f"“{text if len(text) <= 80 else text[:77] + '…'}”"


def mask(family: int, value: int, prefix: int) -> int:
    """Return the network part of an address."""
    shift = _BITS[family] - prefix
    return value >> shift << shift
