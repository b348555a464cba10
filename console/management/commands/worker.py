"""Command ``worker``: work without a request, such as expiry and retention, and the tasks that pages started.

Jobs run one after the other, each on its own clock; between them tasks run, a second at a time. Urgent jobs have a
thread of their own, so that an alert is told while a day of samples is counted.
"""

import logging
import os
import signal
import threading
import time
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError, close_old_connections, connection

from console import ports
from console.core.own_file import OTHERS
from console.ports import Job
from console.work import tasks

log = logging.getLogger("causeway.worker")
# Pause after which a job that failed is tried again, so that it cannot spin.
RETRY_SECONDS = 60.0
URGENT_RETRY_SECONDS = 5.0
# Longest time until a new task is noticed.
LOOK_SECONDS = 1.0


def step(due: dict[str, float], now: float, *, urgent: bool = False) -> float:
    """Run every job of one sort that is due and note when it is next; return the seconds until the next one."""
    for name, job in ports.jobs.items():
        if job.urgent == urgent and due.get(name, 0.0) <= now:
            due[name] = now + run(name, job)
    return max(0.0, min(due.values(), default=now + LOOK_SECONDS) - now)


def run(name: str, job: Job) -> float:
    """Run one round of one job; return the seconds after which it is due again."""
    close_old_connections()
    retry = URGENT_RETRY_SECONDS if job.urgent else RETRY_SECONDS
    try:
        changed = job.run()
    except DatabaseError as error:
        log.error("%s: the database failed: %s", name, error)
        return retry
    except Exception:
        log.exception("%s failed", name)
        return retry
    if changed:
        log.info("%s: %d", name, changed)
    return job.every.total_seconds()


def turn(worker: str) -> bool:
    """Give the tasks one turn; return whether there may be more to do at once."""
    close_old_connections()
    try:
        return tasks.work(worker)
    except DatabaseError as error:
        log.error("tasks: the database failed: %s", error)
    except Exception:
        log.exception("tasks failed")
    return False


def urgent_lane(stop: threading.Event) -> None:
    """Run the urgent jobs until stopped."""
    due: dict[str, float] = {}
    while not stop.is_set():
        stop.wait(step(due, time.monotonic(), urgent=True))
    connection.close()


class Command(BaseCommand):
    help = "Run the console's background work until stopped."

    def handle(self, *args: Any, **options: Any) -> None:
        os.umask(OTHERS)
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        log.info("worker started with %d jobs", len(ports.jobs))
        lane = threading.Thread(target=urgent_lane, args=(stop,), name="urgent")
        lane.start()
        due: dict[str, float] = {}
        worker = tasks.new_worker()
        while not stop.is_set():
            wait = step(due, time.monotonic())
            if not turn(worker):
                stop.wait(min(wait, LOOK_SECONDS))
        lane.join()
