"""Addresses that a webhook may go to: the URL as text, and the machines that its host name stands for."""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from edge.outbound.policy import joined

LONGEST = 2000
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Addresses that IPv6 has given out so far. Site-local, IPv4-compatible and local NAT64 ones lie outside.
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressRefused(Exception):
    """Reason in a sentence why nothing is sent to an address."""


class HostUnknown(AddressRefused):
    """A host name that the console's resolver does not know."""


@dataclass(frozen=True)
class Target:
    """A parsed address: where to connect, what to ask for there, and the ``Host`` to name."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def shown(self) -> str:
        """Address without path and query, which may hold a password."""
        return f"{self.scheme}://{self.netloc}"

    @property
    def netloc(self) -> str:
        usual = {"https": 443, "http": 80}[self.scheme]
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == usual else f"{host}:{self.port}"

    def at(self, host: str) -> str:
        """Return the address with the host replaced, by one of its IP addresses mostly."""
        return f"{self.scheme}://{joined(host, self.port)}{self.path}"


def parse(url: str) -> Target:
    """Read the address of a webhook. Raises ``AddressRefused`` for any other text."""
    url = url.strip()
    if (
        len(url) > LONGEST
        or not url.isascii()
        or any(character <= " " or character == "\\" for character in url)
    ):
        raise AddressRefused(f"The address must be at most {LONGEST} ASCII characters without spaces.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise AddressRefused("The address must be like https://hooks.example.com/path.") from error
    _check_parts(parts, host)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or {"https": 443, "http": 80}[parts.scheme], path)


def _check_parts(parts: SplitResult, host: str) -> None:
    legal = ("https", "http") if settings.PUSH_ALLOW_PRIVATE else ("https",)
    if parts.scheme not in legal:
        raise AddressRefused(
            "The address must begin with https://; http:// is allowed only with CAUSEWAY_PUSH_ALLOW_PRIVATE."
        )
    if (
        not host
        or len(host) > 253
        or parts.fragment
        or parts.username is not None
        or parts.password is not None
    ):
        raise AddressRefused(
            "The address must name a host, and hold neither user name, password nor #fragment."
        )


def allowed(target: Target) -> list[Address]:
    """Return the IP addresses of a target's host to which the console may connect.

    The name is looked up anew for every attempt, and the connection goes to exactly these, so that a name which is
    answered differently the next moment leads nowhere else. Raises ``AddressRefused`` when there is none.
    """
    try:
        answers = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise HostUnknown(f"The host {target.host} could not be found.") from error
    found = [ipaddress.ip_address(str(answer[4][0]).partition("%")[0]) for answer in answers]
    usable = [
        address for address in dict.fromkeys(found) if settings.PUSH_ALLOW_PRIVATE or is_public(address)
    ]
    if not usable:
        raise AddressRefused(
            f"{target.host} is a private, loopback or link-local address. Such receivers are allowed only with "
            "CAUSEWAY_PUSH_ALLOW_PRIVATE."
        )
    return usable


def is_public(address: Address) -> bool:
    """Return whether an address lies in the internet at large; one that wraps another is judged by that as well."""
    inner: list[Address] = [address]
    if isinstance(address, ipaddress.IPv6Address):
        # Inner address of NAT64 and IPv4-mapped ones, which alone says where they lead.
        carried = (
            ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else address.ipv4_mapped
        )
        if carried is not None:
            inner = [carried]
        elif address not in GLOBAL_UNICAST:
            return False
        inner += [one for one in (address.sixtofour, *(address.teredo or ())) if one is not None]
    return all(one.is_global and not one.is_multicast and not one.is_unspecified for one in inner)
