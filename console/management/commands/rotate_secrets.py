"""Command ``rotate_secrets``: seal all secrets anew by the first key, or say which keys seal them."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from console.core import audit, rotation
from console.machines import config

ACTOR = audit.System("console command")


class Command(BaseCommand):
    help = "Seal the secrets in the database anew by the first key of CAUSEWAY_SEALING_KEYS, else by the secret key."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check",
            action="store_true",
            help="Change nothing; say whether an older key still seals a secret.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = rotation.look() if options["check"] else rotation.rotate(actor=ACTOR)
        for column in found:
            self.stdout.write(_words(column))
        if unopened := sum(column.unopened for column in found):
            raise CommandError(
                f"No key of the console opens {unopened} of the secrets. Add the key that sealed them to the end of "
                "CAUSEWAY_SEALING_KEYS, or enter these secrets again."
            )
        if older := sum(column.older for column in found):
            raise CommandError(f"An older key still seals {older} of the secrets. Run rotate_secrets.")
        if not options["check"] and settings.SECRET_KEY_FALLBACKS:
            # Keys of probes come from the secret key: gateways and servers take those of the new one together.
            with transaction.atomic():
                config.publish(servers=True)
        self.stdout.write("The first key seals every secret. Older keys can be taken out.")


def _words(column: rotation.Column) -> str:
    counts = {
        "sealed anew": column.renewed,
        "sealed by the first key before": column.current,
        "sealed by an older key": column.older,
        "opened by no key": column.unopened,
    }
    told = [f"{count} {words}" for words, count in counts.items() if count]
    return f"{column.name}: {', '.join(told) or 'none'}"
