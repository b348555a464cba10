"""Upgrades from the console: people ask for and cancel them, machines report on them, pages show them.

``console.machines.upgrade_rule`` says how they go on. Each kind of machine has an object of a class of its own here:
gateways in ``console.machines.gateway_upgrades``.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from console.core import audit
from console.core.audit import Actor
from console.core.errors import Conflict, Invalid
from console.core.saving import save
from console.machines import wheels
from console.machines.models.upgrades import UpgradeStep
from console.machines.upgrade_rule import R, S, UpgradeRule
from edge.protocol.configuration import UpgradeOrder

LONGEST_DRAIN = timedelta(hours=24)
MINUTES_SENTENCE = "Minutes must be a whole number from 1 to 1,440."
# Time for which pages go on showing an upgrade that is over.
SHOWN = timedelta(days=1)


def check_drain(within: timedelta) -> None:
    """Raise ``Invalid`` (field ``minutes``) for a drain that is too short or too long."""
    if not timedelta(minutes=1) <= within <= LONGEST_DRAIN:
        raise Invalid(MINUTES_SENTENCE, field="minutes")


class Upgrades(UpgradeRule[R, S]):
    """Upgrades of one kind of machine; their services and reads."""

    @transaction.atomic
    def start(self, run: R, machines: Iterable[Any], *, drain: timedelta, actor: Actor) -> R:
        """Bring machines of the owner that ``run``, not saved yet, names to the console's version; return the run.

        ``drain``: how long a machine's connections may go on. Raise ``Invalid`` for an illegal run (field ``minutes``
        for the drain), and ``Conflict`` when there is no wheel, nothing to upgrade, or an upgrade under way.
        """
        check_drain(drain)
        wheel = wheels.newest_wheel()
        if wheel is None:
            raise Conflict(wheels.NO_WHEEL, code="NoWheel")
        behind = [machine for machine in machines if machine.version != wheel.version]
        if not behind:
            sentence = f"There is no {self.machine} with another version than {wheel.version}."
            raise Conflict(sentence, code=f"No{self.machine.title()}Behind")
        run.version, run.wheel, run.sha256 = wheel.version[:40], wheel.name[:200], wheel.sha256
        run.drain_seconds, run.started_by = int(drain.total_seconds()), str(actor)[:150]
        save(run)
        self.steps.objects.bulk_create(
            self.steps(
                upgrade=run, position=position, version_before=machine.version, **{self.machine: machine}
            )
            for position, machine in enumerate(behind)
        )
        after = {
            "version": run.version,
            f"{self.machine}s": len(behind),
            "in_window": run.window is not None,
        }
        audit.record(actor=actor, verb=f"{self.owner}.upgrade", target=run.owner, after=after)
        return run

    @transaction.atomic
    def cancel(self, *, upgrade: R, actor: Actor) -> R:
        """Begin no other machine; one that still drains goes on serving, one that installs is finished first.

        Raise ``Conflict`` when the upgrade is over or was cancelled before.
        """
        run = self._locked(upgrade.pk)
        if not run.is_open or run.cancelled_by:
            raise Conflict("This upgrade is over or was cancelled already.", code="UpgradeOver")
        run.cancelled_by = str(actor)[:150]
        save(run, "cancelled_by")
        after = {"version": run.version}
        audit.record(actor=actor, verb=f"{self.owner}.upgrade_cancel", target=run.owner, after=after)
        self._advance(run)
        return run

    @transaction.atomic
    def end_all(self, *, reason: str) -> int:
        """End every upgrade where it stands, and let the machines in hand carry flows; return how many upgrades."""
        open_runs = list(self.runs.objects.filter(state__in=self.runs.OPEN).values_list("pk", flat=True))
        for run in map(self._locked, open_runs):
            steps = self.steps.objects.filter(upgrade=run).exclude(state__in=UpgradeStep.OVER)
            left = list(steps.select_related(self.machine, "upgrade"))
            for step in left:
                if step.is_active:
                    self.release(step)
            self._end(run, run.State.CANCELLED, left, reason)
        return len(open_runs)

    @transaction.atomic
    def told(self, machine: Any, *, order: str, state: str, message: str) -> None:
        """Note what a machine reports on the step it was ordered; a report on a step that is over changes nothing."""
        own = self.steps.objects.filter(upgrade=order, state__in=UpgradeStep.ACTIVE)
        step = own.filter(**{self.machine: machine}).first()
        if step is None:
            return
        run = self._locked(step.upgrade_id)
        step.refresh_from_db()
        if not step.is_active:
            return
        step.told, step.message = state, message[:500]
        step.save(update_fields=["told", "message"])
        self._advance(run)

    def order(self, machine: Any) -> UpgradeOrder | None:
        """Return what a machine is to install, the same until its step is over; None outside upgrades."""
        own = self.steps.objects.filter(**{self.machine: machine}, state__in=UpgradeStep.ORDERED)
        step = own.select_related("upgrade").first()
        if step is None:
            return None
        run = step.upgrade
        return UpgradeOrder(
            order=run.pk,
            version=run.version,
            wheel=run.wheel,
            sha256=run.sha256,
            health_seconds=settings.UPGRADE_HEALTH_SECONDS,
        )

    def shown(self, versions: Mapping[Any, Collection[str]]) -> dict[Any, dict[str, Any]]:
        """Return what ``_upgrade.html`` shows, by the keys of owners whose machines have these versions; in one query.

        ``reason``: why an upgrade cannot be begun now, empty when one can.
        """
        newest = self.runs.objects.filter(**{self.owner: OuterRef(f"upgrade__{self.owner}")})
        newest = newest.order_by("-created_at", "id").values("pk")[:1]
        found = self.steps.objects.filter(
            **{f"upgrade__{self.owner}__in": list(versions)}, upgrade=Subquery(newest)
        )
        steps: dict[Any, list[S]] = {owner: [] for owner in versions}
        for step in found.select_related(f"upgrade__{self.owner}", self.machine).order_by("position"):
            steps[step.upgrade.owner.pk].append(step)
        return {owner: self._shown(steps[owner], of) for owner, of in versions.items()}

    def _shown(self, steps: list[Any], versions: Collection[str]) -> dict[str, Any]:
        wheel = wheels.newest_wheel()
        run = steps[0].upgrade if steps else None
        if run and not run.is_open and (run.finished_at or run.created_at) < timezone.now() - SHOWN:
            run, steps = None, []
        behind = sum(1 for version in versions if wheel is not None and version != wheel.version)
        if run is not None and run.is_open:
            reason = f"An upgrade of this {self.owner} is going on."
        elif wheel is None:
            reason = "The console has no causeway wheel to install from."
        elif not versions:
            reason = f"The {self.owner} has no {self.machine} yet."
        else:
            reason = "" if behind else f"All of its {self.machine}s have version {wheel.version}."
        words = {"machine": self.machine, "owner": self.owner}
        return {
            "upgrade": run,
            "steps": steps,
            "wheel": wheel,
            "behind": behind,
            "reason": reason,
            "words": words,
        }
