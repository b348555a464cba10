"""Session tokens: signed with the console's Ed25519 key, read with its public keys (claims: docs/architecture.md)."""

from functools import lru_cache

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from console.core.errors import Refusal
from console.machines import pki
from edge.protocol.identity import ISSUER, SessionIdentity, TokenExpired, TokenRefused, verify_token
from roaming.sessions.models import UserSession


class SessionEnded(Refusal):
    status = 401
    code = "SessionEnded"


class TokenInvalid(Refusal):
    status = 401
    code = "TokenInvalid"


# Opening the sealed key costs a key derivation, so each process opens each key once.
_opened: dict[str, Ed25519PrivateKey] = {}


def _signing_key() -> tuple[str, Ed25519PrivateKey]:
    key_id = pki.authority("session").key_id
    if key_id not in _opened:
        key_id, key = pki.session_signing_key()
        _opened[key_id] = key
    return key_id, _opened[key_id]


@lru_cache(maxsize=64)
def _public(pem: str) -> Ed25519PublicKey:
    return load_pem_public_key(pem.encode())  # type: ignore[return-value]


def sign(session: UserSession) -> str:
    """Return the token of a live session, good until the session's ``expires_at``."""
    key_id, key = _signing_key()
    issued = session.renewed_at or session.created_at
    claims = {
        "iss": ISSUER,
        "sub": session.account_id,
        "sid": session.pk,
        "ins": session.instance_id,
        "usr": session.username,
        "ip": session.client_ip,
        "iat": int(issued.timestamp()),
        "exp": int(session.expires_at.timestamp()),
    }
    if session.bandwidth_kbps is not None:  # None: opened before gateways held accounts to their bandwidth
        claims["bw"] = session.bandwidth_kbps
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": key_id})


def read(token: str) -> SessionIdentity:
    """Return whose token this is. Raises ``SessionEnded`` for an expired token, ``TokenInvalid`` for none of ours."""
    keys = {key_id: _public(pem) for key_id, pem in pki.session_public_keys().items()}
    try:
        return verify_token(token, keys)
    except TokenExpired as error:
        raise SessionEnded(error.message) from error
    except TokenRefused as error:
        raise TokenInvalid("The session token is not valid. Log on again.") from error
