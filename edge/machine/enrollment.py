"""Enrollment of a machine: keys made here, a one-use code, certificates from the console. And their renewal."""

import contextlib
import datetime as dt
import fcntl
import logging
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from edge import version
from edge.errors import EdgeError
from edge.home import CONSOLE_CA, REFUSED, Home, Identity
from edge.machine.api import Caller
from edge.protocol.enrollment import Enroll, Enrolled, Kind, Renew, Renewed
from edge.protocol.message import Message, MessageInvalid

logger = logging.getLogger(__name__)

CERTIFICATES = {"server": ("outer", "inner"), "gateway": ("tunnel", "access")}
CONFIGURATION = {"server": "config.json", "gateway": "snapshot.json"}
RENEW_AFTER = 2 / 3
M = TypeVar("M", bound=Message)


class EnrollmentError(EdgeError):
    """Failure to enroll or renew for a reason on this machine. The message is a sentence."""


def kept(home: Home, message: type[M]) -> M | None:
    """Read the configuration of an enrolled machine from its folder; None when it is missing or damaged."""
    try:
        return message.decode(home.read_json(CONFIGURATION[home.identity.kind]))
    except MessageInvalid:
        return None


async def enroll(
    home: Home,
    console: str,
    code: str,
    kind: Kind,
    *,
    ca: str | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Identity:
    """Enroll this machine as `kind` (``server`` or ``gateway``) with a one-use code.

    `ca`: PEM of the CA of the console's certificate, which is kept for the agent; else the one that the home has.
    Raises `EnrollmentError`, `ApiRefused` (the console's sentence) or `ConsoleUnreachable`. On any failure
    the folder is as it was before.
    """
    _refuse_enrolled(home)
    _check_console(console)
    created = _create(home.path)
    with _alone(home):
        _refuse_enrolled(home)  # another command may have been quicker
        identity = await _introduce(home, console, code, kind, created, ca, transport)
        if ca is not None:
            home.write_atomic(CONSOLE_CA, ca.encode())
        return identity


async def _introduce(
    home: Home,
    console: str,
    code: str,
    kind: Kind,
    created: bool,
    ca: str | None,
    transport: httpx.AsyncBaseTransport | None,
) -> Identity:
    """Use the code and write the answer down; `created`: the folder was made for it. Raises as `enroll`."""
    trusted = home.console_ca if ca is None else ca
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in CERTIFICATES[kind]}
    request = Enroll(
        code=code,
        kind=kind,
        csrs={name: _certificate_request(key) for name, key in keys.items()},
        hostname=socket.gethostname(),
        version=version(),
        private_address=private_address(console),
        system=system_name(),
    )
    try:
        async with Caller(console, transport=transport, timeout=30.0, ca=trusted) as caller:
            answer = await caller.call("enroll", request, Enrolled)
        identity = Identity(answer.id, kind, console.rstrip("/"), answer.connector or "")
        home.write_pki(_files({name: _pem(key) for name, key in keys.items()}, answer))
        home.write_json(CONFIGURATION[kind], answer.config)
        home.write_identity(identity)
        home.file(REFUSED).unlink(missing_ok=True)
    except BaseException as error:
        _remove(home, kind, folder=created)
        if isinstance(error, OSError) and not isinstance(error, EdgeError):
            raise EnrollmentError(f"{home.path} cannot be written: {error.strerror}.") from error
        raise
    return identity


async def renew(home: Home, api: Caller) -> None:
    """Fetch new certificates for the keys of this machine and put them in place with one rename.

    The keys stay: the console knows this machine by them. Raises as `enroll` does.
    """
    names = CERTIFICATES[home.identity.kind]
    old = home.read_pki()
    keys = {name: old[f"{name}.key"] for name in names}
    requests = {name: _certificate_request(_load(key)) for name, key in keys.items()}
    answer = await api.call("renew", Renew(requests), Renewed, timeout=30.0)
    try:
        home.write_pki(_files(keys, answer))
    except OSError as error:
        raise EnrollmentError(f"{home.path} cannot be written: {error.strerror}.") from error
    logger.info("The certificates were renewed; they are good until %s.", _until(home))


