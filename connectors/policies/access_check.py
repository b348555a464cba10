"""Access check: what each gateway answers an account that asks for a destination, and why.

The check asks the gateways' own function (``edge.access.decision.decide``) with their own configuration
(``console.machines.snapshot.build``, compiled as they compile it) and the tunnels that they reported, so that what
the page explains is what happens.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from msgspec import structs

from connectors.fleet.selectors import live_tunnels
from console.machines import config
from console.machines import snapshot as console_snapshot
from console.models import AuditRow, Gateway
from edge.access.decision import CONNECTOR, Decision, Destination, Step, decide
from edge.access.hosts import parse_host
from edge.access.pac import Rule, rules_of
from edge.access.snapshot import Snapshot, Tunnels
from edge.protocol.edition import Edition
from edge.protocol.identity import SessionIdentity
from roaming.models import ClientAccount

SESSION = "session-of-the-access-check"
# Applications shown at most, and applications asked about at most to find so many.
MOST_SHOWN, MOST_ASKED = 20, 2000


@dataclass(frozen=True)
class NamedServer:
    id: str
    name: str


@dataclass(frozen=True)
class Switch:
    """Policy or connector that could be off; ``kind`` says which of the two, for people."""

    id: str
    kind: str
    name: str


@dataclass
class Answer:
    """Decision, and the gateways that answer so. ``servers``: those of which one is given the flow.

    ``switches``: the policy and the connector that the decision depends on.
    """

    decision: Decision
    trace: tuple[Step, ...]
    servers: list[NamedServer]
    switches: list[Switch]
    gateways: list[Gateway] = field(default_factory=list)


@dataclass
class Check:
    """Answers of all gateways. ``silent``: gateways not heard of, whose answer is not known.

    ``version``: of the configuration asked; ``behind``: gateways that do not work by that version yet.
    """

    version: int = 0
    answers: list[Answer] = field(default_factory=list)
    silent: list[Gateway] = field(default_factory=list)
    behind: list[Gateway] = field(default_factory=list)


@dataclass(frozen=True)
class Reachable:
    """Application with one host and port of it that the account is let through to."""

    name: str
    host: str
    port: int


class _Kept:
    """Configuration compiled last: compiling takes as long as several pages, and questions outnumber changes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: tuple[str, int, str | None] | None = None
        self._snapshot: Snapshot | None = None

    def get(self, gateway: Gateway) -> Snapshot:
        # Compare more than the version: a database restored from a copy counts on from the copy's.
        now = config.current()
        key = (now.epoch, now.version, AuditRow.objects.values_list("digest", flat=True).first())
        with self._lock:
            if self._snapshot is None or key != self._key:
                self._snapshot, self._key = Snapshot.compile(console_snapshot.build(gateway)), key
            return self._snapshot


_kept = _Kept()


