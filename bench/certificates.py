"""Certificates of the bare chain, good for an hour: one CA, a gateway's, a server's outer and inner one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

LIFETIME = timedelta(hours=1)


def _builder(name: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    subject, parent = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (name, issuer))
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(parent)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + LIFETIME)
    )


def write_certificates(folder: Path, names: dict[str, list[x509.GeneralName]]) -> None:
    """Write ``ca.pem`` and, for each name, ``NAME.pem`` and ``NAME.key`` with those subject alternative names."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _builder("bench", "bench", ca_key).add_extension(x509.BasicConstraints(True, None), critical=True)
    (folder / "ca.pem").write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.PEM))
    for name, alternatives in names.items():
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(name, "bench", key)
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        (folder / f"{name}.pem").write_bytes(builder.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.PEM))
        key_file = folder / f"{name}.key"
        key_file.touch(mode=0o600)
        key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
