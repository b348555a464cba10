"""Command ``ca``: show the certificate authorities, and roll over to a new one (docs/operations.md)."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from console.core import audit
from console.core.errors import Refusal
from console.machines import pki, rollover
from console.machines.models.pki import Authority

ACTOR = audit.System("console command")


class Command(BaseCommand):
    help = "Show the certificate authorities, or roll over to a new one: add, then switch, then retire."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("step", nargs="?", default="show", choices=["show", "add", "switch", "retire"])
        parser.add_argument(
            "--pem",
            action="store_true",
            help="With show: print the certificates, for clients' --proxy-cacert.",
        )
        parser.add_argument(
            "--force", action="store_true", help="Do not wait until every machine has renewed."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        step, force = options["step"], options["force"]
        if options["pem"]:
            if step != "show":
                raise CommandError("--pem goes with show alone.")
            self.stdout.write(pki.ca_pem(), ending="")
            return
        try:
            if step == "add":
                added = rollover.add(actor=ACTOR)
                self.stdout.write(f"{added.key_id} is trusted with every renewal from now on. Next: switch.")
            elif step == "switch":
                new = rollover.switch(actor=ACTOR, force=force)
                self.stdout.write(f"{new.key_id} signs from now on. Next: retire.")
            elif step == "retire":
                old = rollover.retire(actor=ACTOR, force=force)
                self.stdout.write(f"{old.key_id} is trusted no more.")
        except Refusal as refusal:
            raise CommandError(refusal.message) from refusal
        for each in Authority.objects.filter(kind="ca").order_by("created_at"):
            word = "signs" if each.active else "is trusted"
            self.stdout.write(f"  {each.key_id} {word}, made {each.created_at:%Y-%m-%d %H:%M} UTC")
