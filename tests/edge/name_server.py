"""A name server on loopback that answers what the test says, with the time to live that the test says."""

import socket
import socketserver
import struct
from dataclasses import dataclass

from tests.quiet import QuietUDPServer

A, AAAA, SOA, NO_SUCH_NAME = 1, 28, 6, 3


@dataclass
class Answer:
    """Address of a name, or that there is none; ``ttl`` in seconds."""

    address: str | None
    ttl: int = 1


class NameServer(QuietUDPServer):
    """Answers by `names`; every other name does not exist. `asked`: the names that were asked for, in order."""

    def __init__(self) -> None:
        self.names: dict[str, Answer] = {}
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Question)


class _Question(socketserver.BaseRequestHandler):
    server: NameServer

    def handle(self) -> None:
        data, connection = self.request
        labels, place = [], 12
        while length := data[place]:
            labels.append(data[place + 1 : place + 1 + length].decode())
            place += 1 + length
        (kind,) = struct.unpack_from(">H", data, place + 1)
        name = ".".join(labels).lower()
        if kind == A:
            self.server.asked.append(name)
        known = self.server.names.get(name, Answer(None))
        question = data[12 : place + 5]
        records, code = b"", 0
        if known.address is not None and kind == A:
            records = struct.pack(">HHHIH", 0xC00C, A, 1, known.ttl, 4) + socket.inet_aton(known.address)
        elif known.address is None:
            code = NO_SUCH_NAME
        head = data[:2] + struct.pack(">HHHHH", 0x8580 | code, 1, 1 if records else 0, 0 if records else 1, 0)
        connection.sendto(head + question + (records or _negative(known.ttl)), self.client_address)


def _negative(ttl: int) -> bytes:
    """Record that says how long the absence of a name may be remembered."""
    data = b"\x00\x00" + struct.pack(">IIIII", 1, 3600, 600, 86400, ttl)
    return b"\x00" + struct.pack(">HHIH", SOA, 1, ttl, len(data)) + data
