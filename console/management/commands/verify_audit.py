"""Command ``verify_audit``: whether every row of the audit is as it was written (docs/operations.md)."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from console.auditing import check
from console.core import audit_chain


class Command(BaseCommand):
    help = "Verify the audit's chain. Exit code 0: all rows hold; 1: the first that does not is named."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--head",
            default="",
            help="A head that was kept elsewhere, NUMBER:HASH, to compare the rows with.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        walk = audit_chain.Walk().to_the_end()
        if wrong := check.wrong(walk):
            raise CommandError(wrong)
        if options["head"] and (wrong := audit_chain.compared(options["head"])):
            raise CommandError(f"The audit is not the one whose head was kept: {wrong}.")
        self.stdout.write(check.sentence(walk))
        self.stdout.write(f"Head: {walk.head}")
