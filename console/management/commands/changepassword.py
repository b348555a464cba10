"""Command ``changepassword``: Django's own, for a user who is locked out of the console, with a row in the audit."""

from typing import Any

from django.contrib.auth.management.commands import changepassword
from django.db import transaction
from django.db.models.signals import post_save

from console.core import audit
from console.core.models.access import User

ACTOR = audit.System("console command")


@transaction.atomic
def changed(instance: User, **kwargs: Any) -> None:
    audit.record(actor=ACTOR, verb="user.password_set", target=instance)


class Command(changepassword.Command):
    def handle(self, *args: Any, **options: Any) -> str | None:
        post_save.connect(changed, sender=User)
        try:
            said: str | None = super().handle(*args, **options)
        finally:
            post_save.disconnect(changed, sender=User)
        return said
