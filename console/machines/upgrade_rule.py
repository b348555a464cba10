"""The rule by which upgrades go on: from machine to machine, and for each of them from step to step.

One machine at a time drains, installs and switches its version, passes the health gate and carries flows again. A
machine goes back by itself when its new version does not become healthy (``edge.machine.upgrade``); the first machine
that fails stops the rest. The rule is the same for every kind of machine.
"""

from abc import ABC, abstractmethod
from datetime import timedelta
from typing import Any, ClassVar, Generic, TypeVar

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from console.core import audit
from console.core.saving import save
from console.machines.models.upgrades import UpgradeRun, UpgradeStep

R = TypeVar("R", bound=UpgradeRun)
S = TypeVar("S", bound=UpgradeStep)

State = UpgradeStep.State
WORKER = audit.System("worker")
# Longest time in which a machine fetches, installs and switches; after it the step has failed.
INSTALL_LIMIT = timedelta(minutes=15)


def check_limit() -> timedelta:
    """Return how long a check may last: the new version's time, the old one's after a way back, and a minute."""
    return timedelta(seconds=2 * settings.UPGRADE_HEALTH_SECONDS + 60)


class UpgradeRule(ABC, Generic[R, S]):
    """Rule of upgrades for one kind of machine, which says what a drain and good health are.

    ``machine``, ``owner``: names of the foreign keys of a step and of a run, words of sentences and of audit verbs.
    """

    runs: ClassVar[type[Any]]
    steps: ClassVar[type[Any]]
    machine: ClassVar[str]
    owner: ClassVar[str]
    # What follows for a machine of which nobody knows how it is.
    aftermath: ClassVar[str]

    def unfit(self, step: S) -> str:
        """Say why a machine is passed over; empty when the machine is upgraded."""
        return ""

    @abstractmethod
    def drain(self, run: R, step: S) -> None:
        """Keep new flows away from a machine."""

    @abstractmethod
    def is_drained(self, run: R, step: S) -> bool:
        """Tell whether a machine's flows are gone, or their time is over."""

    def interrupted(self, step: S) -> str:
        """Say how somebody ended a machine's drain; empty while the machine drains."""
        return ""

    @abstractmethod
    def release(self, step: S) -> None:
        """Take the order back, and let the machine carry new flows again."""

    @abstractmethod
    def faults(self, step: S) -> list[str]:
        """Name what is not good about a machine now: an upgrade compares before and after."""

    @abstractmethod
    def publish(self) -> None:
        """Raise the version of the configuration that holds the order."""

    def advance(self) -> int:
        """Take every open upgrade as far as it can go now; return how many changed."""
        changed = 0
        for pk in self.runs.objects.filter(state__in=UpgradeRun.OPEN).values_list("pk", flat=True):
            with transaction.atomic():
                changed += self._advance(self._locked(pk))
        return changed

    def _locked(self, pk: str) -> R:
        """Read an upgrade and lock its row: nobody else changes it until the end of the transaction."""
        rows = self.runs.objects.select_for_update(of=("self",)).select_related(self.owner)
        run: R = rows.get(pk=pk)
        return run

    def _advance(self, run: R) -> bool:
        """Take an upgrade one step further; return whether anything changed."""
        if not run.is_open:
            return False
        steps = list(self.steps.objects.filter(upgrade=run).select_related(self.machine))
        active = next((step for step in steps if step.is_active), None)
        if active is not None:
            follow = {
                State.DRAINING: self._drained,
                State.INSTALLING: self._installed,
                State.CHECKING: self._checked,
            }
            return follow[State(active.state)](run, active)
        waiting = [step for step in steps if step.state == State.WAITING]
        bad = next((step for step in steps if step.state in UpgradeStep.BAD), None)
        if bad is not None:
            return self._end(
                run, UpgradeRun.State.FAILED, waiting, f"Not begun, because {bad.machine} failed."
            )
        if run.cancelled_by:
            sentence = f"Not begun: {run.cancelled_by} cancelled."
            return self._end(run, UpgradeRun.State.CANCELLED, waiting, sentence)
        if not waiting:
            return self._end(run, UpgradeRun.State.DONE, [], "")
        if not run.may_begin(timezone.now()):
            return False
        return self._begin(run, waiting[0])

    def _end(self, run: R, state: UpgradeRun.State, left: list[S], sentence: str) -> bool:
        for step in left:
            self._move(step, State.SKIPPED, sentence)
        run.state, run.finished_at = state, timezone.now()
        save(run, "state", "finished_at")
        after = {"version": run.version, "state": state.value}
        audit.record(actor=WORKER, verb=f"{self.owner}.upgrade_end", target=run.owner, after=after)
        return True

    def _move(self, step: Any, state: UpgradeStep.State, message: str = "") -> bool:
        step.state, step.message, step.changed_at = state, message[:500], timezone.now()
        if state in UpgradeStep.OVER:
            step.finished_at = step.changed_at
        step.save(update_fields=["state", "message", "changed_at", "finished_at", "started_at", "reds"])
        if state in UpgradeStep.OVER and state != State.SKIPPED:
            after = {"state": state.value, "version": step.upgrade.version, "message": step.message}
            audit.record(actor=WORKER, verb=f"{self.machine}.upgrade", target=step.machine, after=after)
        return True

    def _begin(self, run: R, step: S) -> bool:
        """Drain the next machine, or note why it is passed over."""
        if run.state != UpgradeRun.State.RUNNING:
            run.state = UpgradeRun.State.RUNNING
            save(run, "state")
        if reason := self._reason(run, step):
            return self._move(step, State.SKIPPED, reason)
        step.started_at, step.reds = timezone.now(), self.faults(step)
        self.drain(run, step)
        return self._move(step, State.DRAINING)

    def _reason(self, run: R, step: S) -> str:
        if step.machine.version == run.version:
            return f"The {self.machine} has version {run.version} already."
        if reason := self.unfit(step):
            return reason
        silent = f"The {self.machine}'s agent is not heard of, so the {self.machine} was not upgraded."
        return "" if step.machine.is_heard else silent

    def _drained(self, run: R, step: S) -> bool:
        if reason := self.interrupted(step):
            return self._move(step, State.SKIPPED, reason)
        if run.cancelled_by:
            self.release(step)
            message = f"The {self.machine} was still draining when {run.cancelled_by} cancelled the upgrade."
            return self._move(step, State.SKIPPED, f"{message} The {self.machine} serves on.")
        if not self.is_drained(run, step):
            return False
        self._move(step, State.INSTALLING)
        self.publish()
        return True

    def _installed(self, run: R, step: S) -> bool:
        if step.told in ("failed", "rolled_back"):
            return self._give_up(step)
        if step.told in ("restarting", "healthy"):
            return self._move(step, State.CHECKING)
        if timezone.now() - step.changed_at < INSTALL_LIMIT:
            return False
        minutes = INSTALL_LIMIT.seconds // 60
        reason = (
            f"The {self.machine} did not report within {minutes} minutes that it installed the new version."
        )
        return self._leave(step, reason)

    def _checked(self, run: R, step: S) -> bool:
        """Let a machine pass that reports itself healthy, runs the new version and is no worse than before."""
        if step.told in ("failed", "rolled_back"):
            return self._give_up(step)
        machine = step.machine
        worse = sorted(set(self.faults(step)) - set(step.reds))
        heard = machine.heard_at is not None and machine.heard_at > step.changed_at
        if step.told == "healthy" and heard and machine.version == run.version and not worse:
            self.release(step)
            return self._move(step, State.DONE, f"From {step.version_before or 'unknown'} to {run.version}.")
        if timezone.now() - step.changed_at < check_limit():
            return False
        reason = (
            f"The {self.machine} is not in good health: {', '.join(worse)}."
            if worse and heard
            else f"The {self.machine} did not report itself healthy with the new version in time."
        )
        return self._leave(step, reason)

    def _give_up(self, step: S) -> bool:
        """Record a failure after which the machine works by its old version, and let the machine carry flows again."""
        self.release(step)
        state = State.FAILED if step.told == "failed" else State.ROLLED_BACK
        return self._move(step, state, step.message)

    def _leave(self, step: S, reason: str) -> bool:
        """Record a failure that leaves the machine's state unknown."""
        self.publish()
        return self._move(step, State.FAILED, f"{reason} {self.aftermath}")
