"""CIDR rules, against an oracle that knows addresses only one by one."""

from ipaddress import IPv4Address, IPv4Network

import pytest
from django.conf import LazySettings
from hypothesis import assume, given
from hypothesis import strategies as st

from console.core.errors import Invalid
from roaming.networks import first_overlap, holds, parse_block, parse_instance_blocks, usable_count

# A small corner of the address space, so that overlaps are frequent and every address can be listed.
BLOCK = st.builds(
    lambda offset, prefix: IPv4Network((int(IPv4Address("10.0.0.0")) + offset, prefix), strict=False),
    st.integers(0, 255),
    st.integers(25, 32),
)


def addresses(block: IPv4Network) -> set[int]:
    return {int(address) for address in block}


def clients(block: IPv4Network) -> set[int]:
    """Every address a client may have, listed the slow way."""
    return {int(address) for address in block.hosts()} if block.prefixlen < 31 else addresses(block)


@given(left=st.lists(BLOCK, max_size=3), right=st.lists(BLOCK, max_size=3))
def test_first_overlap_agrees_with_comparing_every_address(
    left: list[IPv4Network], right: list[IPv4Network]
) -> None:
    pairs = [(a, b) for a in left for b in right if addresses(a) & addresses(b)]
    assert first_overlap(left, right) == (pairs[0] if pairs else None)


@given(blocks=st.lists(BLOCK, max_size=7), quota=st.integers(1, 300))
def test_the_rules_for_an_instances_blocks_agree_with_the_oracle(
    blocks: list[IPv4Network], quota: int, django_settings: LazySettings
) -> None:
    overlap = any(addresses(a) & addresses(b) for i, a in enumerate(blocks) for b in blocks[:i])
    room = sum(len(clients(block)) for block in blocks)
    legal = not blocks or (
        len(blocks) <= django_settings.INSTANCE_CIDR_LIMIT and not overlap and room >= quota
    )
    try:
        parsed = parse_instance_blocks([str(block) for block in blocks], quota=quota)
    except Invalid as refused:
        assert not legal
        assert refused.field == "cidrs"
    else:
        assert legal
        assert parsed == blocks


@pytest.fixture(scope="module")
def django_settings() -> LazySettings:
    from django.conf import settings

    return settings


@given(block=BLOCK, address=st.integers(int(IPv4Address("10.0.0.0")), int(IPv4Address("10.0.1.255"))))
def test_holds_and_counts_agree_with_listing_the_hosts(block: IPv4Network, address: int) -> None:
    assert holds([block], address) == (address in clients(block))
    assert usable_count([block]) == len(clients(block))


@given(block=BLOCK, host=st.integers(1, 127))
def test_host_bits_are_refused_with_the_block_that_was_meant(block: IPv4Network, host: int) -> None:
    address = IPv4Address(int(block.network_address) + host % block.num_addresses)
    assume(address != block.network_address)
    with pytest.raises(Invalid) as refused:
        parse_block(f"{address}/{block.prefixlen}", field="cidrs")
    assert f"{block} was probably meant" in refused.value.message


@given(text=st.text(max_size=30))
def test_no_text_makes_the_parser_fail(text: str) -> None:
    try:
        assert str(parse_block(text, field="cidr")) == text.strip()
    except Invalid as refused:
        assert refused.code == "SAG.InvalidCidr"


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.0",
        "10.0.0.0/33",
        "10.0.0/24",
        "10.0.0.0/255.255.255.0",
        "fd00::/64",
        "0.0.0.0/0",
        "10.0.0.0/٨",
        "10.00.0.0/24",
    ],
)
def test_what_is_no_block_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_block(text, field="cidr")


@pytest.mark.parametrize("text", ["127.0.0.0/8", "224.0.0.0/8", "169.254.0.0/16", "240.0.0.0/8", "0.0.0.0/8"])
def test_blocks_that_cannot_hold_clients_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match="cannot hold clients"):
        parse_instance_blocks([text], quota=1)


@pytest.mark.parametrize(
    ("texts", "quota", "sentence"),
    [
        (["10.0.0.0/24", "10.0.0.128/25"], 1, "10.0.0.0/24 and 10.0.0.128/25 overlap."),
        (
            ["10.0.0.0/29"],
            7,
            "The blocks hold 6 usable addresses, fewer than the quota of 7 client accounts.",
        ),
        ([f"10.{n}.0.0/24" for n in range(6)], 1, "6 blocks were given; an instance has at most 5."),
    ],
)
def test_each_rule_names_its_exact_reason(texts: list[str], quota: int, sentence: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_instance_blocks(texts, quota=quota)
    assert refused.value.message == sentence