class World:
    """Configuration and tunnels of the gateways that are heard of, for questions about one account; four queries.

    ``without``: ids of policies and connectors that are taken as switched off; ``off``: those of the ids that exist,
    and ``unknown``: the other ids.
    """

    def __init__(self, account: ClientAccount, without: Sequence[str] = ()) -> None:
        enrolled = list(Gateway.objects.filter(enrolled_at__isnull=False).select_related("region__area"))
        area = account.instance.region.area_id
        enrolled.sort(key=lambda gateway: (gateway.region.area_id != area, gateway.name))
        self.silent = [gateway for gateway in enrolled if not gateway.is_heard]
        self.gateways = [gateway for gateway in enrolled if gateway.is_heard]
        self._account = account
        self._snapshot = _kept.get(enrolled[0]) if enrolled else None
        self.off = [found for each in without if (found := self._switch(each))]
        self.unknown = sorted(set(without) - {each.id for each in self.off})
        if self._snapshot:
            self._snapshot = _switched_off(self._snapshot, account.pk, {each.id for each in self.off})
        self._names: dict[str, str] = {}
        self._tunnels = self._reported() if self.gateways else {}

    def _switch(self, key: str | None) -> Switch | None:
        """Find a policy or a connector by its id."""
        if self._snapshot is None or key is None:
            return None
        if connector := self._snapshot.connectors.get(key):
            return Switch(key, "connector", connector.name)
        policy = next((policy for policy in self._snapshot.policies if policy.id == key), None)
        return Switch(key, "policy", policy.name) if policy else None

    def _reported(self) -> dict[str, Tunnels]:
        """Map each gateway to its tunnels, and note the names of their servers."""
        rows = live_tunnels().values_list(
            "gateway", "server__connector", "server", "count", "server__hostname"
        )
        found: dict[str, dict[tuple[str, str], int]] = defaultdict(dict)
        for gateway, connector, server, count, hostname in rows:
            found[gateway][connector, server] = count
            self._names[server] = hostname or server
        return dict(found)

    def _views(self) -> Iterator[tuple[Gateway, Snapshot, Tunnels]]:
        """Yield each gateway's own view: the same configuration, with the gateway's place and tunnels."""
        if self._snapshot is None:
            return
        base = self._snapshot
        if not self._account.enabled:
            # End the session, as gateways are told to end those of a disabled account.
            base = replace(base, ended_sessions={SESSION: "account_disabled"})
        for gateway in self.gateways:
            here = structs.replace(
                base.gateway,
                id=gateway.pk,
                name=gateway.name,
                area=gateway.region.area_id,
                area_name=gateway.region.area.name,
                region=gateway.region_id,
            )
            tunnels = self._tunnels.get(gateway.pk, {})
            yield gateway, replace(base, gateway=here).with_online(base.online_by(tunnels)), tunnels

    def _decide(self, destination: Destination, snapshot: Snapshot) -> Decision:
        account, now = self._account, time.time()
        identity = SessionIdentity(SESSION, account.pk, account.instance_id, account.username, "", now + 60)
        return decide(identity, destination, snapshot, now=now)

    def rules(self) -> list[Rule]:
        """Return what the account may ask its area's first gateway for, whether or not connectors are online."""
        if self._snapshot is None:
            return []
        return rules_of(self._account.pk, self._account.instance_id, self._snapshot)

    def check(self, destination: Destination) -> Check:
        """Ask every gateway, the account's own area first; gateways that answer alike stand together."""
        found: dict[object, Answer] = {}
        made = Check(self._snapshot.version if self._snapshot else 0, silent=self.silent)
        for gateway, snapshot, tunnels in self._views():
            decision = self._decide(destination, snapshot)
            by_connector = decision.path == CONNECTOR and decision.connector is not None
            servers = snapshot.open_servers(decision.connector or "", tunnels) if by_connector else []
            trace = decision.trace
            named = [NamedServer(pk, self._names[pk]) for pk in servers]
            switches = [self._switch(key) for key in (decision.policy, decision.connector)]
            answer = Answer(decision, trace, named, [each for each in switches if decision.allowed and each])
            told = tuple((step.subject, step.outcome, step.message) for step in trace)
            found.setdefault((decision, told, tuple(servers)), answer).gateways.append(gateway)
            applied = Edition(gateway.applied_epoch, gateway.applied_version or 0)
            if snapshot.edition.follows(applied):
                made.behind.append(gateway)
        made.answers = list(found.values())
        return made

    def reachable(self) -> list[Reachable]:
        """Return the first applications with a host name that some gateway lets the account through to."""
        found: dict[str, Reachable] = {}
        views = [snapshot for _, snapshot, _ in self._views()]
        for name, host, port in self._named_hosts():
            if len(found) == MOST_SHOWN:
                break
            destination = Destination(parse_host(host), port)
            if name not in found and any(self._decide(destination, view).allowed for view in views):
                found[name] = Reachable(name, host, port)
        return sorted(found.values(), key=lambda each: each.name)

    def _named_hosts(self) -> Iterator[tuple[str, str, int]]:
        """Yield (application, host, port) of applications' host names."""
        names = self._snapshot.applications.names if self._snapshot else {}
        for host, table in list(names.items())[:MOST_ASKED]:
            for application in table.applications:
                yield application.name, host, application.ports[0][0]


def _switched_off(base: Snapshot, account: str, keys: set[str]) -> Snapshot:
    """Take policies and connectors (``keys``) out of a configuration, for questions about one account."""
    if not keys:
        return base
    gone = [place for place, policy in enumerate(base.policies) if policy.id in keys]

    def left(mask: int) -> int:
        """Take the bits of policies that are gone out of a mask, which has a bit for each policy."""
        for place in reversed(gone):
            mask = mask & ((1 << place) - 1) | mask >> (place + 1) << place
        return mask

    return replace(
        base,
        policies=tuple(policy for policy in base.policies if policy.id not in keys),
        any_user_mask=left(base.any_user_mask),
        account_masks={account: left(base.account_masks.get(account, 0))},
        any_application_mask=left(base.any_application_mask),
        application_masks={key: left(mask) for key, mask in base.application_masks.items()},
        connectors={
            key: structs.replace(connector, enabled=connector.enabled and key not in keys)
            for key, connector in base.connectors.items()
        },
    )
