"""Roll-over of the certificate authority in three steps, so that no machine ever meets a certificate it cannot check.

``add``: a second authority is trusted, and reaches every machine with its next renewal. ``switch``: the second signs
from now on. ``retire``: the first is trusted no more. Between two steps lies the life of a certificate, in which all
machines renew.
"""

from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from console.core import audit
from console.core.errors import Conflict
from console.core.models.audit import AuditRow
from console.machines import pki
from console.machines.models.pki import Authority


@transaction.atomic
def add(*, actor: audit.Actor) -> Authority:
    """Take step 1. Raises ``Conflict`` while another roll-over is under way."""
    pki.authority("ca")
    if Authority.objects.select_for_update().filter(kind="ca").count() > 1:
        raise Conflict("A roll-over is under way already: go on with switch or retire.")
    added = pki.ca_add()
    audit.record(actor=actor, verb="authority.add", target=added)
    return added


@transaction.atomic
def switch(*, actor: audit.Actor, force: bool = False) -> Authority:
    """Take step 2. Raises ``Conflict`` without a step 1, or when machines may not know of it yet (unless ``force``)."""
    rows = Authority.objects.select_for_update().filter(kind="ca")
    old = rows.filter(active=True).first()
    new = rows.filter(active=False).order_by("-created_at").first()
    if old is None or new is None or new.created_at < old.created_at:
        raise Conflict("There is no new authority to switch to: begin with add.")
    _wait_over(new.created_at, force)
    # Old one off first: two are never active together.
    Authority.objects.filter(pk=old.pk).update(active=False)
    Authority.objects.filter(pk=new.pk).update(active=True)
    audit.record(actor=actor, verb="authority.switch", target=new, before={"authority": old.key_id})
    return new


@transaction.atomic
def retire(*, actor: audit.Actor, force: bool = False) -> Authority:
    """Take step 3. Raises ``Conflict`` without a step 2, or when the old one's certificates may be in use."""
    rows = Authority.objects.select_for_update().filter(kind="ca")
    active = rows.filter(active=True).first()
    old = rows.filter(active=False).order_by("created_at").first()
    if active is None or old is None or old.created_at > active.created_at:
        raise Conflict("There is no old authority to retire: add and switch come first.")
    switched = AuditRow.objects.filter(verb="authority.switch").order_by("-at").first()
    _wait_over(switched.at if switched else active.created_at, force)
    audit.record(actor=actor, verb="authority.retire", target=old)
    Authority.objects.filter(pk=old.pk).delete()
    return old


def _wait_over(since: datetime, force: bool) -> None:
    ready = since + settings.CERTIFICATE_LIFETIME
    if timezone.now() < ready and not force:
        raise Conflict(
            f"Machines renew until {ready:%Y-%m-%d %H:%M} UTC; before that this step would cut off those that have "
            "not. Wait, or use --force if every machine has renewed."
        )
