"""Time that a fired alert takes to reach a webhook, from when its condition held long enough.

The product's own worker watches; some servers report more than the threshold, one after the other, and a receiver on
loopback notes when it is told of which server.
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from bench.telemetry_load import Load, Server, running, world
from tests.console.push_receivers import Got, WebReceiver, web_receiver
from tests.demo import wait_until

HOLD_SECONDS = 10
# Bytes far above what a simulated server reports otherwise, and above the threshold that ``telemetry_world`` sets.
LOUD_BYTES = 1_000_000_000
# Alerts are so far apart that they begin at every moment between two rounds of the worker.
APART_SECONDS = 2.3
WAIT_SECONDS = 60.0


def measure_alerts(
    environment: dict[str, str], servers: Sequence[Server], port: int, folder: Path
) -> list[float]:
    """Return seconds of each server: from the acknowledged sample plus the rule's time to the webhook's request."""
    with web_receiver() as receiver:
        world(environment, "alerts", receiver.url, str(HOLD_SECONDS))
        with running("manage.py", "worker", environment=environment, log=folder / "worker.log"):
            held = asyncio.run(_grow_loud(servers, port))
            told = "every alert told by webhook"
            arrived = wait_until(lambda: _all_arrived(receiver, held), WAIT_SECONDS, what=told)
    return [arrived[name] - moment for name, moment in held.items()]


async def _grow_loud(servers: Sequence[Server], port: int) -> dict[str, float]:
    """Return server → the moment when its condition has held for the rule's time."""
    load, held = Load(list(servers), port, 10), {}
    for server in servers:
        await asyncio.sleep(APART_SECONDS)
        request, _ = server.call(LOUD_BYTES)
        status, answer = await load.exchange(request)
        assert status == 200 and answer["acknowledged"], answer
        held[server.name] = time.time() + HOLD_SECONDS
    return held


def _all_arrived(receiver: WebReceiver, wanted: dict[str, float]) -> dict[str, float]:
    """Return server → the moment when the receiver first heard of its alert; empty until all alerts are heard of."""
    found: dict[str, float] = {}
    for got in receiver.got:
        for name in _firing(got):
            found.setdefault(name, got.at)
    return found if wanted.keys() <= found.keys() else {}


def _firing(got: Got) -> list[str]:
    return [alert["subject"]["id"] for alert in got.json["alerts"] if alert["change"] == "firing"]
