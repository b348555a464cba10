"""Regular expressions (RE2) for ports and networks: Envoy can compare an authority's text, not its number."""

from collections.abc import Iterable, Sequence

from edge.access.hosts import Network

ANY_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
ANY_GROUP = "[0-9a-f]{1,4}"


def number_pattern(low: int, high: int, digits: str = "0123456789") -> str:
    """Return a pattern for the numbers from `low` to `high`, written in `digits` without leading zeros."""
    base, parts = len(digits), ["0"] if low == 0 else []
    low = max(low, 1)
    while low <= high:
        power = 1
        while low % (power * base) == 0 and low + power * base - 1 <= high:
            power *= base
        first = low // power % base
        last = min(base - 1, first + (high - low + 1) // power - 1)
        head = _digits(low // (power * base), digits)
        middle = digits[first] if first == last else f"[{digits[first : last + 1]}]"
        tail = "".join(f"[{digits}]" for _ in range(_length(power, base)))
        parts.append(head + middle + tail)
        low += (last - first + 1) * power
    return f"(?:{'|'.join(parts)})"


def ports_pattern(ranges: Iterable[Sequence[int]]) -> str:
    """Return a pattern for a port in one of the ranges ``[first, last]``."""
    return f"(?:{'|'.join(number_pattern(first, last) for first, last in ranges)})"


def network_pattern(network: Network) -> str:
    """Return a pattern for the addresses of a network as the host of an authority (IPv6 in brackets)."""
    return _ipv4_pattern(network) if network.family == 4 else _ipv6_pattern(network)


def _ipv4_pattern(network: Network) -> str:
    octets = []
    for index in range(4):
        low, high = _bounds(network, 32, 8, index)
        octets.append(ANY_OCTET if (low, high) == (0, 255) else number_pattern(low, high))
    return r"\.".join(octets)


def _ipv6_pattern(network: Network) -> str:
    """Spell out every place where ``::`` may stand: an address has many texts, and each must be understood."""
    bounds = [_bounds(network, 128, 16, index) for index in range(8)]
    groups = [_group(low, high) for low, high in bounds]
    texts = [":".join(groups)]
    for start in range(8):
        for end in range(start + 1, 9):
            if any(low > 0 for low, _ in bounds[start:end]):
                break
            texts.append(f"{':'.join(groups[:start])}::{':'.join(groups[end:])}")
    return rf"(?i)\[(?:{'|'.join(texts)})\]"


def _group(low: int, high: int) -> str:
    return (
        ANY_GROUP if (low, high) == (0, 0xFFFF) else "0{0,3}" + number_pattern(low, high, "0123456789abcdef")
    )


def _bounds(network: Network, bits: int, width: int, index: int) -> tuple[int, int]:
    """Return the least and greatest value of one octet or group."""
    shift, full = bits - width * (index + 1), (1 << width) - 1
    last = network.value | ((1 << (bits - network.prefix)) - 1)
    return network.value >> shift & full, last >> shift & full


def _digits(number: int, digits: str) -> str:
    text = ""
    while number:
        number, digit = divmod(number, len(digits))
        text = digits[digit] + text
    return text


def _length(power: int, base: int) -> int:
    count = 0
    while power > 1:
        power //= base
        count += 1
    return count
