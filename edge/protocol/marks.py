"""Marks of whoever calls the console: which machine it is, and which start of its agent. Claim ``who`` of a signature.

Two machines that work by one identity, since a machine's folder or disk was copied, are told apart by their marks.
"""

from typing import Annotated

from msgspec import Meta

from edge.protocol.message import Message
from edge.protocol.values import Text

CLAIM = "who"
Trait = Annotated[
    str, Meta(pattern=r"^[0-9a-f]{0,32}\Z", description="a mark of at most 32 hexadecimal digits")
]
StartMark = Annotated[
    str, Meta(pattern=r"^[0-9a-f]{16,32}\Z", description="a mark of 16 to 32 hexadecimal digits")
]


class Marks(Message, frozen=True):
    """Marks of an agent. A call without them comes from release 0.2 or older, or from no agent.

    `start`: made anew at each start of the agent, and kept in its memory alone. `machine`, `boot`: digests of the
    machine's id and of the id of its boot; empty where the system has none. Copies of a disk have the same `machine`,
    containers of one host also the same `boot`: the two say who was seen before, and `start` alone says that two live.
    """

    start: StartMark
    machine: Trait = ""
    boot: Trait = ""
    hostname: Text = ""
