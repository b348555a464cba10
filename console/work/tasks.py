"""Background tasks: started by a page, worked on by ``manage.py worker``, one item at a time.

An item's change, its result and the task's progress are committed together, so that a worker that is killed leaves
each item either done or not begun, and the worker that takes the task up continues with the next. A task is in one
worker's hands at a time: it is taken by compare-and-set, and every commit checks that it still is.
"""

import logging
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import OperationalError, transaction
from django.db.models import F, Q
from django.utils import timezone

from console import ports
from console.core import audit, versions
from console.core.errors import Conflict, Forbidden, Invalid, Refusal
from console.core.models.access import User
from console.core.sealed import seal, unseal
from console.ports import TaskKind
from console.work.models import PURPOSE, Task, TaskItem

log = logging.getLogger("causeway.tasks")
# Silence after which a worker counts as dead. No single item may take as long.
STALE = timedelta(seconds=30)
# Deaths of a worker after which the item at hand is given up, so that it cannot stop everything else.
MOST_ATTEMPTS = 3
# Time that a worker stays with one task before it looks after the others.
TURN_SECONDS = 1.0
KEEP_SECRETS = timedelta(days=7)
KEEP_TASKS = timedelta(days=90)


@dataclass(frozen=True)
class Item:
    """Work on one thing. ``name`` is shown; ``secret`` is kept encrypted and erased when the item is done."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    secret: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """Item as a kind's functions are given it. ``prepared``: the value that ``prepare`` returned, None without it."""

    task: Task
    name: str
    parameters: dict[str, Any]
    secret: dict[str, Any]
    actor: audit.Actor
    prepared: Any = None


@dataclass(frozen=True)
class Outcome:
    """Result of an item. ``message``: a sentence for its row; ``secret``: told once, to who started the task."""

    message: str = ""
    secret: dict[str, str] = field(default_factory=dict)


@transaction.atomic
def start(
    *,
    kind: str,
    title: str,
    items: Iterable[Item],
    parameters: dict[str, Any] | None = None,
    actor: audit.Actor,
) -> Task:
    """Queue a task. Raises ``Invalid`` when there is nothing to do."""
    if kind not in ports.task_kinds:
        raise ValueError(f"unknown kind of task {kind!r}")
    wanted = list(items)
    if not wanted:
        raise Invalid("There is nothing to do: nothing was chosen.")
    task = Task.objects.create(
        kind=kind,
        title=title[:200],
        actor=str(actor)[:150],
        owner=actor if isinstance(actor, User) else None,
        source=audit.source.get(),
        parameters=parameters or {},
        based_on=_based_on(),
        total=len(wanted),
    )
    TaskItem.objects.bulk_create(
        (
            TaskItem(
                task=task,
                position=position,
                name=item.name[:200],
                parameters=item.parameters,
                secret=seal(PURPOSE, item.secret),
            )
            for position, item in enumerate(wanted)
        ),
        batch_size=1000,
    )
    audit.record(actor=actor, verb="task.start", target=task, after={"kind": kind, "items": len(wanted)})
    return task


def _based_on() -> int | None:
    """Return the number that the page went by which starts the task."""
    basis = versions.current.get()
    return basis.posted if basis else None


@transaction.atomic
def cancel(*, task: Task, actor: audit.Actor) -> Task:
    """Stop a task: what is done stays done, the rest is not done. Raises ``Conflict`` when it is over already."""
    now = timezone.now()
    active = Task.objects.filter(pk=task.pk, state__in=Task.ACTIVE)
    if not active.update(state=Task.State.CANCELLED, finished_at=now, worker=""):
        raise Conflict(f"“{task.title}” is over already.")
    task.refresh_from_db()
    left = task.items.filter(state=TaskItem.State.WAITING)
    left.update(state=TaskItem.State.CANCELLED, secret="")
    audit.record(actor=actor, verb="task.cancel", target=task, after={"done": task.done, "of": task.total})
    return task


@transaction.atomic
def take_secrets(*, task: Task, user: User) -> dict[int, dict[str, Any]]:
    """Return item position → secrets and erase them; only the one who started the task gets them, once it is over."""
    task = Task.objects.select_for_update().get(pk=task.pk)
    if task.owner_id != user.pk:
        raise Forbidden(f"Only {task.actor}, who started this task, may download the passwords.")
    if task.is_active:
        raise Conflict("The task is still running. Wait until it is done.")
    kept = task.items.exclude(secret="")
    found = {position: unseal(PURPOSE, text) for position, text in kept.values_list("position", "secret")}
    if not found:
        raise Conflict(
            "The passwords of this task were handed out already, and the console does not keep passwords. "
            "Reset the password of an account to get a new one."
        )
    kept.update(secret="")
    audit.record(actor=user, verb="task.take_secrets", target=task, after={"items": len(found)})
    return found


class Lost(Exception):
    """Loss of a task in hand: it was cancelled, or given to another worker."""


def new_worker() -> str:
    return uuid.uuid4().hex


