"""Log-on, renewal and log-off over the edge API, and the flows that gateways report (docs/architecture.md)."""

import ipaddress
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Router
from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from console.core.address import client_address
from console.core.errors import Forbidden
from console.edge_api import Schema, signed
from console.edge_api.routes import gateway_of
from console.edge_api.signature import verify
from console.machines import pki
from console.models import Gateway
from roaming.sessions import logon as service
from roaming.sessions.models import UserSession
from roaming.usage import flows as flow_service

router = Router()


def _as_long_as_a_password(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not 0 < len(text) <= 255 or not text.isprintable():
        raise ValueError("must have 1–255 printable characters")
    return secret


def _normal_address(text: str) -> str:
    return str(ipaddress.ip_address(text))


Text = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]


Address = Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f:.]{2,45}$"), AfterValidator(_normal_address)]
Password = Annotated[SecretStr, AfterValidator(_as_long_as_a_password)]


class Login(Schema):
    instance: Text
    username: Text
    password: Password
    public_address: Address | None = None
    kind: Literal["proxy", "connect"]


class Token(Schema):
    token: Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[A-Za-z0-9._-]*$")]


def _calling_gateway(request: HttpRequest) -> str | None:
    """The gateway that signed the call; None for an unsigned one. Refuses a wrong signature and all but a gateway's."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        return None
    machine = verify(request, token.strip())
    if machine.kind != "gateway":
        raise Forbidden("Only a gateway may log on for somebody else.", code="WrongKindOfMachine")
    return machine.id


def answer(token: str, session: UserSession) -> dict[str, Any]:
    """What a client needs for its session: the token, and the gateways of the instance's area."""
    area = session.instance.region.area_id
    gateways = Gateway.objects.filter(region__area=area, enrolled_at__isnull=False)
    return {
        "token": token,
        "session": {
            "id": session.pk,
            "account": session.account_id,
            "instance": session.instance_id,
            "username": session.username,
            "client_ip": session.client_ip,
            "expires_at": int(session.expires_at.timestamp()),
        },
        "gateways": [{"id": gateway.pk, "area": area, "proxy": gateway.proxy_url} for gateway in gateways],
        "ca": pki.ca_pem(),
    }


@router.post("login", auth=None)
def login(request: HttpRequest, payload: Login) -> dict[str, Any]:
    gateway = _calling_gateway(request)
    # Whoever is no gateway could claim any address, and lock out others or nobody.
    told = payload.public_address if gateway else None
    token, session = service.logon(
        instance_id=payload.instance,
        username=payload.username,
        password=payload.password.get_secret_value(),
        public_address=told or client_address(request),
        gateway_id=gateway,
        kind=payload.kind,
    )
    return answer(token, session)


@router.post("session/renew", auth=None)
def renew(request: HttpRequest, payload: Token) -> dict[str, Any]:
    return answer(*service.renew(payload.token))


@router.post("logout", auth=None)
def logout(request: HttpRequest, payload: Token) -> dict[str, Any]:
    service.logout(payload.token)
    return {}


class Flows(Schema):
    """Records are checked one by one, so that one bad record does not refuse its batch for ever."""

    batch: UUID
    records: Annotated[list[Any], Field(max_length=1000)]


@router.post("flows", auth=signed("gateway"))
def flows(request: HttpRequest, payload: Flows) -> dict[str, Any]:
    """Cumulative records of the calling gateway's own flows."""
    taken = flow_service.take_flows(gateway_of(request), payload.batch, payload.records)
    return {"acknowledged": taken.acknowledged, "refused": taken.refused}
