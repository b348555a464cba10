"""End of old audit rows: from the beginning only, and a signed checkpoint keeps number and digest of the last one."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from console.core import audit, audit_chain
from console.core.models.audit import AuditRow
from console.core.models.version import ConfigVersion

log = logging.getLogger("causeway.audit")
WORKER = audit.System("worker")
PIECE = 10_000
# Rows go once a day, so that the audit's own rows about that stay few.
AT_ONCE = timedelta(days=1)


def forget_old(now: datetime | None = None) -> int:
    """Delete rows older than ``CAUSEWAY_AUDIT_KEPT_DAYS``; return how many. A job of the worker.

    Rows that do not hold stay, with all after them: they are evidence, and the nightly verification tells of them.
    """
    now = now or timezone.now()
    last = _last_old(now - settings.AUDIT_KEPT) if settings.AUDIT_KEPT else None
    if last is None:
        return 0
    walk = audit_chain.Walk().to_the_end(up_to=last.pk)
    if walk.problem:
        log.error("Old rows of the audit are kept, since row %s does not hold: %s", walk.broken, walk.problem)
        return 0
    return _forget(last, now)


def _last_old(before: datetime) -> AuditRow | None:
    """Return the last of the old rows that lie at the beginning, a piece at most; the newest row of all stays."""
    rows = AuditRow.objects.order_by("pk")
    oldest, newest = rows.first(), rows.last()
    if oldest is None or newest is None or oldest.at > before - AT_ONCE:
        return None
    first_kept = rows.filter(at__gte=before).first() or newest
    old = list(rows.filter(pk__lt=first_kept.pk).values_list("pk", flat=True)[:PIECE])
    return rows.get(pk=old[-1]) if old else None


@transaction.atomic
def _forget(last: AuditRow, now: datetime) -> int:
    ConfigVersion.objects.select_for_update().get(id=1)
    old = AuditRow.objects.filter(pk__lte=last.pk)
    number = old.count()
    if not number:
        return 0
    audit_chain.checkpoint_make(audit_chain.Kind.FORGOTTEN, last, now)
    old.delete()
    target = audit.Matter("audit", f"rows up to {last.pk}", str(last.pk))
    after = {"rows": number, "newest": last.at, "digest": last.digest}
    audit.record(actor=WORKER, verb="audit.forget", target=target, after=after)
    return number
