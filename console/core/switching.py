"""Switching rows on and off: once, whoever clicks at the same time, with one row of the audit trail."""

from typing import Any

from console.core import audit
from console.core.errors import Conflict


def switch(row: Any, *, kind: str, enabled: bool, actor: audit.Actor) -> str:
    """Switch a row that has a ``name`` and is ``enabled`` or not; return the verb, such as ``connector.disable``.

    Raises ``Conflict`` when the row is so already; its code is ``ConnectorAlreadySwitched`` for the kind ``connector``.
    Whoever calls publishes what the switch changes, in the same transaction.
    """
    word = "enable" if enabled else "disable"
    # Compare and set in one statement: of two people who click at once, one is told that the other was first.
    if not type(row).objects.filter(pk=row.pk, enabled=not enabled).update(enabled=enabled):
        code = f"{kind.title().replace('_', '')}AlreadySwitched"
        raise Conflict(f"{row.name} is already {word}d.", code=code)
    row.enabled = enabled
    before, after = {"enabled": not enabled}, {"enabled": enabled}
    audit.record(actor=actor, verb=f"{kind}.{word}", target=row, before=before, after=after)
    return f"{kind}.{word}"
