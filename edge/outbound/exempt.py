"""Hosts that no proxy is for: this machine itself, and what ``NO_PROXY`` lists.

An entry is a host name (with all names below it), an IP address, a network such as ``10.0.0.0/8`` or ``fd00::/8``, a
pattern such as ``192.168.*``, or ``*`` for everything. A port may follow: ``corp.example:8443``, ``[fd00::1]:8443``.
Networks and addresses are compared with addresses alone: no name is looked up for them.
"""

import ipaddress
import re
from fnmatch import fnmatchcase

from edge.outbound.errors import OutboundError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_WITH_PORT = re.compile(r"(?P<host>\[[^\]]+\]|[^\[\]:/]+):(?P<port>\d{1,5})")
_NAME = re.compile(r"[\w.*-]+")


def is_own(host: str) -> bool:
    """Tell whether a host is this machine: by a loopback address or as ``localhost``, where a proxy finds itself."""
    address = _address(host)
    name = _plain(host)
    return address.is_loopback if address else name == "localhost" or name.endswith(".localhost")


def is_listed(host: str, port: int, text: str, variable: str) -> bool:
    """Tell whether the list `text` of `variable` names a host. Raises `OutboundError` for a meaningless entry."""
    # Each entry is read, so that one that means nothing is told whatever stands before it.
    found = [_names(entry, host, port, variable) for entry in re.split(r"[,\s]+", text) if entry]
    return any(found)


def _names(entry: str, host: str, port: int, variable: str) -> bool:
    if entry == "*":
        return True
    name = entry
    if found := _WITH_PORT.fullmatch(entry):
        name = found["host"]
        if int(found["port"]) != port:
            return False
    if network := _network(name):
        address = _address(host)
        return address is not None and address.version == network.version and address in network
    if "/" in name or not _NAME.fullmatch(name):
        raise OutboundError(
            f"{variable} holds {entry!r}, which is no host name, no IP address and no network such as 10.0.0.0/8 or "
            "fd00::/8. Correct the entry, or take it out."
        )
    wanted, given = _plain(name).removeprefix("*").removeprefix("."), _plain(host)
    if "*" in wanted:
        return fnmatchcase(given, wanted)
    return given == wanted or given.endswith(f".{wanted}")


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    address, slash, length = text.partition("/")
    try:
        return ipaddress.ip_network(address.strip("[]") + slash + length, strict=False)
    except ValueError:
        return None


def _address(host: str) -> Address | None:
    try:
        found = ipaddress.ip_address(_plain(host).partition("%")[0])
    except ValueError:
        return None
    carried = found.ipv4_mapped if found.version == 6 else None
    return carried or found


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()
