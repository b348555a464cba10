"""Relation of a backup to this console: which release made it, which migrations it had, what would be lost by it."""

import re
from typing import Any

from django.db import connection
from django.db.migrations.loader import MigrationLoader

from console.core.errors import Invalid
from edge import version

# Tables of which each has rows as soon as somebody uses the console.
WORLD = ("console_user", "console_auditrow", "console_gateway", "console_authority")
HOLDS_A_WORLD = (
    "The database holds a world already. Say --replace to lose that world, or name another database."
)


def applied() -> dict[str, list[str]]:
    """Return app → the migrations that the database has had."""
    found: dict[str, list[str]] = {}
    for app, name in sorted(MigrationLoader(connection).applied_migrations):
        found.setdefault(app, []).append(name)
    return found


def check_release(manifest: dict[str, Any]) -> None:
    """Raise `Invalid` for a backup of a newer release, or of another database."""
    release, here = manifest["release"], version()
    if manifest["format"] != 1 or _parts(release) > _parts(here) > (0,):
        raise Invalid(
            f"The backup is of release {release}, and this console is {here}. Install {release} or a newer one."
        )
    known = MigrationLoader(None, ignore_no_migrations=True).disk_migrations
    unknown = [
        f"{app}.{name}"
        for app, names in manifest["migrations"].items()
        for name in names
        if (app, name) not in known
    ]
    if unknown:
        raise Invalid(
            f"The backup is of a newer release {release}: this one does not know {', '.join(unknown[:3])}. "
            "Install the newer one."
        )
    if manifest["database"] != connection.vendor:
        raise Invalid(
            f"The backup is of {manifest['database']}, and DATABASE_URL names {connection.vendor}. "
            f"Name a database of {manifest['database']}."
        )


def _parts(release: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", release.partition("+")[0]))