def renewal_due(home: Home) -> dt.datetime:
    """Return when certificates should be renewed: at two thirds of the shortest life."""
    moments = []
    for name in CERTIFICATES[home.identity.kind]:
        certificate = x509.load_pem_x509_certificate(home.read_pki()[f"{name}.pem"])
        life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        moments.append(certificate.not_valid_before_utc + life * RENEW_AFTER)
    return min(moments)


def system_name() -> str:
    """Return the machine's system as its kernel names it; ``platform.platform`` would start a program to ask."""
    system = os.uname()
    return f"{system.sysname} {system.release} {system.machine}"


def private_address(console: str) -> str:
    """Return the address from which this machine reaches the console; empty when there is no way."""
    try:
        parts = urlsplit(console)
        family, kind, protocol, _, address = socket.getaddrinfo(
            parts.hostname, parts.port or 443, type=socket.SOCK_DGRAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(address)  # nothing is sent: UDP only chooses the way
            return str(probe.getsockname()[0]).partition("%")[0]  # a scope means nothing on another machine
    except (OSError, ValueError):  # a host name that is too long raises UnicodeError
        return ""


def _check_console(console: str) -> None:
    parts = urlsplit(console)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise EnrollmentError(
            f"The console's address must be like https://console.example.com, not {console!r}."
        )
    if parts.username or parts.password:
        raise EnrollmentError("The console's address must not contain a user name or a password.")


def _refuse_enrolled(home: Home) -> None:
    if home.enrolled:
        raise EnrollmentError(
            f"{home.path} is enrolled already, as {home.identity.id}. "
            "Uninstall that machine first, or name another folder with --home."
        )


@contextlib.contextmanager
def _alone(home: Home) -> Iterator[None]:
    """Let no other enrollment write into the folder: a failed enrollment takes back also the files of another."""
    descriptor = os.open(home.path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EnrollmentError(
                f"Another command enrolls {home.path} at this moment. Wait for that command; this code was not used."
            ) from None
        yield
    finally:
        os.close(descriptor)


def _create(folder: Path) -> bool:
    """Make sure that the folder can be written, before a one-use code is spent. True for a new folder."""
    created = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        Home(folder).write_atomic(".writable", b"")
        (folder / ".writable").unlink()
    except OSError as error:
        raise EnrollmentError(f"{folder} cannot be written: {error.strerror}.") from error
    return created


def _remove(home: Home, kind: str, *, folder: bool) -> None:
    """Take back what an enrollment wrote."""
    shutil.rmtree(home.file("pki"), ignore_errors=True)
    for name in (CONFIGURATION[kind], "identity.json"):
        home.file(name).unlink(missing_ok=True)
    if folder:
        shutil.rmtree(home.path, ignore_errors=True)


def _files(keys: Mapping[str, bytes], answer: Enrolled | Renewed) -> dict[str, bytes]:
    """Return the contents of ``pki/``. Raise `EnrollmentError` for a certificate that is missing, or of another key."""
    files = {"ca.pem": answer.ca.encode()}
    for name, key in keys.items():
        if name not in answer.certificates:
            raise EnrollmentError(
                f"The console's answer lacks the certificate {name}. Is the console as new as this program?"
            )
        chain = answer.certificates[name].encode()
        try:
            owner = x509.load_pem_x509_certificate(chain).public_key()
        except ValueError as error:
            raise EnrollmentError(f"The console's certificate {name} cannot be read: {error}.") from error
        if _public(owner) != _public(_load(key).public_key()):
            raise EnrollmentError(f"The console's certificate {name} is not for the key of this machine.")
        files |= {f"{name}.key": key, f"{name}.pem": chain}
    return files


def _public(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _certificate_request(key: ec.EllipticCurvePrivateKey) -> str:
    """Return a request that claims no name: the console gives the names from its own records."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "causeway")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM).decode()


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _load(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise EnrollmentError(
            "The key of this machine is not an elliptic-curve key; enroll the machine again."
        )
    return key


def _until(home: Home) -> str:
    name = CERTIFICATES[home.identity.kind][0]
    certificate = x509.load_pem_x509_certificate(home.read_pki()[f"{name}.pem"])
    return certificate.not_valid_after_utc.isoformat(timespec="minutes")
