"""Tables of message push: channels, messages, and the outbox that carries messages to channels."""

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from console.core.constraints import one_of, unique_name
from console.core.ids import new_id
from console.core.sealed import SealedField

# Purpose for which addresses and secrets of channels are sealed.
PURPOSE = "push"

NAME = RegexValidator(
    r"^(?!\s)[^\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+(?<!\s)\Z",
    "The name must be 1 to 100 characters, without control characters and without spaces at its ends.",
)


def new_channel_id() -> str:
    return new_id("channel")


def new_message_id() -> str:
    return new_id("message")


LONGEST_ANSWER = 700  # a sentence that names a certificate and its issuer has room


class PushChannel(models.Model):
    """A receiver of messages.

    ``sealed`` hides from readers of the database a webhook's whole address (those of chat systems carry their password
    in it) and the secret that signs. ``destination`` is the part of the address that may be shown.
    """

    class Kind(models.TextChoices):
        EMAIL = "email", "E-mail"
        WEBHOOK = "webhook", "Webhook"
        DINGTALK = "dingtalk", "DingTalk"
        SLACK = "slack", "Slack-compatible"

    id = models.CharField(primary_key=True, max_length=40, default=new_channel_id, editable=False)
    name = models.CharField(max_length=100, validators=[NAME])
    kind = models.CharField(max_length=20, choices=Kind.choices)
    owner = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        editable=False,
        related_name="own_channel",
        help_text="The user who gets the messages by mail, and has switched that on.",
    )
    enabled = models.BooleanField(default=True)
    destination = models.TextField(editable=False)
    sealed = SealedField(purpose=PURPOSE, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    delivered_at = models.DateTimeField(null=True, blank=True, editable=False)
    failed_at = models.DateTimeField(null=True, blank=True, editable=False)
    failure = models.CharField(max_length=LONGEST_ANSWER, blank=True, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            unique_name("channel", name="push_channel_name_unique"),
            one_of(
                "kind",
                ["email", "webhook", "dingtalk", "slack"],
                name="push_channel_kind_known",
                called="The kind",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_failing(self) -> bool:
        """Return whether the last attempt on the channel failed."""
        return self.failed_at is not None and (
            self.delivered_at is None or self.delivered_at < self.failed_at
        )


class PushMessage(models.Model):
    """A message for every channel. ``body`` is the part of the webhook's JSON that its sender made."""

    id = models.CharField(primary_key=True, max_length=40, default=new_message_id, editable=False)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    kind = models.CharField(max_length=20)
    title = models.CharField(max_length=200)
    text = models.TextField()
    url = models.CharField(max_length=500, blank=True)
    body = models.JSONField(default=dict)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return self.title


class PushDelivery(models.Model):
    """A row of the outbox: one message for one channel, until it was delivered or given up."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DELIVERED = "delivered", "Delivered"
        FAILED = "failed", "Given up"

    message = models.ForeignKey(PushMessage, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.ForeignKey(PushChannel, on_delete=models.CASCADE, related_name="deliveries")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(default=timezone.now, help_text="When it is tried next.")
    ended_at = models.DateTimeField(null=True, blank=True)
    answer = models.CharField(
        max_length=LONGEST_ANSWER, blank=True, help_text="What the receiver last said, or why it did not."
    )

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "push deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["message", "channel"],
                name="push_delivery_once",
                violation_error_message="This message is on its way to this channel already.",
            ),
            one_of(
                "state",
                ["waiting", "delivered", "failed"],
                name="push_delivery_state_known",
                called="The state",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(state="waiting"), name="push_delivery_due"),
        ]

    def __str__(self) -> str:
        return f"{self.message_id} → {self.channel_id}: {self.state}"

    @property
    def is_due(self) -> bool:
        return self.due_at <= timezone.now()