def work(worker: str, *, seconds: float = TURN_SECONDS, now: datetime | None = None) -> bool:
    """Take a task and do its items for ``seconds``. False when there is nothing to do."""
    task = _claim(worker, now or timezone.now())
    if task is None:
        return False
    try:
        kind = ports.task_kinds.get(task.kind)
        if kind is None:
            _finish(task, Task.State.FAILED, f"This console does not know tasks of the kind {task.kind}.")
        elif _turn(task, kind, time.monotonic() + seconds):
            _finish(task, Task.State.DONE)
        else:
            _mine(task).update(worker="")
    except Lost:
        log.info("%s is no longer ours", task.pk)
    except OperationalError as error:
        # Task left in hand: it is taken up again when its heartbeat is old, which counts as an attempt.
        log.error("%s: the database failed: %s", task.pk, error)
    return True


def _claim(worker: str, now: datetime) -> Task | None:
    """Take the task that waited longest into ``worker``'s hands."""
    free = Q(worker="") | Q(heartbeat_at__lt=now - STALE)
    waiting = Task.objects.filter(free, state__in=Task.ACTIVE)
    for task in waiting.order_by(F("heartbeat_at").asc(nulls_first=True), "created_at")[:10]:
        seen = Task.objects.filter(
            pk=task.pk, state=task.state, worker=task.worker, heartbeat_at=task.heartbeat_at
        )
        started = task.started_at or now
        with transaction.atomic():
            if not seen.update(state=Task.State.RUNNING, worker=worker, heartbeat_at=now, started_at=started):
                continue
            died = task.worker
            task.worker = worker
            if died:
                log.warning("the worker of %s died; taken up again", task.pk)
                _note_attempt(task)
        return task
    return None


def _note_attempt(task: Task) -> None:
    """Count an attempt at the item that a dead worker was at, since the item may have killed it."""
    item = _waiting(task).first()
    if item is None:
        return
    item.attempts += 1
    item.save(update_fields=["attempts"])
    if item.attempts >= MOST_ATTEMPTS:
        _conclude(task, item, failure=f"Given up: the worker ended {item.attempts} times while doing this.")


def _waiting(task: Task) -> Any:
    return task.items.filter(state=TaskItem.State.WAITING).order_by("position")


def _mine(task: Task) -> Any:
    return Task.objects.filter(pk=task.pk, worker=task.worker, state=Task.State.RUNNING)


def _turn(task: Task, kind: TaskKind, until: float) -> bool:
    """Do items until the time is over; return True when none is left."""
    actor: audit.Actor = task.owner or audit.System(task.actor)
    token = audit.source.set(task.source)
    try:
        for item in _pages(task):
            _do(task, kind, item, actor)
            if time.monotonic() >= until:
                return False
        return True
    finally:
        audit.source.reset(token)


def _pages(task: Task) -> Iterator[TaskItem]:
    while page := list(_waiting(task)[:50]):
        yield from page


def _do(task: Task, kind: TaskKind, item: TaskItem, actor: audit.Actor) -> None:
    """Do one item, from its preparation to its commit."""
    step = Step(task, item.name, item.parameters, unseal(PURPOSE, item.secret), actor)
    failure, outcome = "", Outcome()
    try:
        if kind.prepare is not None:
            step = Step(task, step.name, step.parameters, step.secret, actor, kind.prepare(step))
    except OperationalError:
        raise
    except Exception as error:
        failure = _sentence(task, item, error)
    with transaction.atomic():
        # 1. Lock on the task if it is still in hand, until the commit: a cancel waits for this item or prevents it.
        if not _mine(task).update(heartbeat_at=timezone.now()):
            raise Lost
        # 2. Change itself, undone alone when it is refused.
        if not failure:
            try:
                with transaction.atomic(), versions.basing(task.based_on):
                    outcome = kind.apply(step)
            except OperationalError:
                raise
            except Exception as error:
                failure = _sentence(task, item, error)
        # 3. Result and progress, in the same commit.
        _conclude(task, item, outcome, failure=failure)


def _sentence(task: Task, item: TaskItem, error: Exception) -> str:
    if isinstance(error, Refusal):
        return error.message
    log.error("%s, item %d failed", task.pk, item.position, exc_info=error)
    return "An error of the console; its log says more."


def _conclude(task: Task, item: TaskItem, outcome: Outcome | None = None, *, failure: str = "") -> None:
    outcome = outcome or Outcome()
    item.state = TaskItem.State.FAILED if failure else TaskItem.State.DONE
    item.message = (failure or outcome.message)[:500]
    item.secret = "" if failure else seal(PURPOSE, outcome.secret)
    item.finished_at = timezone.now()
    item.save(update_fields=["state", "message", "secret", "finished_at"])
    _mine(task).update(done=F("done") + 1, failed=F("failed") + (1 if failure else 0))


def _finish(task: Task, state: str, message: str = "") -> None:
    _mine(task).update(state=state, message=message, finished_at=timezone.now(), worker="")


def forget_old(now: datetime | None = None) -> int:
    """Erase secrets nobody fetched and delete tasks that were over long ago; return how many."""
    now = now or timezone.now()
    over = Task.objects.exclude(state__in=Task.ACTIVE)
    late = TaskItem.objects.filter(task__in=over.filter(finished_at__lt=now - KEEP_SECRETS)).exclude(
        secret=""
    )
    erased = late.update(secret="")
    return erased + over.filter(finished_at__lt=now - KEEP_TASKS).delete()[0]
