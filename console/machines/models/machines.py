"""Gateways, and the keys and codes that identify machines to the console."""

from datetime import timedelta

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils import timezone

from console.core.ids import new_id
from console.core.models.geography import Region

PORT = [MinValueValidator(1), MaxValueValidator(65535)]
HOST = RegexValidator(r"^[A-Za-z0-9.:-]{1,253}$", "Must be a host name or an IP address.")
# Silence after which a gateway counts as not reached; it polls at least every 25 s.
SILENT_AFTER = timedelta(seconds=35)


def new_gateway_id() -> str:
    return new_id("gateway")


class Gateway(models.Model):
    """A machine in a region, where clients and connector servers arrive."""

    id = models.CharField(primary_key=True, max_length=40, default=new_gateway_id, editable=False)
    name = models.CharField(max_length=100, unique=True)
    region = models.ForeignKey(Region, on_delete=models.PROTECT, related_name="gateways")
    public_host = models.CharField(
        max_length=253,
        validators=[HOST],
        help_text="Host name or IP address at which clients and servers reach it.",
    )
    listen_address = models.GenericIPAddressField(default="0.0.0.0")  # noqa: S104 (a gateway is there to be reached)
    client_port = models.PositiveIntegerField(default=8443, validators=PORT)
    tunnel_port = models.PositiveIntegerField(default=9443, validators=PORT)
    created_at = models.DateTimeField(auto_now_add=True)
    enrolled_at = models.DateTimeField(null=True, blank=True, editable=False)
    heard_at = models.DateTimeField(null=True, blank=True, editable=False)
    applied_version = models.PositiveBigIntegerField(null=True, blank=True, editable=False)
    # Epoch of ``applied_version``; empty for a gateway of release 0.1, which names none.
    applied_epoch = models.CharField(max_length=32, blank=True, default="", db_default="", editable=False)
    # Whether the gateway is told of ends by its polls; a gateway of release 0.1 learns of them by configurations alone.
    takes_ends = models.BooleanField(default=False, db_default=False, editable=False)
    applied_at = models.DateTimeField(null=True, blank=True, editable=False)
    open_flows = models.PositiveIntegerField(null=True, blank=True, editable=False)
    envoy_state = models.CharField(max_length=20, blank=True, editable=False)
    software = models.CharField(max_length=40, blank=True, editable=False)
    certificate_ends_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(client_port=models.F("tunnel_port")),
                name="gateway_ports_differ",
                violation_error_message="The client port and the tunnel port must differ.",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_heard(self) -> bool:
        """Return whether the gateway was heard of recently enough to believe what it last said."""
        return self.heard_at is not None and timezone.now() - self.heard_at < SILENT_AFTER

    @property
    def version(self) -> str:
        """Version of the gateway's software, empty when not known; servers have a column of this name."""
        return self.software

    @property
    def proxy_url(self) -> str:
        host = f"[{self.public_host}]" if ":" in self.public_host else self.public_host
        return f"https://{host}:{self.client_port}"


class MachineKey(models.Model):
    """The public key with which a gateway or server signs its calls. The private one never leaves the machine."""

    machine = models.CharField(primary_key=True, max_length=40)
    kind = models.CharField(max_length=10)
    public_key = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    # Start of the agent that called last; empty for one of release 0.2 or older, which names none.
    start = models.CharField(max_length=32, blank=True, default="", db_default="", editable=False)
    # When two machines were last heard by this key (`console.machines.clones`).
    contested_at = models.DateTimeField(null=True, blank=True, editable=False)

    def __str__(self) -> str:
        return self.machine


class SignedCall(models.Model):
    """A signature that was used, remembered until it is too old to be used again. On PostgreSQL it is unlogged."""

    id = models.CharField(primary_key=True, max_length=110, help_text="Machine and jti of the signature.")
    forget_at = models.BigIntegerField(db_index=True, help_text="Seconds of the epoch.")

    def __str__(self) -> str:
        return self.id


class EnrollmentCode(models.Model):
    """A one-use code with which one machine introduces itself; only its hash is kept."""

    digest = models.CharField(primary_key=True, max_length=64, editable=False)
    kind = models.CharField(max_length=10)
    target = models.CharField(
        max_length=40, db_index=True, help_text="The connector or gateway that it enrolls for."
    )
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True, blank=True)
    used_by = models.CharField(max_length=40, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    # Name of the click that asked: sent twice (a page that is loaded again, say), a click makes one code all the same.
    click = models.CharField(max_length=32, null=True, unique=True, editable=False)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.kind} code for {self.target}"
