"""One-use codes with which a server introduces itself."""

from connectors.models import Connector
from console import enrollment
from console.audit import Actor
from console.models import EnrollmentCode


def server_code_create(*, connector: Connector, actor: Actor, click: str = "") -> tuple[str, EnrollmentCode]:
    """A code that admits one server to the connector; see ``enrollment.code_create``."""
    return enrollment.code_create(kind="server", target=connector.pk, actor=actor, click=click)


def server_code_revoke(*, connector: Connector, digest: str, actor: Actor) -> None:
    """Make a code useless before its time. Raises ``NotFound`` when it was used or is none of the connector's."""
    enrollment.code_revoke(target=connector.pk, digest=digest, actor=actor)
