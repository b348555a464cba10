"""Signatures of requests: the JWT by which gateways and servers say who calls."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.db import connection
from django.http import HttpRequest
from ninja.security import HttpBearer

from console.core.address import client_address
from console.core.errors import Forbidden, Refusal
from console.machines import clones, reported
from console.machines.models.machines import MachineKey
from edge.protocol.marks import CLAIM, Marks
from edge.protocol.message import MessageInvalid

# Seconds that a machine's clock may be off before its calls are refused.
LEEWAY = 60
# Seconds from a signature's making to its end, at most; machines of every release make it for so long.
LIFE = 60
LONGEST_JTI = 64


@dataclass(frozen=True)
class Machine:
    id: str
    kind: str


class BadSignature(Refusal):
    status = 401
    code = "SignatureInvalid"


class Signed(HttpBearer):
    """Door for machines of ``kind``: a signature is required, and the machine is then ``request.auth``."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def authenticate(self, request: HttpRequest, token: str) -> Machine:
        machine = verify(request, token)
        if machine.kind != self.kind:
            raise Forbidden(f"Only a {self.kind} may call this.", code="WrongKindOfMachine")
        return machine


def signed(kind: str) -> Signed:
    return Signed(kind)


def machine_of(request: HttpRequest) -> Machine:
    """Return the machine that signed; for views behind ``signed``."""
    machine: Machine = request.auth  # type: ignore[attr-defined]
    return machine


def _bytes(claim: object) -> bytes:
    """Return a claim as bytes to compare; JSON can hold halves of characters, which plain UTF-8 refuses."""
    return str(claim).encode(errors="surrogatepass")


@lru_cache(maxsize=20_000)
def _loaded(pem: str) -> Any:
    """Read a key and keep it, since reading takes longer than using; the PEM comes from the database every time."""
    return load_pem_public_key(pem.encode())


def verify(request: HttpRequest, token: str) -> Machine:
    """Return the machine whose key made ``token`` for exactly this request. Raises ``BadSignature``."""
    try:
        key_id = str(jwt.get_unverified_header(token).get("kid", ""))
    except jwt.PyJWTError as error:
        raise BadSignature("The signature cannot be read.") from error
    key = MachineKey.objects.filter(pk=key_id).first() if key_id.isprintable() else None
    if key is None:
        raise BadSignature(
            "This machine is not known to the console; it may have been removed.", code="MachineUnknown"
        )
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            _loaded(key.public_key),
            algorithms=["ES256"],
            leeway=LEEWAY,
            options={"require": ["iat", "exp", "jti", "htm", "htu", "bsh"]},
        )
    except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError) as error:
        raise BadSignature("The machine's clock is off; see the Date header.", code="ClockSkew") from error
    except jwt.PyJWTError as error:
        raise BadSignature("The signature does not fit this machine's key.") from error
    body_hash = base64.urlsafe_b64encode(hashlib.sha256(request.body).digest()).rstrip(b"=").decode()
    wanted = (request.method, request.path, body_hash)
    given = (claims["htm"], claims["htu"], claims["bsh"])
    if not all(hmac.compare_digest(_bytes(a), _bytes(b)) for a, b in zip(wanted, given, strict=True)):
        raise BadSignature("The signature was made for another request.")
    if not 0 < int(claims["exp"]) - int(claims["iat"]) <= LIFE:
        raise BadSignature(f"A signature must be good for 1 to {LIFE} s.", code="SignatureTooLong")
    _use_once(key.machine, claims)
    if (who := claims.get(CLAIM)) is not None:
        _note_caller(request, key, who, int(claims["iat"]))
    return Machine(id=key.machine, kind=key.kind)


def _note_caller(request: HttpRequest, key: MachineKey, who: object, signed: int) -> None:
    """Note which machine and start called. Raises ``clones.Cloned``; marks that make no sense count as none."""
    try:
        marks = reported.read(Marks, who, key.machine)
    except MessageInvalid:
        reported.drop(key.machine, CLAIM, who)
        return
    clones.heard(key, marks, signed=signed, address=client_address(request))


def _use_once(machine: str, claims: dict[str, Any]) -> None:
    """Remember a signature for as long as it is good. Raise ``BadSignature`` for one that was used before.

    One query, for all processes of the console: of two calls at once the database lets one in.
    """
    jti = claims["jti"]
    if not (0 < len(jti) <= LONGEST_JTI and jti.isascii() and jti.isprintable()):
        raise BadSignature(f"jti must be 1 to {LONGEST_JTI} printable ASCII characters.")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO console_signedcall (id, forget_at) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [f"{machine}:{jti}", int(claims["exp"]) + LEEWAY + 1],
        )
        if cursor.rowcount != 1:
            raise BadSignature("This very call was made before. Sign each call anew.", code="SignatureUsed")
