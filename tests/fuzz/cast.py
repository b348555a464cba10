"""Who sends: a stranger, users of each role and staff in Django admin, a gateway, a server, a client account."""

from __future__ import annotations

import base64
import json
import time
import uuid
from functools import cached_property
from random import Random
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from django.conf import settings
from django.test import Client

from connectors.models import Connector
from console.core import audit
from console.core.errors import Refusal
from console.machines import enrollment
from console.models import Gateway, User
from roaming.models import ClientAccount
from tests.connectors.factories import enrolled_gateway, sample, telemetry
from tests.console.everything import everything
from tests.console.factories import GatewayFactory, UserFactory
from tests.console.machine import NAMES, Machine
from tests.fuzz import targets, values
from tests.roaming.factories import PASSWORD, flow, flows

PEOPLE: dict[str, dict[str, Any]] = {
    "anonymous": {},
    "viewer": {"role": "viewer"},
    "operator": {"role": "operator"},
    "administrator": {"role": "administrator"},
    "staff": {"role": "viewer", "is_staff": True},
    "superuser": {"role": "administrator", "is_staff": True, "is_superuser": True},
}
MACHINES = ("gateway", "server")
OTHER_CLAIMS = ("nbf", "aud", "iss", "sub", "b64", "crit")
ROLES = (*PEOPLE, *MACHINES, "account")


class Cast:
    """Everybody who sends, and one object of everything for them."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        for role, given in PEOPLE.items():
            if given:
                self.users[role] = UserFactory(username=role, **given)
        self.ids: targets.Ids = dict(everything(self.users["operator"]))
        gateway = GatewayFactory()
        self.machines = {
            "gateway": enrolled_gateway(gateway),
            "server": Machine("server", str(self.ids["connector_id"])),
        }
        self.ids |= targets.admin_ids() | {"<id>": self.users["viewer"].pk}
        self.token = self._log_on()
        self._cookies = {role: self._log_in(role) for role in self.users}

    def cookie(self, role: str) -> str:
        return self._cookies.get(role, "")

    def log_in_again(self, role: str) -> None:
        """Log a user in whose request ended the session; a user who was removed stays out."""
        if role in self.users and User.objects.filter(pk=self.users[role].pk).exists():
            self.users[role].refresh_from_db()
            self._cookies[role] = self._log_in(role)

    def client(self, role: str) -> Client:
        client = Client(raise_request_exception=False)
        client.force_login(self.users[role], backend="django.contrib.auth.backends.ModelBackend")
        return client

    def _log_in(self, role: str) -> str:
        return (
            f"{settings.SESSION_COOKIE_NAME}={self.client(role).cookies[settings.SESSION_COOKIE_NAME].value}"
        )

    def _log_on(self) -> str:
        answer = Client().post("/edge/v1/login", self._credentials, content_type="application/json")
        return str(answer.json()["token"])

    @cached_property
    def _credentials(self) -> dict[str, Any]:
        """What the account logged on with, also when a story has deleted it since."""
        account = ClientAccount.objects.get(pk=self.ids["account_id"])
        given = {"instance": account.instance_id, "username": account.username, "password": PASSWORD}
        return given | {"kind": "connect"}

    def call(self, role: str, path: str) -> dict[str, Any]:
        """Return what a caller of an honest release would send to a route of the edge API."""
        now, name = time.time(), path.removeprefix("/edge/v1/")
        export, account = self.ids["export_id"], self.ids["account_id"]
        machine = self.machines.get(role, self.machines["gateway"])
        order = {"order": str(uuid.UUID(int=0)), "state": "installing", "message": "as wished"}
        usual: dict[str, Any] = {
            "gateway/config": {"applied_version": 1, "cut_flows": 0, "wait": 0, "epoch": "", "seal": ""},
            "gateway/status": {
                "version": "0.1.0",
                "open_flows": 3,
                "envoy": "running",
                "applied_version": 1,
                "tunnels": {self.machines["server"].id: 2},
            },
            "logs": {
                "export": export,
                "part": 0,
                "last": True,
                "data": base64.b64encode(b"archive").decode(),
            },
            "logs/failed": {"export": export, "message": "no room"},
            "login": {"public_address": "203.0.113.7"},
            "flows": flows(
                flow(account=account, started_at=now - 9, time=now - 1), flow(flow="f2", ended_at=now)
            ),
            "telemetry": telemetry(
                sample(time=now - 2, latency_ms=3.0, loss_percent=0.0),
                sample(time=now),
                paths=[
                    {
                        "gateway": self.machines["gateway"].id,
                        "latency_ms": 2.0,
                        "loss_percent": 0,
                        "by": "udp",
                    }
                ],
                destinations=[self._destination()],
                epoch="",
                seal="",
            ),
        }
        if name == "enroll":
            return self._enrollment(machine)
        if name in ("login", "session/renew", "logout"):
            return self._credentials | usual["login"] if name == "login" else {"token": self.token}
        return usual.get(name) or (
            {"csrs": machine.csrs()} if name == "renew" else order if "upgrade" in name else {}
        )

    def _destination(self) -> dict[str, Any]:
        where = {"application": self.ids["application_id"], "host": "wiki.corp.example", "port": 80}
        return where | {"reached": True, "milliseconds": 1.5}

    def _enrollment(self, machine: Machine) -> dict[str, Any]:
        kind = Gateway if machine.kind == "gateway" else Connector
        target = kind.objects.order_by("pk").values_list("pk", flat=True).first() or "none"
        try:
            code, _ = enrollment.code_create(kind=machine.kind, target=target, actor=audit.System("fuzz"))
        except Refusal:
            code = "ABCD-EFGH-JKMN"
        body = {
            "code": code,
            "kind": machine.kind,
            "csrs": machine.csrs(),
            "hostname": "host",
            "version": "1",
        }
        return body | {"private_address": "10.0.0.1", "system": "Debian"}

    def signature(self, rng: Random, role: str, path: str, body: bytes) -> str:
        """Return the Authorization header of a machine: right for the call, seldom wrong in a claim."""
        machine = self.machines[role]
        token = machine.token(path, body)
        if rng.random() < 0.1:
            claims, head = (
                jwt.decode(token, options={"verify_signature": False}),
                jwt.get_unverified_header(token),
            )
            claims = values.document(rng, claims | dict.fromkeys(rng.sample(OTHER_CLAIMS, 1), "x"))
            head = rng.choice((head, head, values.document(rng, head)))
            key = machine.keys[NAMES[role][0]]
            token = signed(head, json.dumps(claims).encode(), key)
        return f"Bearer {token}"


def signed(head: Any, claims: bytes, key: ec.EllipticCurvePrivateKey) -> str:
    """Sign whatever there is to sign, which a library for honest senders refuses."""
    parts = (json.dumps(head).encode(), claims)
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    r, s = decode_dss_signature(key.sign(text, ec.ECDSA(hashes.SHA256())))
    whole = text + b"." + base64.urlsafe_b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).rstrip(b"=")
    return whole.decode()
