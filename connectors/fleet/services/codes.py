"""Codes, good for one use, with which a server introduces itself."""

from connectors.fleet.models.connectors import Connector
from console.core.audit import Actor
from console.machines import enrollment
from console.models import EnrollmentCode


def server_code_create(*, connector: Connector, actor: Actor, click: str = "") -> tuple[str, EnrollmentCode]:
    """Make a code that admits one server to the connector; see ``enrollment.code_create``."""
    return enrollment.code_create(kind="server", target=connector.pk, actor=actor, click=click)


def server_code_revoke(*, connector: Connector, digest: str, actor: Actor) -> None:
    """Make a code useless before its time. Raise ``NotFound`` for a used code and for another connector's."""
    enrollment.code_revoke(target=connector.pk, digest=digest, actor=actor)
