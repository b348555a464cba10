"""Writes of channels. Secrets go in and are sealed; none comes out again but one that was made here, once."""

import base64
import secrets
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from console.core import audit, saving
from console.core.errors import Conflict, Invalid
from console.core.sealed import seal, unseal
from console.core.switching import switch
from console.push import addresses, formats, sending
from console.push.models import LONGEST_ANSWER, PURPOSE, PushChannel, PushDelivery, PushMessage

MOST_RECIPIENTS = 50
EMAIL, WEBHOOK = PushChannel.Kind.EMAIL, PushChannel.Kind.WEBHOOK


def new_secret() -> str:
    """Make a webhook's secret as Standard Webhooks writes it: ``whsec_`` and 32 random bytes in base64."""
    return formats.SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def _recipients(text: str) -> list[str]:
    found = list(dict.fromkeys(text.replace(",", " ").replace(";", " ").split()))
    if not 1 <= len(found) <= MOST_RECIPIENTS:
        raise Invalid(f"Give 1 to {MOST_RECIPIENTS} e-mail addresses.", field="recipients")
    for address in found:
        try:
            validate_email(address)
        except ValidationError as error:
            raise Invalid(f"{address[:100]} is not an e-mail address.", field="recipients") from error
    return found


def _url(url: str) -> addresses.Target:
    """Read an address; one into private networks is refused here already, though the check at every attempt decides."""
    try:
        target = addresses.parse(url)
        if addresses_known := _literal(target):
            addresses.allowed(addresses_known)
    except addresses.AddressRefused as refused:
        raise Invalid(str(refused), field="url") from refused
    return target


def _literal(target: addresses.Target) -> addresses.Target | None:
    """Return the target when its host needs no look-up: a form must not wait for a name server."""
    host = target.host.rstrip(".")
    numeric = host.replace(".", "").isdigit() or ":" in host or host.startswith("0x")
    return target if numeric or host == "localhost" or host.endswith(".localhost") else None


def _kept(kind: str, url: str, recipients: str, secret: str) -> tuple[str, dict[str, Any]]:
    """Return (the part of the destination that may be shown, the values to seal)."""
    if kind == EMAIL:
        found = _recipients(recipients)
        return ", ".join(found), {"recipients": found}
    target = _url(url)
    if len(secret) > 200 or not secret.isprintable():
        raise Invalid("The secret must be at most 200 printable characters.", field="secret")
    return target.shown, {"url": url.strip(), "secret": secret.strip()}


def _save(channel: PushChannel, *fields: str) -> None:
    """Save a channel; a refusal without a field concerns the name, which alone must be unique."""
    try:
        saving.save(channel, *fields)
    except Invalid as refusal:
        raise Invalid(refusal.message, field=refusal.field or "name") from refusal


def _facts(channel: PushChannel) -> dict[str, Any]:
    return {"name": channel.name, "kind": channel.kind, "destination": channel.destination}


@transaction.atomic
def channel_create(
    *, name: str, kind: str, url: str = "", recipients: str = "", secret: str = "", actor: audit.Actor
) -> tuple[PushChannel, str]:
    """Make a channel and, for a webhook, its secret, which is told this once (else empty).

    Raises ``Invalid`` naming name, kind, url, recipients or secret.
    """
    if kind not in PushChannel.Kind.values:
        raise Invalid("The kind must be email, webhook, dingtalk or slack.", field="kind")
    made = new_secret() if kind == WEBHOOK else ""
    destination, values = _kept(kind, url, recipients, made or secret)
    channel = PushChannel(name=name.strip(), kind=kind, destination=destination)
    channel.sealed = seal(PURPOSE, values)
    _save(channel)
    audit.record(actor=actor, verb="push_channel.create", target=channel, after=_facts(channel))
    return channel, made


