"""Routes of the console itself: enrollment, renewal, configuration and status of gateways."""

from typing import Annotated, Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router
from pydantic import Field, StringConstraints

from console import ports
from console.core.address import client_address
from console.core.errors import NotFound
from console.edge_api.front import Schema
from console.edge_api.signature import Machine, Signed, machine_of, signed, verify
from console.machines import config, enrollment, logs, pki, snapshot
from console.machines.models.machines import Gateway
from console.machines.reported import (
    Address,
    Block,
    Count,
    Reported,
    ReportedTable,
    ReportedText,
    Text,
    Version,
    Word,
)

router = Router()
STATUS_INTERVAL = 5

Pem = Annotated[str, StringConstraints(max_length=8192, pattern=r"^[^\x00]*$")]
Kind = Annotated[str, StringConstraints(pattern=r"^(server|gateway)$")]

EnvoyState = Annotated[Text, StringConstraints(max_length=20)]
Tunnels = Annotated[Count, Field(le=10_000)]


class Enroll(Schema):
    code: Annotated[str, StringConstraints(min_length=4, max_length=40, pattern=r"^[^\x00]*$")]
    kind: Kind
    csrs: dict[str, Pem]
    hostname: ReportedText[Text] = ""
    version: ReportedText[Word] = ""
    private_address: ReportedText[Address] = ""
    system: ReportedText[Text] = ""


class Renew(Schema):
    csrs: dict[str, Pem]


class GatewayConfig(Schema):
    applied_version: int = Field(ge=0, le=2**53)
    cut_flows: Reported[Count] = 0
    wait: float = Field(default=0, ge=0, le=25)


class GatewayStatus(Block):
    version: ReportedText[Word] = ""
    applied_version: Reported[Version] = None
    open_flows: Reported[Count] = None
    envoy: ReportedText[EnvoyState] = ""
    tunnels: ReportedTable[Tunnels] = None


class AnyMachine(Signed):
    """Door for any enrolled machine: its signature is required, whatever its kind."""

    def __init__(self) -> None:
        super().__init__("machine")

    def authenticate(self, request: HttpRequest, token: str) -> Machine:
        return verify(request, token)


def gateway_of(request: HttpRequest) -> Gateway:
    try:
        return Gateway.objects.select_related("region__area").get(pk=machine_of(request).id)
    except Gateway.DoesNotExist as error:
        raise NotFound("This gateway was removed from the console.", code="MachineUnknown") from error


@router.post("enroll", auth=None)
def enroll(request: HttpRequest, payload: Enroll) -> dict[str, Any]:
    introduction = enrollment.Introduction(
        csrs=payload.csrs,
        hostname=payload.hostname,
        version=payload.version,
        private_address=payload.private_address,
        system=payload.system,
        public_address=client_address(request),
    )
    return enrollment.enroll(code=payload.code, kind=payload.kind, introduction=introduction)


@router.post("renew", auth=AnyMachine())
def renew(request: HttpRequest, payload: Renew) -> dict[str, Any]:
    machine = machine_of(request)
    return {"certificates": enrollment.issue(machine.id, machine.kind, payload.csrs), "ca": pki.ca_pem()}


@router.post("gateway/config", auth=signed("gateway"))
def gateway_config(request: HttpRequest, payload: GatewayConfig) -> dict[str, Any]:
    """Answer a long poll. The version that a gateway works by is its confirmation of every cut-over up to that."""
    gateway = gateway_of(request)
    config.applied(gateway, version=payload.applied_version, flows_cut=payload.cut_flows)
    version = config.current().version
    if version <= payload.applied_version and payload.wait:
        config.watcher.wait_beyond(payload.applied_version, payload.wait)
        version = config.current().version
    if version <= payload.applied_version:
        return {"unchanged": True, "version": version}
    return snapshot.build(gateway_of(request)).encode()


@router.post("gateway/status", auth=signed("gateway"))
def gateway_status(request: HttpRequest, payload: GatewayStatus) -> dict[str, Any]:
    gateway = gateway_of(request)
    Gateway.objects.filter(pk=gateway.pk).update(
        heard_at=timezone.now(),
        open_flows=payload.open_flows,
        envoy_state=payload.envoy,
        software=payload.version,
    )
    if payload.tunnels is not None:
        for tell in ports.tunnels_reported:
            tell(gateway, payload.tunnels)
    return {"interval": STATUS_INTERVAL, "logs": logs.wanted(gateway.pk)}
