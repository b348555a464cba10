"""Addresses and ports as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.applications.addresses import (
    AddressInvalid,
    normalised_address,
    normalised_origin,
    parse_addresses,
    parse_ports,
    shown_ports,
)
from edge.access.hosts import parse_pattern


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("Wiki.Corp.Example.", "wiki.corp.example"),
        ("*.Corp.Example", "*.corp.example"),
        (" 10.1.2.3 ", "10.1.2.3"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("2001:DB8::1", "2001:db8::1"),
    ],
)
def test_one_form_for_each_address(written: str, stored: str) -> None:
    assert normalised_address(written, allow_local=False) == stored


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "a b",
        "http://x.example/",
        "10.0.0.256",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "*",
        "*.*.example",
        "x" * 300,
        "a..b",
        "*.1",
    ],
)
def test_what_is_no_address_is_refused_by_a_sentence(wrong: str) -> None:
    with pytest.raises(AddressInvalid, match=r"\.$|host name|four numbers"):
        normalised_address(wrong, allow_local=False)


def test_bits_beyond_the_prefix_are_refused_with_the_block_that_was_meant() -> None:
    with pytest.raises(AddressInvalid, match=r"10\.0\.0\.0/8 would be the block"):
        normalised_address("10.0.0.1/8", allow_local=True)


@pytest.mark.parametrize(
    "local",
    ["127.0.0.1", "127.0.0.0/8", "169.254.1.1", "localhost", "*.localhost", "::1", "fe80::1", "0.0.0.0"],
)
def test_loopback_and_link_local_need_an_origin(local: str) -> None:
    with pytest.raises(AddressInvalid, match="only for an application with an origin"):
        normalised_address(local, allow_local=False)
    assert normalised_address(local, allow_local=True) == local


def test_the_refusal_names_the_line() -> None:
    with pytest.raises(AddressInvalid, match=r"^Line 3: .*not a host"):
        parse_addresses("a.example\n\nb c", allow_local=False)
    with pytest.raises(AddressInvalid, match=r"^Line 2: .*in line 1"):
        parse_addresses("a.example\nA.example.", allow_local=False)


@pytest.mark.parametrize(
    ("written", "ranges"),
    [
        ("80, 443, 8000-8010", [(80, 80), (443, 443), (8000, 8010)]),
        ("443\n80", [(80, 80), (443, 443)]),
        ("1 - 65535", [(1, 65535)]),
    ],
)
def test_ports(written: str, ranges: list[tuple[int, int]]) -> None:
    assert parse_ports(written) == ranges


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("", "at least one port"),
        ("0", "from 1 to 65535"),
        ("65536", "from 1 to 65535"),
        ("http", "from 1 to 65535"),
        ("²", "from 1 to 65535"),
        ("90-80", "end before they begin"),
        ("80, 70-90", "Ports 70-90 and 80 overlap"),
        ("80, 80", "overlap"),
    ],
)
def test_ports_that_make_no_sense(wrong: str, why: str) -> None:
    with pytest.raises(AddressInvalid, match=why):
        parse_ports(wrong)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("Wiki.Example", "wiki.example"),
        ("[::1]:80", "[::1]:80"),
        ("::1", "[::1]"),
    ],
)
def test_origins(written: str, stored: str) -> None:
    assert normalised_origin(written) == stored


@pytest.mark.parametrize(
    "wrong", ["", "a b:80", "host:", "host:0", "host:http", "[::1", "[::1]80", "1.2.3.4:99999"]
)
def test_what_is_no_origin_is_refused(wrong: str) -> None:
    with pytest.raises(AddressInvalid):
        normalised_origin(wrong)


@given(st.text(max_size=60))
def test_whatever_is_accepted_a_gateway_can_compile_and_is_stored_in_one_form(text: str) -> None:
    try:
        stored = normalised_address(text, allow_local=True)
    except AddressInvalid:
        return
    parse_pattern(stored)
    assert normalised_address(stored, allow_local=True) == stored


@given(st.sets(st.integers(1, 65535), min_size=1, max_size=20))
def test_ports_written_out_are_read_back(ports: set[int]) -> None:
    ranges = [(port, port) for port in sorted(ports)]
    assert parse_ports(shown_ports(ranges)) == ranges
