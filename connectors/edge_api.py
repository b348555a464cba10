"""Calls of connector servers: configuration, upgrades, telemetry. Shapes: ``edge.protocol.reports``."""

import logging

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router

from connectors import metrics
from connectors.fleet import configuration as server_configuration
from connectors.fleet import pace
from connectors.fleet.enrollment import address_or_none
from connectors.fleet.services.upgrades import SERVERS
from connectors.telemetry import intake, reports
from console.core.address import client_address
from console.edge_api import machine_of, serve, signed
from console.machines import epochs
from edge.protocol.configuration import ServerConfiguration
from edge.protocol.edition import Edition
from edge.protocol.reports import MachineState, Nothing, Telemetry, TelemetryAnswer, UpgradeWord

router = Router()
log = logging.getLogger("causeway.telemetry")


@serve(router, "server/config", Nothing, auth=signed("server"))
def server_config(request: HttpRequest, question: Nothing) -> ServerConfiguration:
    """Answer with the configuration of the calling server."""
    return server_configuration.build(machine_of(request).id)


@serve(router, "server/upgrade", UpgradeWord, auth=signed("server"))
def server_upgrade(request: HttpRequest, word: UpgradeWord) -> Nothing:
    """Note how far the calling server is with its order."""
    server = server_configuration.server_of(machine_of(request).id)
    SERVERS.told(server, order=word.order, state=word.state, message=word.message)
    return Nothing()


@serve(router, "telemetry", Telemetry, auth=signed("server"))
def telemetry(request: HttpRequest, told: Telemetry) -> TelemetryAnswer:
    """Take samples in; an empty batch is a heartbeat. Answer with the configuration that the server should work by."""
    server = machine_of(request).id
    intake.share(server, len(told.samples))
    samples = intake.samples_of(server, told.samples)
    machine = told.machine or MachineState()
    heard = {
        "heard_at": timezone.now(),
        "endpoint_ip": address_or_none(client_address(request)),
        "private_ip": machine.private_address or None,
        "hostname": machine.hostname,
        "version": machine.version,
        "applied_version": told.applied_version,
        "applied_epoch": told.epoch,
        "uptime_seconds": None if machine.uptime_seconds is None else int(machine.uptime_seconds),
        "envoy_state": machine.envoy,
        "open_flows": machine.open_flows,
    }
    report = reports.Report(server, samples, heard, paths=told.paths, destinations=told.destinations)
    with metrics.calls.time():
        answer = reports.submit(report)
    pace.refresh()
    refused = _count(server, len(told.samples), len(told.samples) - len(samples), answer)
    now = epochs.present(answer.now, _claim(server, told))
    return TelemetryAnswer(
        acknowledged=len(told.samples),
        refused=refused,
        wanted_version=now.servers_version,
        epoch=now.epoch,
        interval=pace.interval(),
    )


def _count(server: str, told: int, senseless: int, answer: reports.Answer) -> int:
    """Count what became of a report's samples; return how many were refused, which the log says as well."""
    outcomes = {"stored": answer.new, "repeated": answer.repeated, "overlapping": answer.overlapping}
    for outcome, count in (outcomes | {"refused": senseless}).items():
        metrics.samples.labels(outcome).inc(count)
    refused = senseless + answer.overlapping
    if refused:
        log.warning(
            "%s: %d of %d samples refused: %d absurd, future-dated or too old, %d of time that was counted already",
            server,
            refused,
            told,
            senseless,
            answer.overlapping,
        )
    return refused


def _claim(server: str, told: Telemetry) -> epochs.Claim:
    edition = Edition(told.epoch, told.applied_version or 0)
    return epochs.Claim(server, "servers_version", edition, told.seal)
