"""Objects of private access for tests; writes go through the services, as everywhere."""

from __future__ import annotations

import itertools
import time
import uuid
from datetime import timedelta
from typing import Any

import factory
from django.utils import timezone

from connectors.applications import services as applications
from connectors.models import Application, Connector, Policy, Sample, Server, Tunnel, UserGroup
from connectors.policies import services as policies
from connectors.telemetry import store
from console.core import audit
from console.models import Gateway, Region
from tests.console.machine import Machine

ACTOR = audit.System("test")
numbers = itertools.count(1)


def region(pk: str = "cn-shanghai") -> Region:
    return Region.objects.get(pk=pk)


class ConnectorFactory(factory.django.DjangoModelFactory):
    """Connector in Shanghai, switched on, without servers."""

    class Meta:
        model = Connector

    name = factory.Sequence(lambda n: f"connector-{n}")
    region = factory.LazyFunction(region)


class ServerFactory(factory.django.DjangoModelFactory):
    """Server that has enrolled but was never heard of since; ``heard=True``: heard of just now."""

    class Meta:
        model = Server

    class Params:
        heard = factory.Trait(heard_at=factory.LazyFunction(timezone.now))

    connector = factory.SubFactory(ConnectorFactory)
    hostname = factory.Sequence(lambda n: f"host-{n}")
    endpoint_ip = "192.0.2.10"
    private_ip = "10.0.0.10"
    version = "0.1.0"


def application(name: str = "", **values: Any) -> Application:
    name = name or f"application {next(numbers)}"
    given: dict[str, Any] = {
        "addresses": [f"{name.replace(' ', '-')}.corp.example"],
        "ports": [(80, 80)],
    } | values
    return applications.application_create(name=name, actor=ACTOR, **given)


def group(name: str = "", **values: Any) -> UserGroup:
    return policies.group_create(name=name or f"group {next(numbers)}", actor=ACTOR, **values)


def policy(connector: Connector, name: str = "", **values: Any) -> Policy:
    """Make a policy for everybody and every application at priority 10, unless ``values`` say otherwise."""
    given: dict[str, Any] = {"all_users": True, "all_applications": True, "priority": 10} | values
    return policies.policy_create(
        name=name or f"policy {next(numbers)}", connector=connector, actor=ACTOR, **given
    )


def enrolled_gateway(gateway: Gateway) -> Machine:
    """Make the gateway's machine, enrolled and heard of."""
    machine = Machine("gateway", gateway.pk)
    Gateway.objects.filter(pk=gateway.pk).update(heard_at=timezone.now())
    gateway.refresh_from_db()
    return machine


def tunnel(gateway: Gateway, server: Server, *, age: timedelta = timedelta(), count: int = 2) -> Tunnel:
    """Make a tunnel that the gateway, heard of just now, reported ``age`` ago."""
    Gateway.objects.filter(pk=gateway.pk).update(heard_at=timezone.now(), enrolled_at=timezone.now())
    return Tunnel.objects.create(gateway=gateway, server=server, count=count, seen_at=timezone.now() - age)


def telemetry(*samples: dict[str, Any], **values: Any) -> dict[str, Any]:
    machine: dict[str, Any] = {"hostname": "db1", "version": "0.1.0", "private_address": "10.1.1.1"}
    machine |= {"uptime_seconds": 12.5, "envoy": "running"}
    return {
        "batch": str(uuid.uuid4()),
        "applied_version": 1,
        "samples": list(samples),
        "machine": machine,
    } | values


def sample(**values: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {"time": time.time(), "seconds": 2.0, "rx_bytes": 1000, "tx_bytes": 2000}
    return usual | {"cpu_percent": 12.5, "memory_percent": 40.0} | values


def measured(server: Server, *, seconds: float = 10, **values: Any) -> None:
    """Store a sample that ends now, or at ``time``."""
    usual: dict[str, Any] = {"time": timezone.now(), "rx_bytes": 1000, "tx_bytes": 2000}
    sample = Sample(server=server, seconds=seconds, **usual | values)
    store.write([sample], max(sample.time, timezone.now()))
