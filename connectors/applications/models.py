"""Applications, which users reach: their addresses, ports and tags."""

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from connectors.applications.addresses import AddressInvalid, normalised_address, normalised_origin
from connectors.fields import DESCRIPTION, VISIBLE_NAME, new_application_id, new_tag_id
from console.core.constraints import one_of, unique_name

PORT = [
    MinValueValidator(1, "A port must be at least 1."),
    MaxValueValidator(65535, "A port must be at most 65535."),
]


def validate_origin(value: str) -> None:
    try:
        normalised_origin(value)
    except AddressInvalid as error:
        raise ValidationError(str(error)) from error


class Tag(models.Model):
    """Word that applications carry and policies can go by; services delete a tag that nothing names any more."""

    id = models.CharField(primary_key=True, max_length=40, default=new_tag_id, editable=False)
    name = models.CharField(max_length=128, validators=[VISIBLE_NAME])
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [unique_name("tag", name="tag_name_unique")]

    def __str__(self) -> str:
        return self.name


class Application(models.Model):
    """Host names, wildcards, IPs or networks, with ports. ``origin``: what the server dials instead of them."""

    class Protocol(models.TextChoices):
        ALL = "All", "All"
        TCP = "TCP", "TCP"
        UDP = "UDP", "UDP"

    id = models.CharField(primary_key=True, max_length=40, default=new_application_id, editable=False)
    name = models.CharField(max_length=128, validators=[VISIBLE_NAME])
    description = models.CharField(max_length=128, blank=True, validators=DESCRIPTION)
    protocol = models.CharField(max_length=3, choices=Protocol.choices, default=Protocol.TCP)
    origin = models.CharField(
        max_length=260,
        null=True,
        blank=True,
        validators=[validate_origin],
        help_text="Host or host:port that the connector's servers dial instead.",
    )
    tags = models.ManyToManyField(Tag, blank=True, related_name="applications")
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            unique_name("application", name="application_name_unique"),
            one_of("protocol", ["All", "TCP", "UDP"], name="application_protocol_known"),
            models.CheckConstraint(
                condition=~models.Q(origin=""),
                name="application_origin_not_empty",
                violation_error_message="Leave the origin out, or give a host or host:port.",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ApplicationAddress(models.Model):
    """Address of an application, in its one written form: name, ``*.`` wildcard, IP address or CIDR."""

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="addresses")
    address = models.CharField(max_length=255, db_index=True)

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "application addresses"
        constraints = [
            models.UniqueConstraint(
                fields=["application", "address"],
                name="application_address_once",
                violation_error_message="This address was given twice.",
            )
        ]

    def __str__(self) -> str:
        return self.address

    def clean(self) -> None:
        try:
            self.address = normalised_address(self.address, allow_local=bool(self.application.origin))
        except AddressInvalid as error:
            raise ValidationError({"address": str(error)}) from error


class ApplicationPorts(models.Model):
    """Range of ports of an application; a single port begins and ends at itself."""

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="ports")
    begin = models.PositiveIntegerField(validators=PORT)
    end = models.PositiveIntegerField(validators=PORT)

    class Meta:
        ordering = ["begin"]
        verbose_name_plural = "application ports"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(begin__gte=1, end__lte=65535, begin__lte=models.F("end")),
                name="application_ports_legal",
                violation_error_message="Ports must be from 1 to 65535, and a range must not end before it begins.",
            ),
            models.UniqueConstraint(
                fields=["application", "begin"],
                name="application_ports_begin_once",
                violation_error_message="Two port ranges begin at the same port.",
            ),
        ]

    def __str__(self) -> str:
        return str(self.begin) if self.begin == self.end else f"{self.begin}-{self.end}"

    def clean(self) -> None:
        """Refuse an overlap with another range of the same application; the services hold the application's row."""
        if self.begin is None or self.end is None or self.application_id is None:
            return
        others = ApplicationPorts.objects.filter(
            application_id=self.application_id, begin__lte=self.end, end__gte=self.begin
        ).exclude(pk=self.pk)
        if other := others.first():
            raise ValidationError({"begin": f"Ports {self} overlap ports {other} of the same application."})
