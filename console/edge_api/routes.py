"""Calls of the console itself: enrollment, renewal, configuration and status of gateways."""

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router

from console import ports
from console.core.address import client_address
from console.core.errors import NotFound
from console.core.models.version import ConfigVersion
from console.edge_api.front import serve
from console.edge_api.signature import Machine, Signed, machine_of, signed, verify
from console.machines import config, enrollment, epochs, logs, pki, snapshot
from console.machines.gateway_upgrades import GATEWAYS
from console.machines.models.machines import Gateway
from edge.protocol.configuration import GatewayConfiguration
from edge.protocol.edition import Edition
from edge.protocol.enrollment import Enroll, Enrolled, Renew, Renewed
from edge.protocol.reports import GatewayPoll, GatewayStatus, Nothing, StatusAnswer, Unchanged, UpgradeWord

router = Router()
STATUS_INTERVAL = 5


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


@serve(router, "enroll", Enroll, auth=None)
def enroll(request: HttpRequest, machine: Enroll) -> Enrolled:
    """Admit a machine by its code."""
    return enrollment.enroll(machine, public_address=client_address(request))


@serve(router, "renew", Renew, auth=AnyMachine())
def renew(request: HttpRequest, wanted: Renew) -> Renewed:
    """Sign new certificates for the machine's keys."""
    machine = machine_of(request)
    return Renewed(enrollment.issue(machine.id, machine.kind, wanted.csrs), pki.ca_pem())


@serve(
    router, "gateway/config", GatewayPoll, auth=signed("gateway"), decides=("wait", "epoch", "seal", "ends")
)
def gateway_config(request: HttpRequest, poll: GatewayPoll) -> GatewayConfiguration | Unchanged:
    """Answer a long poll. The version that a gateway works by is its confirmation of every cut-over up to that.

    Sessions that ended are told ahead of the configuration, which is sent where they cannot be.
    """
    gateway = gateway_of(request)
    edition = Edition(poll.epoch, poll.applied_version)
    now = epochs.present(claim=epochs.Claim(gateway.pk, "version", edition, poll.seal))
    confirms, takes_ends = _knows(now, edition), poll.ends is not None
    config.applied(gateway, edition, flows_cut=poll.cut_flows, confirms=confirms, takes_ends=takes_ends)
    if poll.wait and _is_present(now, edition) and _nothing_ended(poll):
        config.watcher.wait_beyond(now, poll.wait)
    now = epochs.present()
    if _is_present(now, edition):
        if poll.ends is None:
            return Unchanged(True, now.version)
        if (ended := config.ended_since(poll.ends)) is not None:
            return Unchanged(True, now.version, ended.mark, ended.sessions)
    return snapshot.build(gateway_of(request))


def _nothing_ended(poll: GatewayPoll) -> bool:
    """Tell whether a gateway knows every end; one of release 0.1 is told by configurations."""
    if poll.ends is None:
        return True
    ended = config.ended_since(poll.ends)
    return ended is not None and ended.mark == poll.ends


def _knows(now: ConfigVersion, edition: Edition) -> bool:
    """Tell whether an edition is of the present history; release 0.1 names no epoch, and is believed by the number."""
    return edition.epoch == now.epoch or (not edition.epoch and edition.version <= now.version)


def _is_present(now: ConfigVersion, edition: Edition) -> bool:
    return edition.version == now.version and _knows(now, edition)


@serve(router, "gateway/status", GatewayStatus, auth=signed("gateway"))
def gateway_status(request: HttpRequest, status: GatewayStatus) -> StatusAnswer:
    """Keep how a gateway is, and which tunnels it has."""
    gateway = gateway_of(request)
    Gateway.objects.filter(pk=gateway.pk).update(
        heard_at=timezone.now(),
        open_flows=status.open_flows,
        envoy_state=status.envoy,
        software=status.version,
    )
    if status.tunnels is not None:
        for tell in ports.tunnels_reported:
            tell(gateway, status.tunnels)
    return StatusAnswer(STATUS_INTERVAL, logs.wanted(gateway.pk))


@serve(router, "gateway/upgrade", UpgradeWord, auth=signed("gateway"))
def gateway_upgrade(request: HttpRequest, word: UpgradeWord) -> Nothing:
    """Note how far the calling gateway is with its order."""
    GATEWAYS.told(gateway_of(request), order=word.order, state=word.state, message=word.message)
    return Nothing()
