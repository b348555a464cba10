"""Rows about machines that nobody needs any more; the worker deletes them."""

import time
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from console.machines.models.config import ReceivedBatch
from console.machines.models.machines import EnrollmentCode, SignedCall


def forget_old_codes() -> int:
    """Delete enrollment codes that expired a day ago; return how many."""
    return EnrollmentCode.objects.filter(expires_at__lt=timezone.now() - timedelta(days=1)).delete()[0]


def forget_old_calls() -> int:
    """Delete signatures that are too old to be used again; return how many."""
    return SignedCall.objects.filter(forget_at__lt=int(time.time())).delete()[0]


def forget_old_batches() -> int:
    """Delete batches older than raw samples, since no machine repeats one so late; return how many."""
    return ReceivedBatch.objects.filter(
        received_at__lt=timezone.now() - settings.RAW_SAMPLE_RETENTION
    ).delete()[0]
