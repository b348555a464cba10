"""Enrollment codes of connector servers."""

from django.db import transaction

from connectors.models import Connector
from console import audit, enrollment
from console.audit import Actor
from console.errors import NotFound
from console.models import EnrollmentCode


def server_code_create(*, connector: Connector, actor: Actor) -> tuple[str, EnrollmentCode]:
    """A code that admits one server to the connector; the code itself is not kept."""
    return enrollment.code_create(kind="server", target=connector.pk, actor=actor)


@transaction.atomic
def server_code_revoke(*, connector: Connector, digest: str, actor: Actor) -> None:
    """Make a code useless before its time. Raises ``NotFound`` when it was used or is none of the connector's."""
    code = EnrollmentCode.objects.filter(pk=digest, target=connector.pk, used_at=None).first()
    if code is None:
        raise NotFound("This code was used or revoked before.", code="EnrollmentCodeUnknown")
    audit.record(actor=actor, verb="enrollment_code.revoke", target=code, before={"for": connector.pk})
    EnrollmentCode.objects.filter(pk=code.pk).delete()
