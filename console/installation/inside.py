"""What Django makes of a console that is set up: tables, static files, the first administrator."""

import argparse
import getpass
import os
import sys
from pathlib import Path

from console.installation.place import Refused, say

PASSWORD = "CAUSEWAY_ADMINISTRATOR_PASSWORD"  # noqa: S105 (the name of a variable)
AGAIN = "Put it right and run the set-up again: what is done is kept."


def start() -> None:
    """Have Django read the settings. Raise `Refused` with what they lack."""
    import django
    from django.core.exceptions import ImproperlyConfigured

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    try:
        django.setup()
    except (ImproperlyConfigured, ValueError) as lacking:  # a URL of a database that nobody can read, for one
        raise Refused(f"The settings cannot be used. {lacking}") from None


def prepare(given: argparse.Namespace) -> None:
    """Migrate, collect static files, make the first administrator. Raise `Refused`."""
    from django.db import DatabaseError

    start()
    try:
        _migrate()
        _secrets_open()
        _static()
        _administrator(given)
    except DatabaseError as error:
        said = str(error).strip().replace("\n", " ")
        raise Refused(f"The database cannot be used: {said}. {AGAIN}") from None


def _migrate() -> None:
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    if plan := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        say(f"Making the tables: {len(plan)} migrations.")
        call_command("migrate", verbosity=0, interactive=False)
    else:
        say("Keeping the tables: every migration is applied.")


def _secrets_open() -> None:
    """Refuse keys that open nothing in a database of before."""
    from console.core import rotation

    if unopened := sum(column.unopened for column in rotation.look()):
        raise Refused(
            f"The database holds {unopened} secrets that no key of this console opens. Put the CAUSEWAY_SEALING_KEYS "
            "and CAUSEWAY_SECRET_KEY of before into the environment file, or name an empty database."
        )


def _static() -> None:
    from django.conf import settings
    from django.core.management import call_command

    say("Collecting static files.")
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
    call_command("collectstatic", verbosity=0, interactive=False)


def _administrator(given: argparse.Namespace) -> None:
    """Make the first administrator, by the service that every door uses; keep the one that is there."""
    from django.db.models import Q

    from console.core import audit, people
    from console.core.errors import Refusal
    from console.core.models.access import User

    administers = Q(role=people.ADMINISTRATOR) | Q(is_superuser=True)
    if there := User.objects.filter(administers, is_staff=True, is_active=True).order_by("pk").first():
        say(f"Keeping the administrator {there.username}.")
        return
    name = given.administrator or _asked("Name of the first administrator", "admin", "--administrator")
    while True:
        try:
            people.user_create(
                username=name, password=_password(name, given.password), email=given.administrator_email or "",
                role=people.ADMINISTRATOR, is_staff=True, is_superuser=True, actor=audit.System("console command"),
            )  # fmt: skip
        except Refusal as refusal:
            if refusal.field != "password" or given.password or not sys.stdin.isatty():
                raise Refused(f"The administrator was not made: {refusal.message}") from None
            say(f"  {refusal.message}")
        else:
            say(f"Made the administrator {name}.")
            return


def _asked(words: str, default: str, option: str) -> str:
    if not sys.stdin.isatty():
        raise Refused(f"{words}? Nobody is asked here: give the option {option}.")
    return input(f"{words} [{default}]: ").strip() or default


def _password(name: str, given: str) -> str:
    """Return the administrator's password: as given, from the terminal, or the first line that comes in."""
    if given:
        return given
    if not sys.stdin.isatty():
        if line := sys.stdin.readline().rstrip("\n"):
            return line
        raise Refused(
            f"The administrator needs a password: give it in {PASSWORD}, or as a line of standard input."
        )
    while True:
        password = getpass.getpass(f"Password of {name}, at least 10 characters: ")
        if password == getpass.getpass("The same again: "):
            return password
        say("  These are two different passwords.")
