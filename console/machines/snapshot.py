"""Configuration of a gateway, put together from the parts that apps contribute (shape: docs/architecture.md)."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from django.conf import settings
from django.db import transaction
from django.utils.crypto import salted_hmac

from console import ports
from console.machines import config, epochs, pki
from console.machines.gateway_upgrades import GATEWAYS
from console.machines.models.machines import Gateway
from edge.protocol import configuration as wire
from edge.protocol.edition import Edition


class Part(TypedDict, total=False):
    """Sections of the configuration that apps above the console know; each app gives those of its own."""

    instances: Mapping[str, wire.Instance]
    ended_sessions: Mapping[str, str]
    bandwidth: Mapping[str, wire.Kbps]
    connectors: Mapping[str, wire.Connector]
    applications: Mapping[str, wire.Application]
    groups: Mapping[str, Sequence[str]]
    policies: Sequence[wire.Policy]


def echo_key(gateway_id: str) -> str:
    """Return the key by which servers and the gateway know one another's probes (edge.protocol.echo)."""
    return salted_hmac("causeway.echo", gateway_id, algorithm="sha256").hexdigest()


def build(gateway: Gateway) -> wire.GatewayConfiguration:
    """Make the whole snapshot, all parts read in one transaction with its version.

    The version and the mark of ends are read first: a change committed meanwhile makes the content newer than its
    number and is sent again under its own number, never the other way round.
    """
    keys = pki.session_public_keys()
    with transaction.atomic():
        versions, ends = config.current(), config.last_mark()
        parts: Part = {}
        for part in ports.snapshot_parts:
            parts.update(part(gateway))
        return wire.GatewayConfiguration(
            version=versions.version,
            epoch=versions.epoch,
            seal=epochs.seal("version", Edition(versions.epoch, versions.version)),
            servers_version=versions.servers_version,
            gateway=wire.Gateway(
                id=gateway.id,
                name=gateway.name,
                area=gateway.region.area_id,
                area_name=gateway.region.area.name,
                region=gateway.region_id,
                listen=gateway.listen_address,
                client_port=gateway.client_port,
                tunnel_port=gateway.tunnel_port,
                public_host=gateway.public_host,
                echo_key=echo_key(gateway.id),
            ),
            session_keys=keys,
            ends=ends,
            offline_seconds=settings.GATEWAY_OFFLINE_SECONDS,
            upgrade=GATEWAYS.order(gateway),
            **parts,
        )
