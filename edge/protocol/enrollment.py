"""Enrollment of a machine by a one-use code, and renewal of its certificates: calls ``enroll`` and ``renew``."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta

from edge.protocol.message import Message
from edge.protocol.values import PLAIN, Address, Pem, Text, Word

Kind = Literal["server", "gateway"]
Code = Annotated[
    str, Meta(min_length=4, max_length=40, pattern=PLAIN, description="a code of 4 to 40 characters")
]


class Enroll(Message, frozen=True, kw_only=True):
    """Request of a machine to become one of the console's. `code`: counts once, and is shown in no log.

    `csrs`: certificate requests by name; of a server ``outer`` and ``inner``, of a gateway ``tunnel`` and ``access``.
    The other fields are what the machine says of itself; the console trusts none for its identity.
    """

    code: Code
    kind: Kind
    csrs: Mapping[str, Pem]
    hostname: Text = ""
    version: Word = ""
    private_address: Address = ""
    system: Text = ""

    def __repr__(self) -> str:
        """Name the request without its code: a log must not hold it."""
        return f"Enroll({self.kind!r}, {self.hostname!r})"


class Enrolled(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Admission of a machine under its `id`. `certificates`: PEM chains by the names of the requests; `ca`: PEM.

    `connector`: of a server alone. `config`: the configuration of the machine's kind (`edge.protocol.configuration`),
    kept as the document that it is, since the machine's file holds it whole.
    """

    id: str
    kind: Kind
    connector: str | None = None
    certificates: Mapping[str, str]
    ca: str
    config: Mapping[str, Any]


class Renew(Message, frozen=True):
    """Request for new certificates of the keys that the machine has. `csrs`: as in `Enroll`."""

    csrs: Mapping[str, Pem]


class Renewed(Message, frozen=True):
    """New certificates, and the CA that goes with them; as in `Enrolled`."""

    certificates: Mapping[str, str]
    ca: str
