"""Decision whether a session may reach a destination, and by which way. Pure: no I/O, no clock, no state.

The gateway asks for every new flow and, after each change of configuration, again for every open one; the console's
access check asks the same function, so that what the page explains is what happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from edge.access.hosts import Host, HostInvalid, parse_host
from edge.access.matching import Application
from edge.access.snapshot import Snapshot
from edge.protocol.codes import ENDS_SESSION, Code
from edge.protocol.configuration import ALL, Connector, Policy
from edge.protocol.identity import SessionIdentity
from edge.protocol.reports import FlowPath

CLOUD: Final = "cloud"
CONNECTOR: Final = "connector"

# Sentences for the owner of an ended session, by the reasons in the snapshot's `ended_sessions`.
_ENDED = {
    "logged_off": "This session was logged off. Log on again.",
    "kicked": "This session was ended by an administrator. Log on again.",
    "account_disabled": "This account is disabled. Ask your administrator.",
    "account_deleted": "This account no longer exists. Ask your administrator.",
    "password_reset": "The password of this account was reset. Log on with the new one.",
    "instance_inactive": "This instance is not active. Ask your administrator.",
    "expired": "The session has expired. Log on again.",
    "replaced": "This account has logged on in more places than it may, and this session was used least lately. "
    "Log on again.",
}
# Logging on again helps against neither of these two reasons: the answer is 403, not another 407.
_ENDED_FORBIDDEN = {"account_disabled": Code.ACCOUNT_DISABLED, "instance_inactive": Code.INSTANCE_INACTIVE}


@dataclass(frozen=True, slots=True)
class Destination:
    host: Host
    port: int

    @classmethod
    def parse(cls, authority: str, default_port: int | None = None) -> Destination:
        """Read ``host:port``; IPv6 addresses in brackets. Raises HostInvalid with a sentence."""
        host, colon, port = authority.rpartition(":")
        if not colon or (host.startswith("[") and not host.endswith("]")):
            if default_port is None:
                raise HostInvalid("The destination must name a port, as in wiki.corp.example:80.")
            host, port = authority, str(default_port)
        if ":" in host and not host.startswith("["):
            raise HostInvalid("An IPv6 destination must stand in brackets, as in [2001:db8::1]:80.")
        # isdigit alone accepts digits of other scripts, which int() reads too
        if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
            raise HostInvalid("The port must be a number from 1 to 65535.")
        return cls(parse_host(host), int(port))

    def __str__(self) -> str:
        return f"[{self.host.text}]:{self.port}" if self.host.family == 6 else f"{self.host.text}:{self.port}"


@dataclass(frozen=True, slots=True)
class Step:
    """Step of a decision's trace: one thing that was looked at.

    ``subject``: session, instance, cloud, application, policy, connector or result; ``outcome``: ok, no_match,
    matched, passed_over, chosen or denied; ``ids``: what the step was about, e.g. ``{"policy": "fs-…"}``.
    """

    subject: str
    outcome: str
    message: str
    ids: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Answer for one flow. ``message``: the reason, for the client; ``path``: by which way, None for a refused flow."""

    code: Code
    message: str
    path: FlowPath | None = None
    connector: str | None = None
    application: str | None = None
    policy: str | None = None
    # The decision was made from this evidence; the trace is only written out when somebody reads the trace.
    _evidence: _Evidence | None = field(default=None, repr=False, compare=False)

    @property
    def allowed(self) -> bool:
        """Tell whether the flow may open."""
        return self.path is not None

    @property
    def status(self) -> int:
        """Status that the client sees: 200, 403, 407 or 503."""
        return self.code.status

    @property
    def trace(self) -> tuple[Step, ...]:
        return tuple(_explain(self, self._evidence)) if self._evidence else ()


@dataclass(frozen=True, slots=True)
class _Evidence:
    """Evidence for a decision. ``fitting``: policies that fit user and application, usable or not, as bits."""

    identity: SessionIdentity
    destination: Destination
    snapshot: Snapshot
    applications: tuple[Application, ...] = ()
    fitting: int = 0


