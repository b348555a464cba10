"""Starts of agents, by which two machines of one identity are told apart."""

from django.db import models

from console.machines.models.machines import MachineKey


class AgentStart(models.Model):
    """A start of a machine's agent that signed calls; which one calls now stands in the machine's key.

    ``returns``: how often the start came back after another one had been heard, the first time at ``returned_at``
    (`console.machines.alternation`).
    """

    key = models.ForeignKey(MachineKey, on_delete=models.CASCADE, related_name="starts")
    start = models.CharField(max_length=32)
    machine_mark = models.CharField(max_length=32, blank=True, help_text="Digest of the machine's id.")
    boot_mark = models.CharField(max_length=32, blank=True, help_text="Digest of the id of its boot.")
    hostname = models.CharField(max_length=255, blank=True)
    address = models.CharField(max_length=60, blank=True)
    since = models.DateTimeField()
    seen_at = models.DateTimeField()
    returns = models.PositiveIntegerField(default=0, db_default=0)
    returned_at = models.DateTimeField(null=True, blank=True)
    refused_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["since"]
        constraints = [
            models.UniqueConstraint(
                fields=["key", "start"],
                name="agent_start_once",
                violation_error_message="A start of an agent is noted once.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.hostname or self.start} ({self.address})"
