"""Command ``createsuperuser``: Django's own, for the first administrator, with the role and a row in the audit."""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.db.models.signals import post_save

from console.core import audit, people
from console.core.models.access import User

ACTOR = audit.System("console command")


def made(instance: User, created: bool, **kwargs: Any) -> None:
    if created:
        people.administrator_made(user=instance, actor=ACTOR)


class Command(createsuperuser.Command):
    help = "Make a user with the role of administrator, who may also enter Django admin."

    def handle(self, *args: Any, **options: Any) -> None:
        # Not one transaction round the whole command, which waits for people to type while it would hold SQLite.
        post_save.connect(made, sender=User)
        try:
            super().handle(*args, **options)
        finally:
            post_save.disconnect(made, sender=User)
