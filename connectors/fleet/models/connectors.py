"""Connectors, the servers that carry them, and the tunnels that the gateways see."""

from datetime import timedelta
from typing import Literal

from django.db import models
from django.utils import timezone

from connectors.fields import CONNECTOR_NAME, new_connector_id, new_server_id
from connectors.fleet import pace
from console.machines.models.upgrades import WINDOW_SENTENCE
from console.models import Gateway, Region


def heard_within() -> timedelta:
    """Return how long a server's report counts: several intervals, so that one lost call darkens no server."""
    return timedelta(seconds=max(35, 3 * pace.interval()))


class Connector(models.Model):
    """Way into a network outside the cloud. While ``enabled`` is off, nobody reaches the applications behind it."""

    id = models.CharField(primary_key=True, max_length=40, default=new_connector_id, editable=False)
    name = models.CharField("instance name", max_length=128, validators=[CONNECTOR_NAME])
    region = models.ForeignKey(Region, on_delete=models.PROTECT, related_name="connectors")
    enabled = models.BooleanField("instance switch", default=True)
    upgrade_start = models.TimeField("upgrade window, start", null=True, blank=True)
    upgrade_end = models.TimeField("upgrade window, end", null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                name="connector_name_unique",
                violation_error_message="There is another connector with this Instance Name. Choose another.",
            ),
            models.CheckConstraint(
                condition=~models.Q(name=""),
                name="connector_name_given",
                violation_error_message="Instance Name must not be empty.",
            ),
            models.CheckConstraint(
                condition=models.Q(upgrade_start=None, upgrade_end=None)
                | models.Q(upgrade_start__isnull=False, upgrade_end__isnull=False)
                & ~models.Q(upgrade_start=models.F("upgrade_end")),
                name="connector_upgrade_window_whole",
                violation_error_message=WINDOW_SENTENCE,
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Server(models.Model):
    """Machine on which the deployment command was run; what the machine reports of itself is kept as last reported."""

    id = models.CharField(primary_key=True, max_length=40, default=new_server_id, editable=False)
    connector = models.ForeignKey(Connector, on_delete=models.CASCADE, related_name="servers")
    enabled = models.BooleanField(default=True)
    drain_since = models.DateTimeField(null=True, blank=True, editable=False)
    drain_until = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When a draining server is switched off at the latest.",
    )
    hostname = models.CharField(max_length=255, blank=True)
    endpoint_ip = models.GenericIPAddressField(
        "endpoint IP address", null=True, blank=True, help_text="From where its calls reach the console."
    )
    private_ip = models.GenericIPAddressField("private IP address", null=True, blank=True)
    version = models.CharField(max_length=40, blank=True)
    system = models.CharField(max_length=255, blank=True)
    enrolled_at = models.DateTimeField(default=timezone.now, editable=False)
    heard_at = models.DateTimeField(null=True, blank=True, editable=False)
    applied_version = models.PositiveBigIntegerField(null=True, blank=True, editable=False)
    # Epoch of ``applied_version``; empty for a server of release 0.1, which names none.
    applied_epoch = models.CharField(max_length=32, blank=True, default="", db_default="", editable=False)
    # Moment since which the server works by ``applied_version``, as far as it reported.
    applied_at = models.DateTimeField(null=True, blank=True, editable=False)
    uptime_seconds = models.PositiveBigIntegerField(null=True, blank=True, editable=False)
    envoy_state = models.CharField(max_length=20, blank=True, editable=False)
    cpu_percent = models.FloatField(null=True, blank=True, editable=False)
    memory_percent = models.FloatField(null=True, blank=True, editable=False)
    certificate_ends_at = models.DateTimeField(null=True, blank=True, editable=False)
    open_flows = models.PositiveIntegerField(
        null=True, blank=True, editable=False, help_text="Connections that it carries, as it last said."
    )

    class Meta:
        ordering = ["enrolled_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(drain_since=None, drain_until=None)
                | models.Q(drain_since__isnull=False, drain_until__isnull=False, enabled=True),
                name="server_drain_whole",
                violation_error_message="Only an enabled server drains, from one moment until another.",
            )
        ]

    def __str__(self) -> str:
        return self.hostname or self.id

    @property
    def state(self) -> Literal["enabled", "draining", "disabled"]:
        """Word that gateways are told: enabled, draining (no new flows) or disabled."""
        return "disabled" if not self.enabled else "draining" if self.drain_until else "enabled"

    @property
    def certificate_expired(self) -> bool:
        return self.certificate_ends_at is not None and self.certificate_ends_at <= timezone.now()

    @property
    def is_heard(self) -> bool:
        """Tell whether the server's agent was heard of recently enough to believe its last report."""
        return self.heard_at is not None and timezone.now() - self.heard_at < heard_within()


class Tunnel(models.Model):
    """Number of tunnels that one gateway holds to one server, as that gateway last reported."""

    gateway = models.ForeignKey(Gateway, on_delete=models.CASCADE, related_name="tunnels")
    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="tunnels")
    count = models.PositiveIntegerField()
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["gateway", "server"],
                name="tunnel_pair_once",
                violation_error_message="This gateway already reports tunnels to this server.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.gateway_id} ← {self.server_id}: {self.count}"
