"""What the license allows now: read by pages, by ``connector_create`` and by the gateways' configuration."""

from dataclasses import dataclass
from datetime import date

from connectors.models import Connector, License


@dataclass(frozen=True)
class LicenseState:
    """``connectors``: how many there may be; ``used``: how many there are."""

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
        """The badge's."""
        return "error" if self.expired else "warning" if self.full else "success"


def current() -> License:
    return License.objects.get_or_create(id=1)[0]


def state() -> LicenseState:
    """Two queries."""
    license_ = current()
    return LicenseState(
        license_.connectors, Connector.objects.count(), license_.valid_until, license_.has_expired()
    )


def is_valid() -> bool:
    """Whether connectors may carry flows at all. One query."""
    return not current().has_expired()
