"""What the worker does again and again; apps register their jobs in ``AppConfig.ready()``."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from console import tasks
from console.models import EnrollmentCode, ReceivedBatch


@dataclass(frozen=True)
class Job:
    name: str
    every: timedelta
    run: Callable[[], int]
    """Does one round; returns how many things it changed."""
    urgent: bool = False
    """Somebody waits for it: it is not kept waiting by jobs that take long, and takes none itself."""


jobs: list[Job] = []


def register(name: str, *, every: timedelta, run: Callable[[], int], urgent: bool = False) -> None:
    jobs.append(Job(name, every, run, urgent))


def forget_old_codes() -> int:
    """Used or expired enrollment codes are of no interest after a day."""
    return EnrollmentCode.objects.filter(expires_at__lt=timezone.now() - timedelta(days=1)).delete()[0]


def forget_old_batches() -> int:
    """A machine repeats a batch within minutes; after the raw samples' time nobody does."""
    return ReceivedBatch.objects.filter(
        received_at__lt=timezone.now() - settings.RAW_SAMPLE_RETENTION
    ).delete()[0]


register("forget old enrollment codes", every=timedelta(hours=1), run=forget_old_codes)
register("forget old batches", every=timedelta(hours=1), run=forget_old_batches)
register("forget old tasks", every=timedelta(hours=1), run=tasks.forget_old)
