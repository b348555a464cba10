"""Command ``backup``: the console in one encrypted file, made while the console runs (docs/operations.md)."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from console.backup import keys, services
from console.core import audit
from console.core.errors import Refusal
from console.core.own_file import ended_by_signal

ACTOR = audit.System("console command")


class Command(BaseCommand):
    help = "Write database, certificate authority, settings and wheels into one encrypted file."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="?", type=Path, help="The backup.")
        parser.add_argument(
            "--key-file",
            metavar="KEY",
            help="File with the public key, or - for standard input. To check, the secret key.",
        )
        parser.add_argument("--check", action="store_true", help="Read the whole backup and change nothing.")
        parser.add_argument(
            "--new-key", type=Path, metavar="KEY", help="Make a secret key, to be kept elsewhere."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["new_key"]:
                self._new_key(options["new_key"])
            elif not options["file"] or not options["key_file"]:
                raise CommandError("Give the backup's FILE and --key-file, or --new-key.")
            elif options["check"]:
                self._check(options["file"], options["key_file"])
            else:
                with ended_by_signal():
                    self._make(options["file"], options["key_file"])
        except Refusal as refusal:
            raise CommandError(refusal.message) from refusal

    def _new_key(self, file: Path) -> None:
        public = keys.make(file)
        self.stdout.write(f"Backups are made with the public key: {public}")
        self.stdout.write(
            f"Backups are read with {file}. Keep that file away from the console and from the backups."
        )

    def _make(self, file: Path, key_file: str) -> None:
        lines = keys.lines_of(key_file)
        services.check_key(lines)
        size, notes = services.backup_make(target=file.absolute(), key=keys.public(lines), actor=ACTOR)
        for note in notes:
            self.stdout.write(note)
        self.stdout.write(f"{file}: {size:,} bytes.")

    def _check(self, file: Path, key_file: str) -> None:
        found = services.backup_check(path=file, key=keys.secret(keys.lines_of(key_file)))
        made = found.manifest
        self.stdout.write(
            f"{file} is whole: release {made['release']}, {made['database']}, made {made['made_at']}, "
            f"{found.size:,} bytes of database, wheels: {', '.join(found.wheels) or 'none'}."
        )
