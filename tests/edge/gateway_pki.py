"""Certificates and session tokens for tests: a CA as the console has one, and what it issues."""

from __future__ import annotations

import datetime
import ipaddress
import tempfile
import time
from pathlib import Path

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from edge.home import Home

GATEWAY_NAME = "gateway.causeway.internal"


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class Authority:
    """A small CA; ``issue`` writes ``{name}.key``, ``{name}.pem`` and ``ca.pem`` into a folder."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
        builder = self._builder(self.name, self.key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), True
        )
        self.certificate = builder.sign(self.key, hashes.SHA256())

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    def issue(self, folder: Path, name: str, *, dns: list[str] = [], uri: str = "", ip: str = "") -> None:  # noqa: B006
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(each) for each in dns]
        if uri:
            names.append(x509.UniformResourceIdentifier(uri))
        if ip:
            names.append(x509.IPAddress(ipaddress.ip_address(ip)))
        builder = self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key)
        certificate = builder.add_extension(x509.SubjectAlternativeName(names), False).sign(
            self.key, hashes.SHA256()
        )
        (folder / f"{name}.key").write_bytes(_pem(key))
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        (folder / "ca.pem").write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def gateway(self, home: Home, gateway: str) -> None:
        """Keys and certificates of a gateway, put in place as an enrollment or a renewal does."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            self.issue(folder, "tunnel", dns=[GATEWAY_NAME, gateway])
            self.issue(folder, "access", ip="127.0.0.1")
            home.write_pki({file.name: file.read_bytes() for file in folder.iterdir()})


class TokenSigner:
    """Signs session tokens as the console does."""

    kid = "test-key"

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()

    @property
    def public_pem(self) -> str:
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def token(
        self, session: str, account: str, instance: str, *, seconds: float = 3600, **claims: object
    ) -> str:
        now = time.time()
        # Whole seconds would make two tokens of one session, of which one has a bandwidth, equally new.
        body = {
            "iss": "causeway", "sub": account, "sid": session, "ins": instance, "usr": "alice", "ip": "10.0.0.2",
            "iat": int(now), "exp": now + seconds,
        }  # fmt: skip
        return jwt.encode(body | claims, self.key, algorithm="EdDSA", headers={"kid": self.kid})
