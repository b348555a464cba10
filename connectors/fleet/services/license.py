"""Writes to the license, and the worker's job for the end of its last day."""

from datetime import date
from typing import Any

from django.db import transaction

from connectors.fleet import licensing
from connectors.fleet.models.connectors import Connector
from connectors.fleet.models.license import License
from console.core import audit
from console.core.audit import Actor
from console.core.errors import Conflict, Invalid
from console.core.saving import changed, save, sides
from console.machines import config


def _locked() -> License:
    licensing.current()  # makes the row, if nobody looked at the license before
    return License.objects.select_for_update().get(id=1)


def require_room() -> None:
    """Refuse one more connector than the license allows, and hold the license's row until the commit.

    Raise ``Conflict`` with code LicenseLimitReached or LicenseExpired.
    """
    license_ = _locked()
    if license_.has_expired():
        raise Conflict(
            f"The license expired after {license_.valid_until}; no connector can be added. "
            "An administrator can renew it.",
            code="LicenseExpired",
        )
    used = Connector.objects.count()
    if used >= license_.connectors:
        raise Conflict(
            f"The license allows {_counted(license_.connectors)}, and there {'is' if used == 1 else 'are'} {used:,}. "
            "Delete one, or let an administrator enter a larger license.",
            code="LicenseLimitReached",
        )


def _counted(number: int) -> str:
    return f"{number:,} connector{'s' if number != 1 else ''}"


@transaction.atomic
def license_update(*, connectors: int, valid_until: date | None, actor: Actor) -> License:
    """Enter another license. If its last day is over, gateways cut everything that goes by a connector.

    Raise ``Invalid`` for fewer connectors than there are: which of them should go is not for the console to say.
    """
    license_ = _locked()
    used = Connector.objects.count()
    if connectors < used:
        raise Invalid(
            f"There {'is' if used == 1 else 'are'} {_counted(used)}; the license must allow at least as many. "
            "Delete some first.",
            field="connectors",
        )
    differences = changed(license_, {"connectors": connectors, "valid_until": valid_until})
    if not differences:
        return license_
    license_.expiry_told = license_.has_expired()
    save(license_, *differences, "expiry_told")
    audit.record(actor=actor, verb="license.update", target=license_, **sides(differences, _plain))
    config.publish(cut="license.expire" if license_.expiry_told else None, target="license")
    return license_


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


@transaction.atomic
def license_expire() -> int:
    """Tell the gateways, once, that the license's last day is over; return 1 if this call did. For the worker."""
    license_ = _locked()
    if license_.expiry_told or not license_.has_expired():
        return 0
    license_.expiry_told = True
    license_.save(update_fields=["expiry_told"])
    audit.record(actor=audit.System("worker"), verb="license.expire", target=license_)
    config.publish(cut="license.expire", target="license")
    return 1
