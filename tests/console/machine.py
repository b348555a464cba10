"""A machine as the console sees one: keys of its own, certificate requests, signed calls."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import Client

from console.core import audit
from console.machines import enrollment

NAMES = {"gateway": ("tunnel", "access"), "server": ("outer", "inner")}


def csr(key: ec.EllipticCurvePrivateKey, common_name: str = "whatever the machine claims") -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(ser.Encoding.PEM).decode()


class Machine:
    """Enrolls over HTTP with a code, then signs its calls as the edge does."""

    def __init__(self, kind: str, target: str) -> None:
        self.kind, self.client = kind, Client()
        self.keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in NAMES[kind]}
        code, _ = enrollment.code_create(kind=kind, target=target, actor=audit.System("test"))
        self.answer = self.enroll(code).json()
        self.id = self.answer["id"]

    def csrs(self) -> dict[str, str]:
        return {name: csr(key) for name, key in self.keys.items()}

    def enroll(self, code: str) -> Any:
        body = {"code": code, "kind": self.kind, "csrs": self.csrs(), "hostname": "host", "version": "1"}
        return self.client.post("/edge/v1/enroll", body, content_type="application/json")

    def token(self, path: str, body: bytes, **changes: Any) -> str:
        now = int(time.time())
        digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()
        claims = {
            "iat": now,
            "exp": now + 60,
            "jti": uuid.uuid4().hex,
            "htm": "POST",
            "htu": path,
            "bsh": digest,
        }
        signing = self.keys[NAMES[self.kind][0]]
        return jwt.encode(claims | changes, signing, "ES256", headers={"kid": self.id})

    def call(self, path: str, body: dict[str, Any] | bytes, **changes: Any) -> Any:
        """POST ``/edge/v1/<path>``; ``changes`` alter the signature's claims."""
        url, data = f"/edge/v1/{path}", body if isinstance(body, bytes) else json.dumps(body).encode()
        authorization = f"Bearer {self.token(url, data, **changes)}"
        return self.client.post(
            url, data, content_type="application/json", headers={"authorization": authorization}
        )
