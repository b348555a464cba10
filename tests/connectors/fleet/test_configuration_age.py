"""Which configuration a machine works by, which one it should, and since when: on the pages, for both kinds."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from connectors.models import Server
from console.models import ConfigVersion, Gateway
from tests.connectors.factories import ConnectorFactory
from tests.console.machine import Machine
from tests.responses import words

pytestmark = pytest.mark.django_db
HOUR_AGO = timedelta(hours=1)


def heartbeat(machine: Machine, version: int) -> None:
    told = {
        "batch": "6f1f6f6e-0000-4000-8000-000000000001",
        "applied_version": version,
        "samples": [],
        "machine": {
            "hostname": "host", "version": "1", "private_address": "", "uptime_seconds": 1, "envoy": "running"
        },
    }  # fmt: skip
    answer = machine.call("telemetry", told)
    assert answer.status_code == 200, answer.content


def test_a_servers_version_keeps_its_age_until_there_is_another(viewer_client: Client) -> None:
    connector = ConnectorFactory()
    machine = Machine("server", connector.pk)
    ConfigVersion.objects.update(servers_version=7)
    heartbeat(machine, 6)
    long_ago = timezone.now() - HOUR_AGO
    Server.objects.filter(pk=machine.id).update(applied_at=long_ago)
    heartbeat(machine, 6)
    server = Server.objects.get(pk=machine.id)
    assert server.applied_at == long_ago
    assert server.heard_at is not None and timezone.now() - server.heard_at < timedelta(minutes=1)
    page = words(viewer_client.get(f"/sase/connectors/{connector.pk}/servers/{machine.id}/"))
    assert "Behind" in page and "version 6 of 7" in page and "1 hour ago" in page
    heartbeat(machine, 7)
    server.refresh_from_db()
    assert timezone.now() - server.applied_at < timedelta(minutes=1)
    page = words(viewer_client.get(f"/sase/connectors/{connector.pk}/servers/{machine.id}/"))
    assert "Current" in page and "version 7" in page and "1 hour ago" not in page


def test_a_gateway_that_is_behind_is_shown_with_both_versions(
    viewer_client: Client, gateway: Gateway
) -> None:
    machine = Machine("gateway", gateway.pk)
    machine.call("gateway/config", {"applied_version": 3, "wait": 0})
    Gateway.objects.update(applied_at=timezone.now() - HOUR_AGO)
    ConfigVersion.objects.update(version=5)
    machine.call("gateway/config", {"applied_version": 3, "wait": 0})
    page = words(viewer_client.get("/gateways/"))
    assert "Behind" in page and "version 3 of 5" in page and "1 hour ago" in page
