"""State of the license, for pages, for ``connector_create`` and for the gateways' configuration."""

from dataclasses import dataclass
from datetime import date

from connectors.fleet.models.connectors import Connector
from connectors.fleet.models.license import License


@dataclass(frozen=True)
class LicenseState:
    """License against the world. ``connectors``: how many there may be; ``used``: how many there are."""

    connectors: int
    used: int
    valid_until: date | None
    expired: bool

    @property
    def full(self) -> bool:
        return self.used >= self.connectors

    @property
    def word(self) -> str:
        return "Expired" if self.expired else "Limit reached" if self.full else "Authorized"

    @property
    def kind(self) -> str:
        """Kind of the badge that shows ``word``."""
        return "error" if self.expired else "warning" if self.full else "success"


def current() -> License:
    return License.objects.get_or_create(id=1)[0]


def state() -> LicenseState:
    """Compare the license with the connectors that there are. Run two queries."""
    license_ = current()
    return LicenseState(
        license_.connectors, Connector.objects.count(), license_.valid_until, license_.has_expired()
    )


def is_valid() -> bool:
    """Tell whether connectors may carry flows at all. Run one query."""
    return not current().has_expired()
