"""Decisions a second: 10,000 applications, 100 policies, 100,000 accounts, and a tenth of each."""

import gc
import random
import time
from typing import Any

from rich.table import Table

from edge.access.decision import Destination, decide
from edge.access.snapshot import Snapshot
from edge.protocol.configuration import GatewayConfiguration
from edge.protocol.identity import SessionIdentity
from tests.edge.gateway_lab import INSTANCE, application, connector, policy, snapshot_document
from tests.edge.gateway_pki import TokenSigner

WORLD = (10_000, 100, 100_000)
ASKED = 20_000
ROUNDS = 5
NOW = 1_000_000.0
DECIDE_WANTED, DECIDE_RATIO = 50_000, 2.0


def _document(applications: int, policies: int, accounts: int) -> dict[str, Any]:
    """Make a configuration of names, wildcards and networks; half of the policies by group, half by single accounts."""
    chance = random.Random(7)
    group = max(1, accounts // policies)
    document = snapshot_document(TokenSigner(), 1, 2)
    document["instances"][INSTANCE]["cloud_networks"] = ["172.16.0.0/12"]
    return document | {
        "connectors": {
            f"connector-{n}": connector(servers={f"server-{n}": "enabled"}) for n in range(policies)
        },
        "applications": {
            f"app-{n}": application(_address(n), ports=[(443, 443), (8000, 8100)])
            for n in range(applications)
        },
        "groups": {f"group-{n}": [f"user-{n * group + m}" for m in range(group)] for n in range(policies)},
        "policies": [
            policy(
                str(n),
                f"connector-{n}",
                priority=1 + n % 100,
                users="selected",
                groups=[f"group-{n}"] if n % 2 else [],
                accounts=[] if n % 2 else [f"user-{chance.randrange(accounts)}" for _ in range(group)],
                applications="selected",
                application_ids=[f"app-{chance.randrange(applications)}" for _ in range(applications // 10)],
            )
            for n in range(policies)
        ],
    }


def _address(number: int) -> str:
    if number % 10 == 0:
        return f"*.zone{number}.corp.example"
    if number % 10 == 1:
        return f"10.{number // 250 % 250}.{number % 250}.0/24"
    return f"host{number}.corp.example"


def _questions(applications: int, accounts: int) -> list[tuple[SessionIdentity, Destination]]:
    chance = random.Random(8)
    asked = []
    for _ in range(ASKED):
        account, number = chance.randrange(accounts), chance.randrange(applications)
        identity = SessionIdentity(
            f"session-{account}", f"user-{account}", INSTANCE, "u", "10.0.0.1", NOW + 60
        )
        host = _address(number).replace("*", "www").replace(".0/24", ".7")
        asked.append((identity, Destination.parse(f"{host}:443")))
    return asked


def _rate(snapshot: Snapshot, asked: list[tuple[SessionIdentity, Destination]]) -> float:
    began = time.perf_counter()
    for identity, destination in asked:
        decide(identity, destination, snapshot, now=NOW)
    return len(asked) / (time.perf_counter() - began)


def measure_decide() -> tuple[float, float]:
    """Return decisions a second in the whole world and in a tenth; the worlds take turns, the best round counts."""
    worlds = []
    for share in (1, 10):
        size = [count // share for count in WORLD]
        snapshot = Snapshot.compile(GatewayConfiguration.decode(_document(*size)))
        snapshot = snapshot.with_online(frozenset(snapshot.connectors))
        worlds.append((snapshot, _questions(size[0], size[2])))
    gc.collect()
    gc.freeze()  # the gateway's agent freezes its configuration as well
    try:
        rounds = [[_rate(snapshot, asked) for snapshot, asked in worlds] for _ in range(ROUNDS)]
    finally:
        gc.unfreeze()
    whole, tenth = (max(column) for column in zip(*rounds, strict=True))
    return whole, tenth


def decide_table() -> Table:
    whole, tenth = measure_decide()
    applications, policies, accounts = WORLD
    table = Table("world", "decisions/s", "wanted", title="decide, on one core")
    table.add_row(
        f"{applications:,} applications, {policies:,} policies, {accounts:,} accounts",
        f"{whole:,.0f}",
        f"≥ {DECIDE_WANTED:,}" + ("" if whole >= DECIDE_WANTED else "  missed"),
    )
    ratio = tenth / whole
    missed = "" if ratio <= DECIDE_RATIO else "  missed"
    table.add_row("a tenth of each", f"{tenth:,.0f}", f"≤ {DECIDE_RATIO} × the above: {ratio:.2f}{missed}")
    return table
