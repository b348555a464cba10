"""The console's certificate authority and the key that signs session tokens.

Cryptography is the package of that name's; names in certificates come from the console's records, never a request.
"""

import ipaddress
import secrets
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from django.conf import settings
from django.db import IntegrityError, transaction

from console.core.errors import Invalid
from console.core.sealed import open_private_key, seal_private_key
from console.machines.models.pki import Authority

GATEWAY_NAME = "gateway.causeway.internal"
CA_LIFETIME = timedelta(days=10 * 365)
# Time by which certificates are backdated: a clock that is behind must not find a new one «not yet valid».
BACKDATE = timedelta(hours=2)


def _new_ca() -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Causeway CA {secrets.token_hex(4)}")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return seal_private_key(key), certificate.public_bytes(ser.Encoding.PEM).decode()


def _new_session_key() -> tuple[str, str]:
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo)
    return seal_private_key(key), public.decode()


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def authority(kind: str) -> Authority:
    """Return the active key of ``kind`` (``ca`` or ``session``), made on first use."""
    found = Authority.objects.filter(kind=kind, active=True).first()
    if found:
        return found
    private, public = _new_ca() if kind == "ca" else _new_session_key()
    try:
        with transaction.atomic():
            return Authority.objects.create(
                kind=kind, key_id=secrets.token_hex(8), private_key=private, public=public
            )
    except IntegrityError:  # another process made it in the same moment
        return Authority.objects.get(kind=kind, active=True)


def ca_pem() -> str:
    """Return every certificate of the console to be trusted, the signing one first; several during a roll-over."""
    authority("ca")
    found = Authority.objects.filter(kind="ca").order_by("-active", "-created_at")
    return "".join(each.public.rstrip("\n") + "\n" for each in found)


def ca_add() -> Authority:
    """Add a certificate authority to be trusted, which signs nothing yet."""
    private, public = _new_ca()
    return Authority.objects.create(
        kind="ca", key_id=secrets.token_hex(8), private_key=private, public=public, active=False
    )


def session_signing_key() -> tuple[str, ed25519.Ed25519PrivateKey]:
    """Return (key id, private key) for session tokens."""
    found = authority("session")
    return found.key_id, open_private_key(found.private_key)  # type: ignore[return-value]


def session_keys_replace() -> None:
    """Forget the keys of session tokens: no token of before counts any more. The next log-on makes another key."""
    Authority.objects.filter(kind="session").delete()


def session_public_keys() -> dict[str, str]:
    """Return key id → public key in PEM, retired keys included, so that their tokens live out their life."""
    authority("session")
    return dict(Authority.objects.filter(kind="session").values_list("key_id", "public"))


def alternative_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def certificate(csr_pem: str, *, names: list[x509.GeneralName], server: bool, client: bool) -> str:
    """Sign a P-256 key's certificate request with names and uses of the console's choosing; PEM.

    Raises ``Invalid`` when the request is not one, or not signed by its own key.
    """
    try:
        csr = x509.load_pem_x509_csr(csr_pem.encode())
        csr.public_key().verify(  # type: ignore[union-attr, call-arg]
            csr.signature,
            csr.tbs_certrequest_bytes,
            ec.ECDSA(csr.signature_hash_algorithm),  # type: ignore[arg-type]
        )
        if not isinstance(csr.public_key(), ec.EllipticCurvePublicKey):
            raise ValueError("not an elliptic-curve key")
    except (ValueError, TypeError, AttributeError, InvalidSignature) as error:
        raise Invalid(
            "csrs must hold certificate requests in PEM, made with P-256 keys.", field="csrs"
        ) from error
    ca = authority("ca")
    ca_certificate = x509.load_pem_x509_certificate(ca.public.encode())
    now = datetime.now(UTC)
    uses = [ExtendedKeyUsageOID.SERVER_AUTH] * server + [ExtendedKeyUsageOID.CLIENT_AUTH] * client
    signed = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(ca_certificate.subject)
        .public_key(csr.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + settings.CERTIFICATE_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_certificate.public_key()),  # type: ignore[arg-type]
            critical=False,
        )
        .sign(open_private_key(ca.private_key), hashes.SHA256())
    )
    return signed.public_bytes(ser.Encoding.PEM).decode()


def certificate_end(pem: str) -> datetime:
    """Return the moment until which a certificate holds, aware."""
    return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc


def csr_public_key(csr_pem: str) -> str:
    """Return the public key of a certificate request, in PEM."""
    key = x509.load_pem_x509_csr(csr_pem.encode()).public_key()
    return key.public_bytes(ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo).decode()
