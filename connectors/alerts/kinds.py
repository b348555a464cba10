"""Types of alerts: what can be watched, and how each type is set until somebody changes it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from connectors.alerts import machine
from connectors.alerts.models import AlertRule

Subject = Literal["server", "gateway"]


@dataclass(frozen=True)
class Kind:
    """Type of alert. ``unit`` None: the condition is there or not, and there is no threshold to set.

    ``above=False``: low values are bad. ``most``: the highest threshold that makes sense.
    """

    name: str
    label: str
    condition: str
    unit: str | None
    threshold: float | None
    hold: int
    hysteresis: int
    enabled: bool
    subjects: tuple[Subject, ...] = ("server",)
    above: bool = True
    most: float = 0.0

    def default(self, connector_id: str | None) -> AlertRule:
        """Make the rule that holds until somebody changes it; nothing is stored."""
        return AlertRule(
            connector_id=connector_id,
            kind=self.name,
            enabled=self.enabled,
            threshold=self.threshold,
            hold_seconds=self.hold,
            hysteresis_percent=self.hysteresis,
        )

    def machine_rule(self, rule: AlertRule) -> machine.Rule:
        """Make the machine's rule; without a threshold a value is 1 while the condition is there, else 0."""
        threshold = rule.threshold if self.unit is not None and rule.threshold is not None else 1.0
        hysteresis = rule.hysteresis_percent / 100 if self.unit is not None else 0.0
        return machine.Rule(threshold, timedelta(seconds=rule.hold_seconds), hysteresis, self.above)


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "connection",
            "Connection Status of Connector Server",
            "The server is not heard of, or no gateway has a tunnel to it.",
            unit=None, threshold=None, hold=120, hysteresis=0, enabled=True,
        ),
        Kind(
            "bandwidth",
            "Connector Server Bandwidth",
            "Receive or send of a server, whichever is more, reaches the threshold.",
            unit="Mbit/s", threshold=100.0, hold=120, hysteresis=10, enabled=False, most=1_000_000.0,
        ),
        Kind(
            "latency",
            "Connector Server Latency",
            "The way from the server to the gateway that is slowest to reach takes as long as the threshold.",
            unit="ms", threshold=200.0, hold=120, hysteresis=10, enabled=False, most=60_000.0,
        ),
        Kind(
            "drift",
            "Configuration Drift",
            "A machine that is heard of does not work by the configuration that it should.",
            unit=None, threshold=None, hold=60, hysteresis=0, enabled=True, subjects=("server", "gateway"),
        ),
        Kind(
            "history",
            "Configuration of Another History",
            "A machine that is heard of works by a configuration that is not of this console's history, such as one "
            "from before the console was restored.",
            unit=None, threshold=None, hold=60, hysteresis=0, enabled=True, subjects=("server", "gateway"),
        ),
        Kind(
            "figures",
            "Figures of Connector Server",
            "The server's figures of the hour and the bytes that the gateways counted of its flows are far apart.",
            unit=None, threshold=None, hold=120, hysteresis=0, enabled=True,
        ),
        Kind(
            "certificate",
            "Certificate End",
            "The certificate of a machine that is heard of ends within the threshold and was not renewed.",
            unit="hours", threshold=24.0, hold=0, hysteresis=10, enabled=True, above=False, most=8_760.0,
            subjects=("server", "gateway"),
        ),
        Kind(
            "clone",
            "Cloned Machine",
            "Two machines work by the identity of one, since a machine's disk or folder was copied.",
            unit=None, threshold=None, hold=0, hysteresis=0, enabled=True, subjects=("server", "gateway"),
        ),
    )
}  # fmt: skip
OF_CONNECTORS = tuple(kind for kind in KINDS.values() if "server" in kind.subjects)
OF_GATEWAYS = tuple(kind for kind in KINDS.values() if "gateway" in kind.subjects)


class Rules:
    """Rules in force, stored or default, found by (connector or None, kind). One query reads all of them."""

    def __init__(self, rules: "list[AlertRule] | None" = None) -> None:
        stored = AlertRule.objects.all() if rules is None else rules
        self._stored = {(rule.connector_id, rule.kind): rule for rule in stored}
        self._usual = {kind.name: _as_machine(kind.default(None)) for kind in KINDS.values()}
        self._own = {key: _as_machine(rule) for key, rule in self._stored.items()}

    def get(self, connector_id: str | None, kind: str) -> AlertRule:
        return self._stored.get((connector_id, kind)) or KINDS[kind].default(connector_id)

    def machine(self, connector_id: str | None, kind: str) -> machine.Rule | None:
        """Return the rule that the state machine goes by, None when the rule is switched off."""
        key = (connector_id, kind)
        return self._own[key] if key in self._own else self._usual[kind]


def _as_machine(rule: AlertRule) -> machine.Rule | None:
    return KINDS[rule.kind].machine_rule(rule) if rule.enabled and rule.kind in KINDS else None


def rules_of(connector_id: str | None) -> list[AlertRule]:
    """Return a connector's rules (None: the gateways'), one of each type in the order of ``KINDS``."""
    rules = Rules(list(AlertRule.objects.filter(connector=connector_id)))
    wanted = OF_CONNECTORS if connector_id else OF_GATEWAYS
    return [rules.get(connector_id, kind.name) for kind in wanted]
