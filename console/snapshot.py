"""A gateway's configuration, put together from what each app contributes (shape: docs/architecture.md)."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.crypto import salted_hmac

from console import config, pki
from console.models import Gateway

Part = Callable[[Gateway], dict[str, Any]]
_parts: list[Part] = []


def contribute(part: Part) -> Part:
    """Register a function whose dict is merged into every snapshot; used as a decorator at start-up."""
    _parts.append(part)
    return part


def echo_key(gateway_id: str) -> str:
    """By which connector servers and the gateway know one another's probes (edge.echo); the same to all servers."""
    return salted_hmac("causeway.echo", gateway_id, algorithm="sha256").hexdigest()


def build(gateway: Gateway) -> dict[str, Any]:
    """The whole snapshot, all parts read in one transaction with its version.

    The version is read first: a change committed meanwhile makes the content newer than its number, and is then sent
    again under its own; never the other way round.
    """
    keys = pki.session_public_keys()
    with transaction.atomic():
        versions = config.current()
        document: dict[str, Any] = {
            "version": versions.version,
            "servers_version": versions.servers_version,
            "gateway": {
                "id": gateway.id,
                "name": gateway.name,
                "area": gateway.region.area_id,
                "area_name": gateway.region.area.name,
                "region": gateway.region_id,
                "listen": gateway.listen_address,
                "client_port": gateway.client_port,
                "tunnel_port": gateway.tunnel_port,
                "public_host": gateway.public_host,
                "echo_key": echo_key(gateway.id),
            },
            "session_keys": keys,
            "offline_seconds": settings.GATEWAY_OFFLINE_SECONDS,
        }
        for part in _parts:
            document |= part(gateway)
    return document
