"""What tests of alerts start from: servers as they are measured, a channel, a clock that is told the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from connectors.alerts import evaluation
from connectors.models import Alert, AlertRule, Connector, Latest, Server
from console.models import ConfigVersion, PushChannel, PushMessage
from console.push import services as push
from tests.connectors.factories import ACTOR

NOW = timezone.now().replace(microsecond=0)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def channel(**values: Any) -> PushChannel:
    given = {"name": "duty", "kind": "email", "recipients": "duty@corp.example"} | values
    return push.channel_create(actor=ACTOR, **given)[0]


def rule(connector: Connector, kind: str, **values: Any) -> AlertRule:
    from connectors.alerts import services

    return services.rule_update(connector=connector, kind=kind, actor=ACTOR, **{"enabled": True, **values})


def measured(server: Server, moment: datetime, *, mbit: float = 1.0, latency: float | None = None) -> None:
    """The server was heard of, and sent ``mbit`` Mbit/s in its newest second."""
    Server.objects.filter(pk=server.pk).update(
        heard_at=moment, applied_version=ConfigVersion.objects.get().servers_version
    )
    values = {
        "time": moment,
        "seconds": 1.0,
        "rx_bytes": 0,
        "tx_bytes": int(mbit * 125_000),
        "latency_ms": latency,
    }
    Latest.objects.update_or_create(server=server, defaults=values)


def rounds(server: Server, *points: tuple[float, float | None]) -> None:
    """(seconds, Mbit/s or None) one after the other, with a round of the worker after each."""
    for seconds, mbit in points:
        if mbit is None:
            Latest.objects.filter(server=server).delete()
            Server.objects.filter(pk=server.pk).update(heard_at=after(seconds))
        else:
            measured(server, after(seconds), mbit=mbit)
        evaluation.evaluate(after(seconds))


def states(kind: str) -> list[str]:
    return list(Alert.objects.filter(kind=kind).order_by("since", "fired_at").values_list("state", flat=True))


def told() -> list[str]:
    """The changes that messages told of, oldest first."""
    found = PushMessage.objects.order_by("created_at", "pk")
    return [change["change"] for message in found for change in message.body["alerts"]]


def history(server: Server, *episodes: tuple[float, int, float], latency: float | None = None) -> None:
    """(hours ago, minutes, Mbit/s): samples of 10 s that send so much, from a five-minute mark on, and then little."""
    from connectors.models import Sample
    from connectors.telemetry import store

    samples = []
    for hours, minutes, mbit in episodes:
        begin = int((timezone.now() - timedelta(hours=hours)).timestamp()) // 300 * 300
        for number in range(1, 6 * (minutes + 10) + 1):
            busy = number <= 6 * minutes
            samples.append(
                Sample(
                    server=server,
                    time=datetime.fromtimestamp(begin + 10 * number, UTC),
                    seconds=10,
                    rx_bytes=0,
                    tx_bytes=int((mbit if busy else 0.1) * 1_250_000),
                    latency_ms=latency if busy else latency and 1.0,
                )
            )
    store.write(samples)