def decide(
    identity: SessionIdentity, destination: Destination, snapshot: Snapshot, *, now: float
) -> Decision:
    """Decide whether a flow may open, and by which way. ``now`` in epoch seconds.

    First the session must live and its instance be active. An address within a cloud network of the instance is reached
    straight from a gateway of its area. Everything else goes by the first enabled policy that fits the user
    and the application and whose connector is usable; without one the flow is refused, with the reason nearest success.
    """
    refused = _session_refusal(identity, snapshot, now)
    if refused is not None:
        code, message = refused
        evidence = _Evidence(identity, destination, snapshot)
        return Decision(code=code, message=message, _evidence=evidence)

    instance = snapshot.instances[identity.instance]
    host = destination.host
    if host.family and instance.area == snapshot.gateway.area and instance.cloud_network(host) is not None:
        evidence = _Evidence(identity, destination, snapshot)
        code = Code.CLOUD_NETWORK
        return Decision(code=code, message=code.sentence, path=CLOUD, _evidence=evidence)

    applications, covering = _matching_applications(destination, snapshot)
    users = snapshot.any_user_mask | snapshot.account_masks.get(identity.account, 0)
    fitting = users & covering
    evidence = _Evidence(identity, destination, snapshot, applications, fitting)
    usable = fitting & snapshot.usable_mask
    if usable:
        place = (usable & -usable).bit_length() - 1
        policy = snapshot.policies[place]
        application = _covered(policy, place, applications, snapshot)
        return Decision(
            code=Code.POLICY_MATCHED,
            message=Code.POLICY_MATCHED.sentence,
            path=CONNECTOR,
            connector=policy.connector,
            application=application.id,
            policy=policy.id,
            _evidence=evidence,
        )
    return _denied(evidence)


def _session_refusal(identity: SessionIdentity, snapshot: Snapshot, now: float) -> tuple[Code, str] | None:
    reason = snapshot.ended_sessions.get(identity.session)
    if reason is not None:
        message = _ENDED.get(reason, "This session has ended. Log on again.")
        return _ENDED_FORBIDDEN.get(reason, Code.SESSION_ENDED), message
    if identity.expires_at <= now:
        return Code.SESSION_ENDED, _ENDED["expired"]
    instance = snapshot.instances.get(identity.instance)
    if instance is None or not instance.active:
        return Code.INSTANCE_INACTIVE, _ENDED["instance_inactive"]
    return None


def _matching_applications(
    destination: Destination, snapshot: Snapshot
) -> tuple[tuple[Application, ...], int]:
    """Return the applications that name host and port, and the policies (as bits) that cover one of them."""
    found: list[Application] = []
    for table in snapshot.applications.tables(destination.host):
        found.extend(table.find(destination.port))
    if not found:
        return (), 0
    if len(found) > 1:  # an application may name a host twice, exactly and by a wildcard
        found = list(dict.fromkeys(found))
    covering = snapshot.any_application_mask
    for application in found:
        covering |= snapshot.application_masks.get(application.id, 0)
    return tuple(found), covering


def _covered(
    policy: Policy, place: int, applications: tuple[Application, ...], snapshot: Snapshot
) -> Application:
    """Return the application that a policy allows, of several the most specific: `applications` come in that order."""
    if policy.applications == ALL:
        return applications[0]
    masks = snapshot.application_masks
    return next(application for application in applications if masks.get(application.id, 0) >> place & 1)


def _denied(evidence: _Evidence) -> Decision:
    if not evidence.fitting:
        message = f"No application and forwarding policy allows {evidence.destination} for this account."
        return Decision(code=Code.NO_MATCH, message=message, _evidence=evidence)
    snapshot = evidence.snapshot
    passed_over = [snapshot.policies[place] for place in _places(evidence.fitting)]
    offline = [p for p in passed_over if _is_on(snapshot.connectors.get(p.connector))]
    policy = (offline or passed_over)[0]
    name = _connector_name(policy.connector, snapshot)
    if offline:
        code, message = Code.CONNECTOR_OFFLINE, f"The connector {name} has no live tunnel to this gateway."
    elif _is_unlicensed(snapshot.connectors.get(policy.connector)):
        code, message = Code.CONNECTOR_NOT_LICENSED, f"The license of the connector {name} has expired."
    else:
        code, message = Code.CONNECTOR_DISABLED, f"The connector {name} is switched off."
    application = _covered(policy, snapshot.policies.index(policy), evidence.applications, snapshot)
    return Decision(
        code=code,
        message=message,
        connector=policy.connector,
        application=application.id,
        policy=policy.id,
        _evidence=evidence,
    )


