"""What connector servers ask and tell, and the flows that gateways report. Shapes: docs/architecture.md."""

from typing import Annotated, Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from ninja import Router
from pydantic import Field, StringConstraints

from connectors import server_configuration
from connectors.models import Sample, Server
from connectors.server_enrollment import address_or_none
from connectors.telemetry import intake, store
from console import config
from console.address import client_address
from console.edge_api import Schema, machine_of, signed
from console.edge_api.routes import gateway_of

router = Router()
MOST_RECORDS = 1000

Text = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00]*$")]
# Checked one by one, so that one bad record does not refuse its batch for ever.
Records = Annotated[list[Any], Field(max_length=MOST_RECORDS)]


class Nothing(Schema):
    pass


class MachineState(Schema):
    hostname: Text = ""
    version: Text = ""
    private_address: Text = ""
    uptime_seconds: float | None = Field(default=None, ge=0, le=2**40, allow_inf_nan=False)
    envoy: Annotated[str, StringConstraints(max_length=20, pattern=r"^[^\x00]*$")] = ""
    open_flows: int | None = Field(default=None, ge=0, le=2**31 - 1)


class Telemetry(Schema):
    batch: UUID
    applied_version: int | None = Field(default=None, ge=0, le=2**53)
    samples: Records
    machine: MachineState


class Flows(Schema):
    batch: UUID
    records: Records


@router.post("server/config", auth=signed("server"))
def server_config(request: HttpRequest, payload: Nothing) -> dict[str, Any]:
    return server_configuration.build(machine_of(request).id)


@router.post("telemetry", auth=signed("server"))
def telemetry(request: HttpRequest, payload: Telemetry) -> dict[str, Any]:
    """An empty batch is a heartbeat. The answer names the configuration that the server should work by."""
    server = server_configuration.server_of(machine_of(request).id)
    taken = intake.take_samples(server, payload.batch, payload.samples)
    _heard(request, server, payload, taken.newest)
    return {
        "acknowledged": taken.acknowledged,
        "refused": taken.refused,
        "wanted_version": config.current().servers_version,
        "interval": settings.TELEMETRY_INTERVAL,
    }


def _heard(request: HttpRequest, server: Server, payload: Telemetry, newest: Sample | None) -> None:
    now = timezone.now()
    machine = payload.machine
    values: dict[str, Any] = {
        "heard_at": now,
        "endpoint_ip": address_or_none(client_address(request)),
        "private_ip": address_or_none(machine.private_address),
        "hostname": machine.hostname,
        "version": machine.version[:40],
        "applied_version": payload.applied_version,
        "uptime_seconds": None if machine.uptime_seconds is None else int(machine.uptime_seconds),
        "envoy_state": machine.envoy,
        "open_flows": machine.open_flows,
    }
    if newest is not None and now - newest.time < store.FRESH:  # a spooled sample says nothing of now
        values |= {"cpu_percent": newest.cpu_percent, "memory_percent": newest.memory_percent}
    Server.objects.filter(pk=server.pk).update(**values)


@router.post("flows", auth=signed("gateway"))
def flows(request: HttpRequest, payload: Flows) -> dict[str, Any]:
    """Cumulative records of the calling gateway's own flows."""
    taken = intake.take_flows(gateway_of(request), payload.batch, payload.records)
    return {"acknowledged": taken.acknowledged, "refused": taken.refused}
