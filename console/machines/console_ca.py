"""CA of the certificate under which machines reach the console, where their own stores may not have the CA.

It has nothing to do with the CA of gateways and servers (`console.machines.pki`), which the console is itself.
"""

import hashlib
import ssl
from functools import lru_cache
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding
from django.conf import settings

from edge.outbound.trust import read_ca

LONGEST_CHAIN = 8


def console_ca() -> str:
    """Return the PEM that machines need to trust the console; empty where the public list of CAs is enough.

    ``CAUSEWAY_TLS_CA`` names it, or else it is found in the chain of the console's own front.
    """
    if settings.TLS_CA:
        return _read(settings.TLS_CA)
    return (
        _private_ca_of(settings.TLS_CERTIFICATE, *_looks(settings.TLS_CERTIFICATE))
        if settings.TLS_CERTIFICATE
        else ""
    )


def fingerprint(pem: str) -> str:
    """Return the SHA-256 of the file that machines fetch, as ``sha256sum`` prints it."""
    return hashlib.sha256(pem.encode()).hexdigest()


def problem() -> str:
    """Return in a sentence why machines may not trust the console by the Deploy command; empty when all is well."""
    if settings.TLS_CA and not _read(settings.TLS_CA):
        return (
            f"CAUSEWAY_TLS_CA names {settings.TLS_CA}, which cannot be read or holds no certificate in PEM."
        )
    if settings.TLS_CERTIFICATE and not settings.TLS_CA:
        return _unknown_issuer(settings.TLS_CERTIFICATE, *_looks(settings.TLS_CERTIFICATE))
    return ""


def _read(name: str) -> str:
    try:
        return read_ca(Path(name))
    except (OSError, ValueError):
        return ""


def _looks(name: str) -> tuple[int, int]:
    try:
        found = Path(name).stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=4)
def _private_ca_of(name: str, modified: int, size: int) -> str:
    chain = _chain(name)
    last = _end(chain)
    if last is None or _is_public(last) or not _may_sign(last, alone=len(chain) == 1):
        return ""
    return last.public_bytes(Encoding.PEM).decode()


@lru_cache(maxsize=4)
def _unknown_issuer(name: str, modified: int, size: int) -> str:
    chain = _chain(name)
    last = _end(chain)
    if last is None or _is_public(last) or _may_sign(last, alone=len(chain) == 1):
        return ""
    return (
        f"The console's certificate was issued by {last.issuer.rfc4514_string()}, whose own certificate is not in "
        f"{name}. Name the file of that CA in CAUSEWAY_TLS_CA, so that the command carries it; until then the command "
        "works only on machines that trust this CA already."
    )


def _chain(name: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(Path(name).read_bytes())
    except (OSError, ValueError):
        return []


def _end(chain: list[x509.Certificate]) -> x509.Certificate | None:
    """Return the last certificate of the way up from the first one, each issued by the next."""
    if not chain:
        return None
    current = chain[0]
    for _ in range(LONGEST_CHAIN):
        above = next((each for each in chain if each is not current and _issued(current, each)), None)
        if above is None:
            break
        current = above
    return current


def _is_public(last: x509.Certificate) -> bool:
    """Tell whether the list of Mozilla, which comes with httpx, has the certificate or its issuer."""
    names = [each.public_bytes() for each in (last.subject, last.issuer)]
    # Only namesakes are read: among the others are some that newer rules would not let pass.
    known = [
        x509.load_der_x509_certificate(each) for each in _public() if any(name in each for name in names)
    ]
    return any(each == last or _issued(last, each) for each in known)


@lru_cache(maxsize=1)
def _public() -> list[bytes]:
    store = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    store.load_verify_locations(cafile=certifi.where())
    return store.get_ca_certs(binary_form=True)


def _issued(below: x509.Certificate, above: x509.Certificate) -> bool:
    try:
        below.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _may_sign(last: x509.Certificate, *, alone: bool) -> bool:
    """Tell whether a certificate can stand for all that it issues: a CA, or one that signed itself and has no other."""
    try:
        found = last.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        found = False
    return found or (alone and _issued(last, last))
