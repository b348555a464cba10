"""Addresses that an account may ask a gateway for: the gateway's answer to ``causeway connect``."""

from collections.abc import Sequence
from typing import Final

from edge.protocol.configuration import PortRange
from edge.protocol.message import Message

# A name that nothing is called (RFC 6761): asked for it by plain HTTP, a gateway answers itself.
HOST: Final = "proxy.causeway.invalid"
PATH: Final = "/addresses.json"


class ReachedAddress(Message, frozen=True):
    """Host name, ``*.`` wildcard, IP address or CIDR block. `ports`: none for all."""

    address: str
    ports: Sequence[PortRange] = ()


class Reach(Message, frozen=True):
    """What the account of a session may ask for."""

    addresses: Sequence[ReachedAddress]
