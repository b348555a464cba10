"""``test.note``: writes one audit row for each item; some items misbehave as their name says."""

import os
import signal
from pathlib import Path

from console import ports
from console.core import audit
from console.core.errors import Conflict
from console.models import Area
from console.work import tasks

NAME = "test.note"
VERB = "test.note"


def register() -> None:
    ports.task_kinds.add(NAME, ports.TaskKind(apply, prepare, url=lambda task: "/gateways/"))


def prepare(step: tasks.Step) -> str:
    if step.name == "refused early":
        raise Conflict("This one is refused early.")
    return step.name.upper()


def apply(step: tasks.Step) -> tasks.Outcome:
    area = Area.objects.get(pk="singapore")
    audit.record(actor=step.actor, verb=VERB, target=area, after={"item": step.prepared})
    if step.name == "refused":
        raise Conflict("This one is refused.")
    if step.name == "broken":
        raise ZeroDivisionError("no such luck")
    if step.name == "kills always" or (step.name == "kills once" and _first_time(step)):
        # After the change and before its commit: the worst moment.
        os.kill(os.getpid(), signal.SIGKILL)
    return tasks.Outcome("Noted.", {key: value[::-1] for key, value in step.secret.items()})


def _first_time(step: tasks.Step) -> bool:
    mark = Path(step.parameters["mark"])
    known = mark.exists()
    mark.touch()
    return not known
