"""Where a webhook may go: its address as text, and the machines that its host name stands for."""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

LONGEST = 2000
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# All that IPv6 has given out so far. Site-local, IPv4-compatible and local NAT64 addresses lie outside.
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressRefused(Exception):
    """Says in a sentence why nothing is sent there."""


@dataclass(frozen=True)
class Target:
    """A parsed address: where to connect, what to ask for there, and the ``Host`` to name."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def shown(self) -> str:
        """Without path and query, which may hold a password."""
        return f"{self.scheme}://{self.netloc}"

    @property
    def netloc(self) -> str:
        usual = {"https": 443, "http": 80}[self.scheme]
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == usual else f"{host}:{self.port}"

    def at(self, address: Address) -> str:
        """The same address with the host replaced by one of its IP addresses."""
        host = f"[{address}]" if address.version == 6 else str(address)
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def parse(url: str) -> Target:
    """Raises ``AddressRefused`` for what is no address of a webhook."""
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
    """The IP addresses of a target's host to which we may connect.

    Asked anew for every attempt, and the connection goes to exactly these, so that a name which is answered
    differently the next moment leads nowhere else. Raises ``AddressRefused`` when there is none.
    """
    try:
        answers = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressRefused(f"The host {target.host} could not be found.") from error
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
    """Whether an address lies in the internet at large; one that wraps another is judged by that as well."""
    inner: list[Address] = [address]
    if isinstance(address, ipaddress.IPv6Address):
        # Of these two nothing but the inner address says where they lead.
        carried = (
            ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else address.ipv4_mapped
        )
        if carried is not None:
            inner = [carried]
        elif address not in GLOBAL_UNICAST:
            return False
        inner += [one for one in (address.sixtofour, *(address.teredo or ())) if one is not None]
    return all(one.is_global and not one.is_multicast and not one.is_unspecified for one in inner)
