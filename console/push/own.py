"""Messages by mail to a user of the console, who switches them on in the own profile: a channel of the user's own.

The channel follows the user: to another address, and away with the user or when the user is disabled.
"""

from django.db import models, transaction

from console.core import audit
from console.core.errors import Conflict, Invalid
from console.core.models.access import User
from console.push.models import PushChannel
from console.push.services import channel_create, channel_delete, channel_update

FOLLOWS = audit.System("message push")


@transaction.atomic
def own_channel_switch(*, user: User, enabled: bool, actor: audit.Actor) -> None:
    """Send every message to a user's address as well, or no longer.

    Raises ``Conflict`` when that is so already, ``Invalid`` for a user without an address.
    """
    User.objects.select_for_update().get(pk=user.pk)
    channel = PushChannel.objects.filter(owner=user).first()
    if (channel is not None) == enabled:
        raise Conflict(f"Messages by mail are {'on' if enabled else 'off'} already.")
    if channel is not None:
        channel_delete(channel=channel, actor=actor)
        return
    if not user.email:
        raise Invalid("There is no e-mail address for you here. Ask an administrator to add one.")
    made, _ = channel_create(
        name=f"Mail to {user.username}", kind="email", recipients=user.email, actor=actor
    )
    PushChannel.objects.filter(pk=made.pk).update(owner=user)


def follow(row: models.Model) -> None:
    """Bring the own channel of a user who was written to where the user is now."""
    if not isinstance(row, User):
        return
    channel = PushChannel.objects.filter(owner=row).first()
    if channel is None or (row.is_active and channel.destination == row.email):
        return
    if row.is_active and row.email:
        channel_update(channel=channel, name=channel.name, recipients=row.email, actor=FOLLOWS)
    else:
        channel_delete(channel=channel, actor=FOLLOWS)
