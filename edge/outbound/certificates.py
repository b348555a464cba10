"""Certificate of another machine that is not trusted, told so that a reader knows whose it is and what to do.

A failed handshake does not show the certificate: it is fetched by a second one, which trusts all and says nothing.
"""

import contextlib
import socket
import ssl
from collections.abc import Callable

from cryptography import x509

from edge.outbound.errors import OutboundError
from edge.outbound.policy import joined

FETCH_SECONDS = 5.0
EXPIRED, NOT_YET, WRONG_NAME, WRONG_ADDRESS = 10, 9, 62, 64
# What OpenSSL says of a chain that ends at nobody whom the store knows, or at a namesake of one (7).
UNKNOWN_ISSUER = (7, 18, 19, 20, 21)


class CertificateRefused(OutboundError):
    """Certificate that is not trusted: the message names subject, issuer and the fix."""


def refused_certificate(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """Return the failure of a certificate among an error and what it came from; None when it was something else."""
    seen = 0
    while error is not None and seen < 20:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        # The context also where it is suppressed: httpcore raises its errors anew «from None».
        error, seen = error.__cause__ or error.__context__, seen + 1
    return None


def trusting() -> ssl.SSLContext:
    """Return a context that takes any certificate, only to look at it."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    return made


def fetch(connect: Callable[[], socket.socket], name: str) -> bytes | None:
    """Return a server's certificate (DER), trusted or not; None when it cannot be had. `name`: who is asked for."""
    with (
        contextlib.suppress(OSError, ValueError),
        connect() as connection,
        trusting().wrap_socket(connection, server_hostname=name) as secured,
    ):
        return secured.getpeercert(binary_form=True)
    return None


def explained(
    error: ssl.SSLCertVerificationError, der: bytes | None, host: str, port: int, *, remedy: str
) -> str:
    """Return a sentence on a certificate that is not trusted, and what to do.

    `remedy`: the sentence that tells how to have the issuer trusted.
    """
    place = joined(host, port)
    found = _loaded(der)
    if found is None:
        return f"The certificate of {place} is not trusted: {error.verify_message}. {remedy}"
    whose = f"The certificate of {place} ({_name(found.subject)}, issued by {_name(found.issuer)})"
    code = error.verify_code
    if code == EXPIRED:
        until = found.not_valid_after_utc
        over = f"{whose} expired at {until:%Y-%m-%d %H:%M} UTC, or one of its issuers did."
        return f"{over} Have it renewed there, or correct this machine's clock."
    if code == NOT_YET:
        since = found.not_valid_before_utc
        return f"{whose} is good only from {since:%Y-%m-%d %H:%M} UTC on. Correct this machine's clock."
    if code in (WRONG_NAME, WRONG_ADDRESS):
        return (
            f"{whose} is for {_names(found)}, and not for {host}. "
            "Use one of these names, or have another certificate issued."
        )
    if code in UNKNOWN_ISSUER:
        return f"{whose} comes from an issuer whom this machine does not trust. {remedy}"
    return f"{whose} is not trusted: {error.verify_message}. {remedy}"


def _loaded(der: bytes | None) -> x509.Certificate | None:
    with contextlib.suppress(ValueError):
        return x509.load_der_x509_certificate(der) if der else None
    return None


def _name(name: x509.Name) -> str:
    return name.rfc4514_string()[:200] or "without a name"


def _names(certificate: x509.Certificate) -> str:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return "no name at all"
    names = [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]
    return ", ".join(names[:8]) or "no name at all"