def _places(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def _is_on(connector: Connector | None) -> bool:
    return connector is not None and connector.enabled and connector.licensed


def _is_unlicensed(connector: Connector | None) -> bool:
    return connector is not None and connector.enabled and not connector.licensed


def _connector_name(connector: str, snapshot: Snapshot) -> str:
    known = snapshot.connectors.get(connector)
    return known.name if known else connector


# -- The trace --------------------------------------------------------------------------------------------------------


def _explain(decision: Decision, evidence: _Evidence) -> Iterator[Step]:
    identity = evidence.identity
    ids = {"session": identity.session, "account": identity.account, "instance": identity.instance}
    if decision.code in ENDS_SESSION:
        yield Step("session", "denied", decision.message, ids)
        return
    yield Step("session", "ok", "The session is valid and its instance is active.", ids)
    yield _explain_cloud(evidence)
    if decision.path == CLOUD:
        return
    yield from _explain_applications(evidence)
    yield from _explain_policies(decision, evidence)
    yield Step("result", "chosen" if decision.allowed else "denied", decision.message)


def _explain_cloud(evidence: _Evidence) -> Step:
    snapshot, destination = evidence.snapshot, evidence.destination
    instance = snapshot.instances[evidence.identity.instance]
    ids = {"instance": instance.id} | ({"ccn": instance.ccn} if instance.ccn else {})
    if not destination.host.family:
        return Step(
            "cloud", "no_match", f"{destination.host.text} is a name; cloud networks hold addresses.", ids
        )
    network = instance.cloud_network(destination.host)
    if network is None:
        return Step(
            "cloud", "no_match", f"No cloud network of the instance holds {destination.host.text}.", ids
        )
    if instance.area != snapshot.gateway.area:
        here = snapshot.gateway.area
        message = f"Gateways of the area {instance.area} reach {network}; this gateway is in {here}."
        return Step("cloud", "passed_over", message, ids)
    message = (
        f"The cloud network {network} holds {destination.host.text}; the gateway itself dials the address."
    )
    return Step("cloud", "chosen", message, ids)


def _explain_applications(evidence: _Evidence) -> Iterator[Step]:
    destination = evidence.destination
    if evidence.applications:
        for application in evidence.applications:
            message = f"The application {application.name} names {destination}."
            yield Step("application", "matched", message, {"application": application.id})
        return
    others = [
        a for table in evidence.snapshot.applications.tables(destination.host) for a in table.applications
    ]
    for application in others:
        message = f"The application {application.name} names the host, but not port {destination.port}."
        yield Step("application", "no_match", message, {"application": application.id})
    if not others:
        yield Step("application", "no_match", f"No enabled application names {destination.host.text}.")


def _explain_policies(decision: Decision, evidence: _Evidence) -> Iterator[Step]:
    """Yield a step for every policy up to the one that decided; policies below that one were never asked."""
    snapshot = evidence.snapshot
    if not evidence.applications:
        return
    account = snapshot.any_user_mask | snapshot.account_masks.get(evidence.identity.account, 0)
    for place, policy in enumerate(snapshot.policies):
        ids = {"policy": policy.id, "connector": policy.connector}
        if not evidence.fitting >> place & 1:
            why = "covers none of these applications" if account >> place & 1 else "is not for this account"
            yield Step("policy", "no_match", f"The policy {policy.name} {why}.", ids)
        elif not snapshot.usable_mask >> place & 1:
            yield Step(
                "policy",
                "passed_over",
                f"The policy {policy.name} fits, but {_unusable(policy, snapshot)}.",
                ids,
            )
        else:
            name = _connector_name(policy.connector, snapshot)
            yield Step(
                "policy",
                "chosen",
                f"The policy {policy.name} fits; the connector {name} carries the flow.",
                ids,
            )
            return


def _unusable(policy: Policy, snapshot: Snapshot) -> str:
    connector = snapshot.connectors.get(policy.connector)
    if connector is None:
        return f"its connector {policy.connector} does not exist"
    if not connector.enabled:
        return f"the connector {connector.name} is switched off"
    if not connector.licensed:
        return f"the connector {connector.name} is not licensed"
    if not connector.has_open_server:
        return f"the connector {connector.name} has no server that takes new flows"
    return f"the connector {connector.name} has no live tunnel to this gateway"
