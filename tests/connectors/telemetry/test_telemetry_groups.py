"""Calls that arrive together are committed together, each answered after its commit, and none spoils another's."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import connection, transaction

from connectors.models import Latest, Sample, Server
from connectors.telemetry import intake, reports
from connectors.telemetry.grouping import Busy, Groups
from console.core.errors import NotFound
from edge.protocol.reports import Path
from tests.at_once import at_once
from tests.connectors.factories import ServerFactory, sample

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


def report(server: str, *samples: Any) -> reports.Report:
    heard = dict.fromkeys(reports.HEARD) | {
        "hostname": "h",
        "applied_epoch": "",
        "version": "1",
        "envoy_state": "running",
    }
    return reports.Report(server, intake.samples_of(server, samples), heard)


def test_each_call_of_a_crowd_is_written_once_and_answered_after_its_commit() -> None:
    servers = [ServerFactory() for _ in range(12)]

    def call(server: Server) -> int:
        reports.submit(report(server.pk, sample()))
        # Another connection than the leader's, mostly: what it sees is committed.
        return Sample.objects.filter(server=server).count()

    assert at_once(*[lambda s=s: call(s) for s in servers]) == [1] * len(servers)
    assert Latest.objects.count() == len(servers)


def test_a_removed_servers_report_is_refused_and_spoils_no_other() -> None:
    servers = [ServerFactory() for _ in range(4)]
    calls: list[Callable[..., Any]] = [lambda s=s: reports.submit(report(s.pk, sample())) for s in servers]
    calls.insert(2, lambda: reports.submit(report("server-gone", sample())))
    results = at_once(*calls)
    assert isinstance(results[2], NotFound)
    assert Sample.objects.count() == len(servers)


def test_all_who_came_while_a_group_was_written_make_the_next() -> None:
    sizes, hold, entered = [], threading.Event(), threading.Event()

    def write(items: Sequence[int]) -> Sequence[int]:
        sizes.append(len(items))
        entered.set()
        hold.wait(10)
        return [item * 2 for item in items]

    groups: Groups[int, int] = Groups(write, linger=0)
    results: dict[int, int] = {}

    def submit(number: int) -> None:
        results[number] = groups.submit(number)
        connection.close()

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(6)]
    threads[0].start()
    assert entered.wait(30)
    for thread in threads[1:]:
        thread.start()
    deadline = time.monotonic() + 30
    while len(groups._waiting) < 5 and time.monotonic() < deadline:
        time.sleep(0.005)
    hold.set()
    for thread in threads:
        thread.join()
    assert sizes == [1, 5] and results == {number: number * 2 for number in range(6)}


def test_more_than_may_wait_are_told_to_come_again() -> None:
    hold, entered = threading.Event(), threading.Event()

    def write(items: Sequence[int]) -> Sequence[int]:
        entered.set()
        hold.wait(10)
        return items

    groups: Groups[int, int] = Groups(write, linger=0, most=1)

    def submit(number: int) -> None:
        groups.submit(number)
        connection.close()

    first, second = (threading.Thread(target=submit, args=(number,)) for number in range(2))
    first.start()
    assert entered.wait(30)
    second.start()
    deadline = time.monotonic() + 30
    while not groups._waiting and time.monotonic() < deadline:
        time.sleep(0.005)
    with pytest.raises(Busy):
        groups.submit(3)
    hold.set()
    first.join()
    second.join()


def test_inside_a_transaction_of_the_caller_nobody_else_waits_for_it() -> None:
    server = ServerFactory()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        reports.submit(report(server.pk, sample()))
        raise ZeroDivisionError
    assert not Sample.objects.exists()


def test_ways_to_gateways_and_destinations_are_kept_as_last_told() -> None:
    server = ServerFactory()
    told = report(server.pk, sample(latency_ms=3.5, loss_percent=0.0))
    paths = [Path("gateway-1", 3.5, 0.0, "udp")]
    reports.submit(reports.Report(server.pk, told.samples, told.heard, paths=paths, destinations=[]))
    reports.submit(report(server.pk))
    latest = Latest.objects.get()
    assert latest.paths == [path.encode() for path in paths] and latest.destinations == []
    assert latest.told_at is not None
    assert (latest.latency_ms, latest.loss_percent) == (3.5, 0)