@transaction.atomic
def channel_update(
    *,
    channel: PushChannel,
    name: str,
    url: str = "",
    recipients: str = "",
    secret: str = "",
    actor: audit.Actor,
) -> PushChannel:
    """Change name and destination. An address or secret that is left empty stays as it is.

    Raises ``Conflict`` for another destination of a user's own channel, which follows its user.
    """
    if channel.owner is not None and recipients.strip() != channel.owner.email:
        raise Conflict(f"{channel.name} goes to its own user, whose address administrators change.")
    before = _facts(channel)
    values = unseal(PURPOSE, channel.sealed)
    if channel.kind == EMAIL:
        channel.destination, values = _kept(EMAIL, "", recipients, "")
    elif url or secret:
        kept = secret if secret and channel.kind != WEBHOOK else values.get("secret", "")
        channel.destination, values = _kept(channel.kind, url or values.get("url", ""), "", kept)
    channel.name, channel.sealed = name.strip(), seal(PURPOSE, values)
    _save(channel, "name", "destination", "sealed")
    after = _facts(channel) | {"address_given": bool(url), "secret_given": bool(secret)}
    audit.record(actor=actor, verb="push_channel.update", target=channel, before=before, after=after)
    return channel


@transaction.atomic
def channel_new_secret(*, channel: PushChannel, actor: audit.Actor) -> str:
    """Replace a webhook's secret; messages are signed with it from now on, and it is told this once."""
    if channel.kind != WEBHOOK:
        raise Conflict(f"{channel.name} is not a webhook: the console makes secrets only for webhooks.")
    made = new_secret()
    values = unseal(PURPOSE, channel.sealed) | {"secret": made}
    channel.sealed = seal(PURPOSE, values)
    channel.save(update_fields=["sealed"])
    audit.record(actor=actor, verb="push_channel.new_secret", target=channel)
    return made


@transaction.atomic
def channel_switch(*, channel: PushChannel, enabled: bool, actor: audit.Actor) -> PushChannel:
    """Send through the channel again, waiting messages first; or send nothing, so that waiting messages wait on.

    Raises ``Conflict`` when the channel is so already.
    """
    switch(channel, kind="push_channel", enabled=enabled, actor=actor)
    return channel


@transaction.atomic
def channel_delete(*, channel: PushChannel, actor: audit.Actor) -> None:
    """Forget a channel with the messages that wait for it."""
    audit.record(actor=actor, verb="push_channel.delete", target=channel, before=_facts(channel))
    channel.delete()


@transaction.atomic
def delivery_retry(*, delivery: PushDelivery, actor: audit.Actor) -> None:
    """Try a delivery now: one that waits for its next attempt, or one that was given up."""
    now = timezone.now()
    changed = (
        PushDelivery.objects.filter(pk=delivery.pk)
        .exclude(state=PushDelivery.State.DELIVERED)
        .update(state=PushDelivery.State.WAITING, due_at=now, created_at=now, ended_at=None)
    )
    if not changed:
        raise Conflict("The message was delivered already.")
    audit.record(
        actor=actor,
        verb="push_delivery.retry",
        target=delivery.channel,
        after={"message": delivery.message_id},
    )


def channel_test(*, channel: PushChannel, actor: audit.Actor) -> sending.Answer:
    """Send a test message at once, which is not kept and not repeated; return the answer."""
    message = PushMessage(
        kind="test",
        title="Test message from Causeway",
        text=f"{actor} tests the channel {channel.name}. If you read this, messages arrive.",
        body={"alerts": []},
    )
    answer = sending.send(channel, message, unseal(PURPOSE, channel.sealed))
    with transaction.atomic():
        now = timezone.now()
        changes = (
            {"delivered_at": now, "failure": ""}
            if answer.ok
            else {"failed_at": now, "failure": answer.text[:LONGEST_ANSWER]}
        )
        PushChannel.objects.filter(pk=channel.pk).update(**changes)
        after = {"ok": answer.ok, "answer": answer.text}
        audit.record(actor=actor, verb="push_channel.test", target=channel, after=after)
    return answer
