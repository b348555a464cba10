"""Calls of connector servers: configuration, upgrades, telemetry. Shapes: docs/architecture.md."""

import logging
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router
from pydantic import Field, StringConstraints

from connectors import metrics
from connectors.fleet import configuration as server_configuration
from connectors.fleet import pace, services
from connectors.fleet.enrollment import address_or_none
from connectors.telemetry import intake, reports
from console.core.address import client_address
from console.edge_api import Schema, machine_of, signed
from console.edge_api.routes import EnvoyState
from console.machines.reported import (
    Address,
    Block,
    Count,
    Message,
    Milliseconds,
    Percent,
    Reported,
    ReportedRows,
    ReportedText,
    Seconds,
    Text,
    Version,
    Word,
)

router = Router()
log = logging.getLogger("causeway.telemetry")
MOST_RECORDS = 1000

# Any values: ``intake`` checks records one by one, so that a bad record does not refuse its batch for ever.
Records = Annotated[list[Any], Field(max_length=MOST_RECORDS)]


class Nothing(Schema):
    pass


class MachineState(Block):
    hostname: ReportedText[Text] = ""
    version: ReportedText[Word] = ""
    private_address: ReportedText[Address] = ""
    uptime_seconds: Reported[Seconds] = None
    envoy: ReportedText[EnvoyState] = ""
    open_flows: Reported[Count] = None


class Path(Block):
    """Way to a gateway over the last seconds; null what was not measured. ``by``: udp or tcp."""

    gateway: Word
    latency_ms: Reported[Milliseconds] = None
    loss_percent: Reported[Percent] = None
    by: ReportedText[Literal["udp", "tcp", ""]] = ""


class Destination(Block):
    """Answer of an application's host to a connection: ``reached``, or not."""

    application: Word
    host: Text
    port: int = Field(strict=True, ge=1, le=65535)
    reached: bool = Field(strict=True)
    milliseconds: Reported[Milliseconds] = None


class Telemetry(Schema):
    batch: UUID
    # Unlike a gateway's, this version confirms no cut-over: the server itself compares it with the wanted one.
    applied_version: Reported[Version] = None
    samples: Records
    machine: Reported[MachineState] = None
    paths: ReportedRows[Path] = None
    destinations: ReportedRows[Destination] = None


@router.post("server/config", auth=signed("server"))
def server_config(request: HttpRequest, payload: Nothing) -> dict[str, Any]:
    return server_configuration.build(machine_of(request).id).encode()


class UpgradeWord(Schema):
    """Progress of a server with an order. ``message``: why the order failed or was taken back."""

    order: Annotated[str, StringConstraints(max_length=40, pattern=r"^[^\x00]*$")]
    state: Literal["installing", "restarting", "healthy", "failed", "rolled_back"]
    message: ReportedText[Message] = ""


@router.post("server/upgrade", auth=signed("server"))
def server_upgrade(request: HttpRequest, payload: UpgradeWord) -> dict[str, Any]:
    server = server_configuration.server_of(machine_of(request).id)
    services.upgrade_told(server=server, order=payload.order, state=payload.state, message=payload.message)
    return {}


@router.post("telemetry", auth=signed("server"))
def telemetry(request: HttpRequest, payload: Telemetry) -> dict[str, Any]:
    """Take samples in; an empty batch is a heartbeat. Answer with the configuration that the server should work by."""
    server = machine_of(request).id
    samples = intake.samples_of(server, payload.samples)
    machine = payload.machine or MachineState()
    heard = {
        "heard_at": timezone.now(),
        "endpoint_ip": address_or_none(client_address(request)),
        "private_ip": machine.private_address or None,
        "hostname": machine.hostname,
        "version": machine.version,
        "applied_version": payload.applied_version,
        "uptime_seconds": None if machine.uptime_seconds is None else int(machine.uptime_seconds),
        "envoy_state": machine.envoy,
        "open_flows": machine.open_flows,
    }
    report = reports.Report(
        server, samples, heard, paths=_plain(payload.paths), destinations=_plain(payload.destinations)
    )
    refused = len(payload.samples) - len(samples)
    if refused:
        log.warning(
            "%s: %d of %d samples refused: absurd, future-dated or too old",
            server,
            refused,
            len(payload.samples),
        )
    with metrics.calls.time():
        answer = reports.submit(report)
    pace.refresh()
    for outcome, count in (
        ("stored", answer.new),
        ("repeated", answer.repeated),
        ("refused", refused),
    ):
        metrics.samples.labels(outcome).inc(count)
    return {
        "acknowledged": len(payload.samples),
        "refused": refused,
        "wanted_version": answer.wanted_version,
        "interval": pace.interval(),
    }


def _plain(ways: Sequence[Block | None] | None) -> list[dict[str, Any]] | None:
    return None if ways is None else [way.model_dump() for way in ways if way is not None]
