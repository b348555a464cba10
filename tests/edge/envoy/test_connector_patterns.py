"""Ports and networks as expressions: they match exactly what they stand for."""

import ipaddress
import re

from hypothesis import given
from hypothesis import strategies as st

from edge.access.hosts import parse_network
from edge.envoy.patterns import network_pattern, ports_pattern

PORTS = st.integers(1, 65535)
# Mostly zero groups, because `::` is where the texts of an address differ.
GROUPS = st.lists(st.one_of(st.just(0), st.integers(0, 0xFFFF)), min_size=8, max_size=8)


@given(PORTS, PORTS, PORTS)
def test_ports(first: int, second: int, port: int) -> None:
    low, high = sorted((first, second))
    pattern = re.compile(ports_pattern([[low, high]]))
    for each in {port, low, high, max(low - 1, 1), min(high + 1, 65535)}:
        assert bool(pattern.fullmatch(str(each))) == (low <= each <= high)


@given(st.integers(0, 2**32 - 1), st.integers(0, 32), st.integers(0, 2**32 - 1))
def test_ipv4_networks(value: int, prefix: int, other: int) -> None:
    network = ipaddress.IPv4Network((value, prefix), strict=False)
    pattern = re.compile(network_pattern(parse_network(str(network))))
    for address in (network[0], network[-1], ipaddress.IPv4Address(other)):
        assert bool(pattern.fullmatch(str(address))) == (address in network)


@given(GROUPS, st.integers(0, 128), GROUPS)
def test_ipv6_networks_in_every_spelling(groups: list[int], prefix: int, others: list[int]) -> None:
    value, other = (int("".join(f"{group:04x}" for group in each), 16) for each in (groups, others))
    network = ipaddress.IPv6Network((value, prefix), strict=False)
    pattern = re.compile(network_pattern(parse_network(str(network))))
    for address in (network[0], network[-1], ipaddress.IPv6Address(value), ipaddress.IPv6Address(other)):
        for text in (str(address), address.exploded, str(address).upper()):
            assert bool(pattern.fullmatch(f"[{text}]")) == (address in network), (text, network)
