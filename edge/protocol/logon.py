"""Sessions of users: calls ``login``, ``session/renew`` and ``logout``, and the grant that answers the first two."""

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta

from edge.protocol.message import Message
from edge.protocol.values import PLAIN

Name = Annotated[
    str, Meta(min_length=1, max_length=255, pattern=PLAIN, description="a text of 1 to 255 characters")
]
Password = Annotated[str, Meta(min_length=1, max_length=255, description="1–255 printable characters")]
ClientAddress = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f:.]{2,45}\Z", description="an IP address")]
SessionToken = Annotated[
    str, Meta(min_length=1, max_length=4096, pattern=r"^[A-Za-z0-9._-]*\Z", description="a session token")
]


class Login(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Log-on of a user, sent by a gateway (proxy) or by ``causeway connect``.

    `public_address`: where the user called from; believed of gateways alone.
    """

    instance: Name
    username: Name
    password: Password
    public_address: ClientAddress | None = None
    kind: Literal["proxy", "connect"]

    def __repr__(self) -> str:
        """Name the user without the password: neither a log nor an error may hold it."""
        return f"Login({self.username!r}, {self.instance!r})"


class Token(Message, frozen=True):
    """Session token (`edge.protocol.identity`) of a session to renew, or to end."""

    token: SessionToken

    def __repr__(self) -> str:
        """Hide the token: whoever has it has the session."""
        return "Token(…)"


class GrantedSession(Message, frozen=True):
    """Session that the token is of. `client_ip`: leased to it; `expires_at`: epoch s by the console's clock."""

    id: str
    account: str | None
    instance: str
    username: str
    client_ip: str | None
    expires_at: int


class GrantedGateway(Message, frozen=True, omit_defaults=True):
    """Gateway of the instance's area. `proxy`: ``https://host:port``; `draining`: to be used when no other answers."""

    id: str
    area: str
    proxy: str
    draining: bool = False


class Grant(Message, frozen=True):
    """Answer to a log-on or a renewal: a new token, and by which gateways it counts. `ca`: PEM to trust them by."""

    token: SessionToken
    session: GrantedSession
    gateways: Sequence[GrantedGateway]
    ca: str

    def __repr__(self) -> str:
        """Name the session without its token."""
        return f"Grant({self.session!r})"
