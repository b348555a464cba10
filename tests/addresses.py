"""Addresses as people write them, right and wrong, and hosts that they mean: strategies for Hypothesis."""

import ipaddress
from typing import Any

from hypothesis import strategies as st

from edge.access.hosts import parse_host

LABELS = st.sampled_from(
    [
        "wiki",
        "my_host",
        "_dmarc",
        "a",
        "x1",
        "xn--bcher-kva",
        "bücher",
        "faß",
        "日本",
        "Ärzte",
        "corp",
        "0a",
        "a-b",
        "__proto__",
    ]
)
WRONG = [
    "",
    "-",
    "a b",
    "*",
    "a.*",
    "http://a",
    "b/c",
    "%",
    "1.2.3",
    "0x7f",
    "a..b",
    "[a]",
    "fe80::1%eth0",
    "²",
    "a@b",
]


def _spelled(draw: Any, name: str) -> str:
    change = draw(st.sampled_from([str, str.upper, str.title]))
    return str(change(name)) + draw(st.sampled_from(["", "", "."]))


@st.composite
def names(draw: Any) -> str:
    """A host name of one to three labels."""
    return _spelled(draw, ".".join(draw(st.lists(LABELS, min_size=1, max_size=3))))


@st.composite
def networks(draw: Any) -> str:
    """An IP address or a network, in one of its spellings."""
    address = draw(st.ip_addresses())
    if draw(st.booleans()):
        written = [
            str(address),
            address.exploded,
            str(address).upper(),
            f"[{address}]" if address.version == 6 else str(address),
        ]
        if address.version == 4:
            written.append(f"::ffff:{address}")
        return str(draw(st.sampled_from(written)))
    prefix = draw(st.integers(0, address.max_prefixlen))
    network = ipaddress.ip_network(
        (address, prefix), strict=draw(st.integers(0, 9)) == 0 and _fits(address, prefix)
    )
    return (
        str(network)
        if draw(st.booleans())
        else network.with_netmask
        if network.version == 4
        else str(network).upper()
    )


def _fits(address: Any, prefix: int) -> bool:
    return int(address) & ((1 << (address.max_prefixlen - prefix)) - 1) == 0


@st.composite
def written(draw: Any) -> str:
    """An address as somebody may type it; now and then nonsense."""
    kind = draw(st.sampled_from(["name", "name", "wildcard", "network", "network", "wrong", "mixed"]))
    if kind == "wildcard":
        return f"*.{draw(names())}"
    if kind == "wrong":
        return str(draw(st.sampled_from(WRONG)))
    if kind == "mixed":
        return f"{draw(names())}{draw(st.sampled_from(WRONG))}"
    return str(draw(names() if kind == "name" else networks()))


@st.composite
def meant_by(draw: Any, address: str) -> str:
    """A host that a stored address (in its one form) means, as a client may write the host in an authority."""
    if "/" not in address and not _is_ip(address):
        return _spelled(draw, address.replace("*", draw(st.sampled_from(["x", "y.my_x", "xn--bcher-kva"]))))
    network = ipaddress.ip_network(address)
    first, last = int(network.network_address), int(network.broadcast_address)
    found = type(network.network_address)(draw(st.integers(first, last)))
    if found.version == 4:
        return str(draw(st.sampled_from([str(found), f"[::ffff:{found}]"])))
    return f"[{draw(st.sampled_from([str(found), found.exploded.upper()]))}]"


def is_meant(address: str, host: str) -> bool:
    """Whether an address names a host that lies in it: loopback and link-local ones must be named by themselves."""
    written, longest = address.partition("/")[2], 128 if ":" in address else 32
    return parse_host(host).least_prefix <= (int(written) if written else longest)


def _is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True
