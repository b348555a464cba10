"""The front's certificate: read from the files that the administrator named, and again whenever these change.

Envoy takes key and certificate from one file, so that a renewal is one rename and never half of a pair.
"""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from console.front.envoy import SECRET, SECRET_FILE
from edge.home import Home

KIND = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"


class CertificateInvalid(Exception):
    """Failure of certificate and key to serve the front; the message names the file and what is wrong with it."""


class CertificateFiles:
    """Certificate and key in files that somebody else renews, in whatever way."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = certificate, key
        self._seen: tuple[object, ...] = ()

    def changed(self) -> bool:
        """Tell whether the files are others than when this was asked last."""
        now = tuple(_looks(file) for file in self._files)
        before, self._seen = self._seen, now
        return now != before

    def give_to_envoy(self, folder: Path) -> None:
        """Write what Envoy reads into its folder. Raise `CertificateInvalid` and leave there what it has."""
        certificate, key = self.check()
        pair = {
            "certificate_chain": {"inline_string": certificate.decode()},
            "private_key": {"inline_string": key.decode()},
        }
        secret = {"@type": KIND, "name": SECRET, "tls_certificate": pair}
        Home(folder).write_json(SECRET_FILE, {"resources": [secret]})

    def check(self) -> tuple[bytes, bytes]:
        """Return certificate and key as the files hold them. Raise `CertificateInvalid`."""
        certificate, key = (_read(file) for file in self._files)
        of_certificate, of_key = self._files
        try:
            chain = x509.load_pem_x509_certificates(certificate)
        except ValueError:
            raise CertificateInvalid(f"{of_certificate} holds no certificate in PEM.") from None
        try:
            private = load_pem_private_key(key, password=None)
        except (ValueError, TypeError) as error:
            raise CertificateInvalid(f"{of_key} holds no key in PEM without a password: {error}.") from None
        if not isinstance(private, EllipticCurvePrivateKey | RSAPrivateKey):
            raise CertificateInvalid(
                f"{of_key} must be an RSA key or one of an elliptic curve such as P-256."
            )
        form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        if chain[0].public_key().public_bytes(*form) != private.public_key().public_bytes(*form):
            raise CertificateInvalid(
                f"The key in {of_key} does not belong to the first certificate in {of_certificate}."
            )
        return certificate, key


def _looks(file: Path) -> object:
    try:
        found = file.stat()
    except OSError as error:
        return error.errno
    return found.st_ino, found.st_size, found.st_mtime_ns


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CertificateInvalid(f"{file} cannot be read: {error.strerror}.") from None
