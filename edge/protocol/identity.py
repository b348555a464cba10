"""Who is at the other end: session tokens, and what a client puts into ``Proxy-Authorization``."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwt.types import Options

from edge.protocol.codes import Code

ISSUER = "causeway"
# A name that nothing is called (RFC 6761): asked for it, a gateway says nothing but whether the session lives.
SESSION_CHECK = "session-check.causeway.invalid"
# When a token was made says nothing of its worth, and a console's clock may have been ahead of ours.
OPTIONS: Options = {
    "require": ["exp", "iat", "iss", "sub", "sid", "ins"],
    "verify_aud": False,
    "verify_iat": False,
}
# A user name has at most 33 characters and a password 32; a token is well under 1 KiB. Anything much longer is noise.
MAX_CREDENTIALS = 8192


class IdentityError(Exception):
    """Base of what can be wrong with credentials; ``message``: a sentence for the user.

    IdentityError
    ├── CredentialsMissing    nothing was sent
    ├── CredentialsMalformed  something was sent that cannot be read
    └── TokenRefused          a session token that does not count
        └── TokenExpired      … because its time is over
    """

    code: Code

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class CredentialsMissing(IdentityError):
    code = Code.CREDENTIALS_MISSING


class CredentialsMalformed(IdentityError):
    code = Code.CREDENTIALS_MALFORMED


class TokenRefused(IdentityError):
    code = Code.TOKEN_REFUSED


class TokenExpired(TokenRefused):
    code = Code.SESSION_ENDED


@dataclass(frozen=True, slots=True)
class SessionIdentity:
    """One log-on of a client account; ``expires_at`` in epoch seconds.

    ``bandwidth_kbps``: the account's cap when it logged on, if the token names one. Decisions do not depend on it.
    """

    session: str
    account: str
    instance: str
    username: str
    client_ip: str
    expires_at: float
    bandwidth_kbps: int | None = None


@dataclass(frozen=True, slots=True)
class BasicCredentials:
    username: str
    instance: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BearerToken:
    token: str = field(repr=False)


def parse_proxy_authorization(value: str | None) -> BasicCredentials | BearerToken:
    """Read a ``Proxy-Authorization`` header.

    Basic carries ``user@instance:password``, split at the last ``@`` before the first ``:``.
    Raises CredentialsMissing or CredentialsMalformed, nothing else, whatever the client sends.
    """
    if value is None or not value.strip():
        raise CredentialsMissing("Log on with your user name @ instance id and your password.")
    if len(value) > MAX_CREDENTIALS:
        raise CredentialsMalformed(f"The credentials are longer than {MAX_CREDENTIALS} characters.")
    scheme, _, rest = value.strip().partition(" ")
    rest = rest.strip()
    if scheme.lower() == "bearer" and rest:
        return BearerToken(rest)
    if scheme.lower() == "basic" and rest:
        return _parse_basic(rest)
    raise CredentialsMalformed("Proxy-Authorization must be Basic or Bearer, followed by the credentials.")


def _parse_basic(encoded: str) -> BasicCredentials:
    try:
        text = base64.b64decode(encoded.encode("ascii"), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise CredentialsMalformed("The Basic credentials are not base64 of UTF-8 text.") from None
    name, colon, password = text.partition(":")
    username, at, instance = name.rpartition("@")
    if not colon or not at or not username or not instance or not password:
        raise CredentialsMalformed("The Basic credentials must read user name @ instance id : password.")
    if any(ord(character) < 32 or character == "\x7f" for character in text):
        raise CredentialsMalformed("The Basic credentials must not contain control characters.")
    return BasicCredentials(username, instance, password)


def verify_token(token: str, keys: Mapping[str, Ed25519PublicKey]) -> SessionIdentity:
    """Check signature, issuer and expiry of a session token against the console's public keys by ``kid``.

    Whether the session was ended before its time is not known here; ``decide`` looks that up. Raises TokenRefused.
    """
    try:
        key = keys.get(str(jwt.get_unverified_header(token).get("kid")))
        if key is None:
            raise TokenRefused("The session token was signed by a key that this gateway does not know.")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=["EdDSA"],
            issuer=ISSUER,
            options=OPTIONS,
        )
    except jwt.ExpiredSignatureError:
        raise TokenExpired("The session has expired. Log on again.") from None
    except (jwt.PyJWTError, ValueError, TypeError):
        raise TokenRefused("The session token is not valid. Log on again.") from None
    texts = [claims.get(name, "") for name in ("sid", "sub", "ins", "usr", "ip")]
    if not all(isinstance(text, str) for text in texts) or not all(texts[:3]):
        raise TokenRefused("The session token is not valid. Log on again.")
    bandwidth = claims.get("bw")
    if bandwidth is not None and (type(bandwidth) is not int or bandwidth < 1):
        raise TokenRefused("The session token is not valid. Log on again.")
    session, account, instance, username, client_ip = texts
    return SessionIdentity(session, account, instance, username, client_ip, float(claims["exp"]), bandwidth)
