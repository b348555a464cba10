"""Upgrades of gateways from the console, those of an area in one run.

A gateway that is upgraded drains: clients that log on are told to use it last. Its new version is a new process with a
new Envoy, so that connections which are still open end.
"""

from datetime import time, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from console import ports
from console.core.audit import Actor
from console.core.models.geography import Area
from console.machines import config
from console.machines.models.machines import Gateway
from console.machines.models.upgrades import AreaUpgrade, GatewayUpgrade
from console.machines.upgrades import Upgrades


class _GatewayUpgrades(Upgrades[AreaUpgrade, GatewayUpgrade]):
    runs, steps, machine, owner = AreaUpgrade, GatewayUpgrade, "gateway", "area"
    aftermath = (
        "Look at the gateway. A gateway of release 0.1 does not follow the console yet: "
        "run the Upgrade command of its Deploy panel once."
    )

    def drain(self, run: AreaUpgrade, step: GatewayUpgrade) -> None:
        # Forget how many flows the gateway reported: only a count from after this moment ends the drain.
        Gateway.objects.filter(pk=step.gateway_id).update(open_flows=None)

    def is_drained(self, run: AreaUpgrade, step: GatewayUpgrade) -> bool:
        over = timezone.now() - step.changed_at >= timedelta(seconds=run.drain_seconds)
        return over or step.gateway.open_flows == 0

    def release(self, step: GatewayUpgrade) -> None:
        self.publish()

    def faults(self, step: GatewayUpgrade) -> list[str]:
        """Name what is not good about a gateway; other floors know the ways that should end at the gateway."""
        gateway = step.gateway
        running = gateway.is_heard and gateway.envoy_state in ("", "running")
        found = [] if running else ["process"]
        for name in ports.gateway_faults:
            found += name(gateway)
        return found

    def publish(self) -> None:
        config.publish()


GATEWAYS = _GatewayUpgrades()
# Condition of gateways: an upgrade has the gateway in hand, so that others should be used before it.
IN_HAND = Exists(GatewayUpgrade.objects.filter(gateway=OuterRef("pk"), state__in=GatewayUpgrade.ACTIVE))


def upgrade_start(
    *, area: Area, window: tuple[time, time] | None, drain: timedelta, actor: Actor
) -> AreaUpgrade:
    """Bring every gateway of an area to the console's version, at any time or between two times of day (UTC).

    ``drain``: how long a gateway's connections may go on. Raise ``Invalid`` (field ``minutes``) and ``Conflict`` when
    there is no wheel, nothing to upgrade, or an upgrade under way.
    """
    start, end = window or (None, None)
    run = AreaUpgrade(area=area, window_start=start, window_end=end)
    return GATEWAYS.start(run, gateways_of(area), drain=drain, actor=actor)


def gateways_of(area: Area) -> QuerySet[Gateway]:
    """Gateways of an area that an upgrade concerns."""
    return Gateway.objects.filter(region__area=area, enrolled_at__isnull=False)


def shown_by_area() -> list[dict[str, Any]]:
    """Return what ``_upgrade.html`` shows of each area that has a gateway, as well as ``of_area``; in two queries."""
    versions: dict[str, list[str]] = {}
    areas: dict[str, Area] = {}
    enrolled = Gateway.objects.filter(enrolled_at__isnull=False).select_related("region__area")
    for gateway in enrolled.order_by("region__area__position"):
        area = areas.setdefault(gateway.region.area_id, gateway.region.area)
        versions.setdefault(area.pk, []).append(gateway.version)
    shown = GATEWAYS.shown(versions)
    return [{"of_area": area, **shown[pk]} for pk, area in areas.items()]


def shown_of(area: Area) -> dict[str, Any]:
    """Return what ``_upgrade.html`` shows of one area, as well as ``of_area``; in two queries."""
    versions = [gateway.version for gateway in gateways_of(area)]
    return {"of_area": area, **GATEWAYS.shown({area.pk: versions})[area.pk]}
