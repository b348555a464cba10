"""IPv4 blocks: strict reading, comparison, and the count of addresses that can be leased."""

import ipaddress
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network

from django.conf import settings

from console.core.errors import Invalid

# A block wider than this prefix is a slip of the pen, or would send everything down one path.
WIDEST_PREFIX = 8


def parse_block(text: str, *, field: str) -> IPv4Network:
    """Return the block that ``text`` writes, such as ``10.0.0.0/24``. Raises ``Invalid``, naming the likely meaning."""
    written = text.strip()
    address, slash, prefix = written.partition("/")
    if not slash or not (prefix.isascii() and prefix.isdigit()) or len(written) > 18:
        raise _unreadable(written, field)
    try:
        block = IPv4Network(written, strict=False)
    except ValueError as error:
        raise _unreadable(written, field) from error
    if str(block.network_address) != address:
        raise Invalid(
            f"{written} is an address inside a block, not a block; {block} was probably meant.",
            field=field,
            code="SAG.InvalidCidr",
        )
    if block.prefixlen < WIDEST_PREFIX:
        raise Invalid(
            f"{block} is too wide; the prefix must be from /{WIDEST_PREFIX} to /32.",
            field=field,
            code="SAG.InvalidCidr",
        )
    return block


def _unreadable(written: str, field: str) -> Invalid:
    return Invalid(
        f"“{written[:40]}” is not an IPv4 block. Write it as address/prefix, such as 10.0.0.0/24.",
        field=field,
        code="SAG.InvalidCidr",
    )


def first_overlap(
    left: Iterable[IPv4Network], right: Iterable[IPv4Network]
) -> tuple[IPv4Network, IPv4Network] | None:
    """Return the first pair of blocks, one of each side, that share an address."""
    others = list(right)
    return next(((a, b) for a in left for b in others if a.overlaps(b)), None)


def usable_range(block: IPv4Network) -> tuple[int, int]:
    """Return first and last address for a client, as numbers: without network and broadcast address, if any."""
    first, last = int(block.network_address), int(block.broadcast_address)
    return (first, last) if block.prefixlen >= 31 else (first + 1, last - 1)


def usable_count(blocks: Iterable[IPv4Network]) -> int:
    return sum(last - first + 1 for first, last in map(usable_range, blocks))


def parse_instance_blocks(texts: Sequence[str], *, quota: int) -> list[IPv4Network]:
    """Return an instance's private blocks, in the order given. Raises ``Invalid`` for the first rule that is broken.

    No block at all is legal: accounts are then refused until there is a block. Otherwise: at most
    ``INSTANCE_CIDR_LIMIT``, no two overlap, none where no client can have its address, and together at least ``quota``
    usable addresses.
    """
    limit = settings.INSTANCE_CIDR_LIMIT
    if len(texts) > limit:
        raise Invalid(
            f"{len(texts)} blocks were given; an instance has at most {limit}.",
            field="cidrs",
            code="SAG.InvalidCidr",
        )
    blocks = [parse_block(text, field="cidrs") for text in texts]
    for place, block in enumerate(blocks):
        if pair := first_overlap([block], blocks[:place]):
            raise Invalid(f"{pair[1]} and {pair[0]} overlap.", field="cidrs", code="SAG.InvalidCidr")
        if (
            block.is_loopback
            or block.is_multicast
            or block.is_link_local
            or block.is_reserved
            or int(block[0]) >> 24 == 0
        ):
            raise Invalid(
                f"{block} cannot hold clients: clients get no loopback, link-local, multicast or reserved "
                "addresses. "
                "Choose a private block, such as 10.0.0.0/24.",
                field="cidrs",
                code="SAG.InvalidCidr",
            )
    if blocks and (room := usable_count(blocks)) < quota:
        raise Invalid(
            f"The blocks hold {room} usable addresses, fewer than the quota of {quota} client accounts.",
            field="cidrs",
            code="SAG.IpCountTooLittle",
        )
    return blocks


def holds(blocks: Iterable[IPv4Network], address: str | int) -> bool:
    """Tell whether a client may have this address: in a block, but not the block's network or broadcast address."""
    number = int(ipaddress.IPv4Address(address))
    return any(first <= number <= last for first, last in map(usable_range, blocks))
