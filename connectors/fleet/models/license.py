"""License of this installation: how many connectors it may have, and until when."""

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone

# Number that the Advanced edition of the cloud service allows.
USUAL_NUMBER = 10
NUMBER_SENTENCE = "Connectors must be a whole number from 1."


class License(models.Model):
    """License, in one row. ``expiry_told``: whether gateways were told that it has expired; the worker tells them."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    connectors = models.PositiveIntegerField(
        default=USUAL_NUMBER,
        validators=[MinValueValidator(1, NUMBER_SENTENCE)],
        help_text="How many connectors there may be.",
    )
    valid_until = models.DateField(
        null=True, blank=True, help_text="The last day on which it holds (UTC); empty for no end."
    )
    expiry_told = models.BooleanField(default=False, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="license_one_row"),
            models.CheckConstraint(
                condition=models.Q(connectors__gte=1),
                name="license_number_legal",
                violation_error_message=NUMBER_SENTENCE,
            ),
        ]

    def __str__(self) -> str:
        return (
            f"{self.connectors} connectors, {f'until {self.valid_until}' if self.valid_until else 'no end'}"
        )

    def has_expired(self) -> bool:
        return self.valid_until is not None and timezone.now().date() > self.valid_until
