"""Rows of an audit, and the command that verifies them."""

from __future__ import annotations

from io import StringIO

from django.core.management import call_command

from console.core import audit
from console.models import AuditRow

ACTOR = audit.System("test")


def rows(*verbs: str) -> list[AuditRow]:
    for verb in verbs or ("one", "two", "three"):
        audit.record(actor=ACTOR, verb=verb, target=audit.CONSOLE, after={"number": 1})
    return list(AuditRow.objects.order_by("pk"))


def verify(*arguments: str) -> str:
    out = StringIO()
    call_command("verify_audit", *arguments, stdout=out)
    return out.getvalue()
