"""Looks at what the console keeps: database, tables, secrets, administrator, worker, backup."""

from collections.abc import Iterator
from datetime import timedelta

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Q
from django.utils import timezone

from console.core import people, rotation
from console.core.models.access import User
from console.core.models.audit import AuditRow
from console.installation.checks import SETUP, error, ok, warning
from console.work import heartbeat
from edge.machine.checks import Check

# Connections of the processes behind a front, some for the worker, some for gateways in the moment of a change.
CONNECTIONS = 100
WORKER_SILENT = 6 * heartbeat.EVERY
FLOORS = {"console", "roaming", "connectors"}
BACKUP_OLD = timedelta(days=7)


def database() -> Iterator[Check]:
    """Look whether the database answers. Raises ``DatabaseError`` where it does not, which ends these looks."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        if connection.vendor == "postgresql":
            cursor.execute("SHOW max_connections")
            allowed = int(cursor.fetchone()[0])
            if allowed < CONNECTIONS:
                fix = (
                    f"Set max_connections of PostgreSQL to {CONNECTIONS} or more, and start PostgreSQL anew."
                )
                yield warning("database", f"PostgreSQL allows {allowed} connections at a time.", fix)
                return
    yield ok("database", f"{connection.display_name} answers.")


def tables() -> Iterator[Check]:
    executor = MigrationExecutor(connection)
    known = executor.loader.disk_migrations
    newer = [key for key in executor.loader.applied_migrations if key[0] in FLOORS and key not in known]
    if newer:
        app, migration = newer[0]
        fix = "Install the release that made the tables, or a newer one, or restore a backup."
        yield error("tables", f"A newer release made the tables: {app}.{migration}.", fix)
    elif plan := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        yield error("tables", f"{len(plan)} migrations are not applied.", SETUP)
    else:
        yield ok("tables", "Every migration is applied.")


def secrets() -> Iterator[Check]:
    found = rotation.look()
    if unopened := sum(column.unopened for column in found):
        fix = (
            "Put the key that sealed them at the end of CAUSEWAY_SEALING_KEYS, or enter these secrets again."
        )
        yield error("secrets", f"No key of the console opens {unopened} secrets of the database.", fix)
    elif older := sum(column.older for column in found):
        yield warning(
            "secrets", f"An older key still seals {older} secrets.", "causeway-console manage rotate_secrets"
        )
    else:
        yield ok("secrets", "The first key opens every secret of the database.")


def administrator() -> Iterator[Check]:
    administers = Q(role=people.ADMINISTRATOR) | Q(is_superuser=True)
    if count := User.objects.filter(administers, is_staff=True, is_active=True).count():
        yield ok("administrator", f"Active administrators: {count}.")
    else:
        yield error("administrator", "Nobody can manage users and gateways.", SETUP)


def worker() -> Iterator[Check]:
    fix = "systemctl restart causeway-worker, or have something run “causeway-console worker”."
    silent = heartbeat.silence()
    if silent is None:
        yield error("worker", "No worker has run on this machine: no alert, mail or expiry happens.", fix)
    elif silent > WORKER_SILENT:
        yield error("worker", f"The worker has shown no sign of life for {_words(silent)}.", fix)
    elif silent < -WORKER_SILENT:
        finding = (
            f"The worker's last sign of life lies {_words(-silent)} in the future: the clock was put back."
        )
        yield warning("worker", finding, "Look again in a minute.")
    else:
        yield ok("worker", "The worker runs.")


def backup() -> Iterator[Check]:
    """Look for the newest backup in the audit."""
    newest = AuditRow.objects.filter(verb="backup.create").order_by("-pk").first()
    fix = "causeway-console manage backup FILE --key-file KEY, every night; docs/operations.md has the drill."
    if newest is None:
        yield warning("backup", "No backup was ever made.", fix)
    elif (age := timezone.now() - newest.at) > BACKUP_OLD:
        yield warning("backup", f"The newest backup is {_words(age)} old.", fix)
    else:
        yield ok("backup", f"The newest backup is {_words(age)} old.")


def _words(time: timedelta) -> str:
    seconds = int(time.total_seconds())
    for size, word in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size} {word}"
    return f"{seconds} seconds"
