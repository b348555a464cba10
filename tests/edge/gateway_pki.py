"""Certificates and session tokens for tests: a CA as the console has one, and what it issues."""

import datetime as dt
import hashlib
import ipaddress
import time
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.home import Home

GATEWAY_NAME = "gateway.causeway.internal"


class Authority:
    """A CA like the console's; a gateway's, server's or client's tests make one each."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
        builder = self._builder(self._name, self._key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self.pem = self._certificate.public_bytes(Encoding.PEM)
        # Name of the certificate's file in a folder of CAs, as OpenSSL looks for it.
        self.hash = subject_hash(self._certificate)

    def _builder(self, subject: x509.Name, key: Any, days: float = 10) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(days=days))
        )

    def sign(self, key: Any, names: list[str], *, days: float = 10) -> bytes:
        """Return a certificate for a public key; names with a colon become URI SANs."""
        sans: list[x509.GeneralName] = []
        for name in names:
            if name.startswith("uri:"):
                sans.append(x509.UniformResourceIdentifier(name[4:]))
            elif name[0].isdigit() or ":" in name:
                sans.append(x509.IPAddress(ipaddress.ip_address(name)))
            else:
                sans.append(x509.DNSName(name))
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "machine")])
        certificate = (
            self._builder(subject, key, days)
            .add_extension(x509.SubjectAlternativeName(sans), critical=False)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(Encoding.PEM)

    def issue(self, names: list[str], *, days: float = 10) -> tuple[bytes, bytes]:
        """Return a new key and its certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return pem, self.sign(key.public_key(), names, days=days)

    def gateway(self, home: Home, gateway: str) -> None:
        """Put keys and certificates of a gateway in place, as an enrollment or a renewal does."""
        self.write(home, tunnel=[GATEWAY_NAME, gateway], access=["127.0.0.1"])

    def server(self, home: Home, server: str, connector: str) -> None:
        """Put keys and certificates of a connector server in place, as an enrollment does."""
        self.write(home, outer=[server, f"uri:{connector}"], inner=[connector])

    def write(self, home: Home, *, days: float = 10, **names: list[str]) -> dict[str, bytes]:
        """Put keys and certificates with these names in place; return the files."""
        files = {"ca.pem": self.pem}
        for name, of in names.items():
            files[f"{name}.key"], files[f"{name}.pem"] = self.issue(of, days=days)
        home.write_pki(files)
        return files


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


def subject_hash(certificate: x509.Certificate) -> str:
    """Return OpenSSL's hash of a subject, whose one attribute is a name in small ASCII letters once it is canonical."""
    (attribute,) = certificate.subject
    name = str(attribute.value).lower().encode()
    text = b"\x0c" + bytes([len(name)]) + name
    kind = b"\x06\x03\x55\x04\x03"
    sequence = b"\x30" + bytes([len(kind + text)]) + kind + text
    canonical = b"\x31" + bytes([len(sequence)]) + sequence
    return f"{int.from_bytes(hashlib.sha1(canonical).digest()[:4], 'little'):08x}"
