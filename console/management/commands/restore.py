"""Command ``restore``: put a backup in the place of this console's world (docs/operations.md)."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from console.backup import keys, services
from console.core import audit
from console.core.errors import Refusal
from console.core.own_file import ended_by_signal

ACTOR = audit.System("console command")


class Command(BaseCommand):
    help = "Restore a backup into this console's database, and begin a new epoch of the configuration."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="The backup.")
        parser.add_argument(
            "--key-file",
            required=True,
            metavar="KEY",
            help="File with the secret key, or - for standard input.",
        )
        parser.add_argument("--replace", action="store_true", help="Lose the world that the database holds.")
        parser.add_argument(
            "--settings-to",
            type=Path,
            metavar="NEW_FILE",
            help="Only write the settings of the backup, secrets included, into a new file.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            key = keys.secret(keys.lines_of(options["key_file"]))
            if target := options["settings_to"]:
                services.settings_write(path=options["file"], key=key, target=target)
                self.stdout.write(f"The settings are in {target}.")
                return
            with ended_by_signal():
                done = services.restore(
                    path=options["file"], key=key, replace=options["replace"], actor=ACTOR
                )
        except Refusal as refusal:
            raise CommandError(refusal.message) from refusal
        self.stdout.write(f"Restored: the console of {done.backup.manifest['made_at']}.")
        ended = [f"{count} {words}" for words, count in done.ended.items() if count]
        self.stdout.write(f"Ended: {', '.join(ended) or 'nothing'}. Every client account logs on anew.")
        for note in done.notes:
            self.stdout.write(note)
        self.stdout.write(
            "A new epoch begins: machines take the configuration whole. Start console and worker."
        )
