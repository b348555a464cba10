"""Flow records: cumulative, so that neither order nor repetition changes the sums."""

import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject
from pytest_django import Settings

from console.machines import reported
from console.models import Gateway
from roaming.models import ClientAccount, Flow, Usage, UserSession
from roaming.usage import buckets as usage
from roaming.usage import flows as service
from tests.console.factories import GatewayFactory
from tests.console.machine import Machine
from tests.roaming.factories import flow, flows, log_on

pytestmark = pytest.mark.django_db


def test_a_later_record_replaces_an_earlier_one(machine: Machine, gateway: Gateway) -> None:
    machine.call("flows", flows(flow()))
    ended = time.time()
    machine.call("flows", flows(flow(bytes_up=50, bytes_down=70, ended_at=ended, end="closed")))
    stored = Flow.objects.get()
    assert (stored.gateway, stored.bytes_up, stored.bytes_down, stored.end) == (gateway, 50, 70, "closed")
    assert stored.ended_at is not None
    assert stored.ended_at.timestamp() == pytest.approx(ended, abs=0.001)


def test_a_late_earlier_record_changes_nothing(machine: Machine) -> None:
    machine.call("flows", flows(flow(bytes_up=50, bytes_down=70, ended_at=time.time(), end="cut")))
    answer = machine.call("flows", flows(flow(bytes_up=5, bytes_down=7))).json()
    stored = Flow.objects.get()
    assert answer["acknowledged"] == 1
    assert (stored.bytes_up, stored.bytes_down, stored.end) == (50, 70, "cut")
    assert stored.ended_at is not None


def test_the_same_flow_id_of_another_gateway_is_another_flow(machine: Machine) -> None:
    other = Machine("gateway", GatewayFactory().pk)
    machine.call("flows", flows(flow()))
    other.call("flows", flows(flow(bytes_up=99)))
    assert sorted(Flow.objects.values_list("gateway", "bytes_up")) == sorted(
        [(machine.id, 10), (other.id, 99)]
    )


def test_a_flow_of_the_cloud_path_has_no_connector(machine: Machine) -> None:
    machine.call("flows", flows(flow(path="cloud", connector=None, policy=None, application=None)))
    assert Flow.objects.get().connector == ""


@pytest.mark.parametrize(
    "absurd",
    [
        {"flow": ""},
        {"path": "tunnel"},
        {"port": 70000},
        {"bytes_up": -1},
        {"end": "lost"},
        {"host": "a\0b"},
        {"started_at": "now"},
        {"bytes_down": 2**63 - 1},
    ],
)
def test_a_record_that_makes_no_sense_is_refused_alone(machine: Machine, absurd: dict[str, Any]) -> None:
    answer = machine.call("flows", flows(flow(flow="good"), flow() | absurd))
    assert answer.status_code == 200
    assert (answer.json()["acknowledged"], answer.json()["refused"]) == (2, 1)
    assert [item.flow for item in Flow.objects.all()] == ["good"]


def test_bytes_that_no_line_carries_hold_back_nothing(machine: Machine) -> None:
    absurd = [flow(flow=f"f{place}", bytes_up=2**63 - 1, bytes_down=2**63 - 1) for place in range(3)]
    answer = machine.call("flows", flows(*absurd, flow(flow="good")))
    assert (answer.status_code, answer.json()) == (200, {"acknowledged": 4, "refused": 3})
    assert [item.flow for item in Flow.objects.all()] == ["good"]


def test_what_makes_no_sense_is_counted_as_dropped(machine: Machine) -> None:
    def dropped() -> float:
        return reported.dropped.labels("records")._value.get()

    before = dropped()
    machine.call("flows", flows(flow(bytes_up=2**63 - 1), flow(flow="good"), flow(port=-1)))
    assert dropped() - before == 2


def test_more_records_than_a_gateways_share_wait_and_others_do_not(
    machine: Machine, settings: Settings
) -> None:
    settings.FLOW_RECORDS_PER_MINUTE = 3
    other = Machine("gateway", GatewayFactory().pk)
    batch = flows(*(flow(flow=f"f{place}") for place in range(3)))
    assert machine.call("flows", batch).status_code == 200
    answer = machine.call("flows", flows(flow(flow="late")))
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "TooMany")
    assert "records must be at most 3 a minute" in answer.json()["error"]["message"]
    assert 1 <= int(answer["Retry-After"]) <= 20
    assert other.call("flows", flows(flow())).status_code == 200
    service.records.forget()  # a minute later
    assert machine.call("flows", flows(flow(flow="late"))).status_code == 200


def test_a_batch_of_the_largest_flows_is_taken(machine: Machine) -> None:
    moment = time.time()  # of both batches, so that they count for the same hour, day and month
    largest = [flow(flow=f"f{place}", bytes_up=2**53, bytes_down=2**53, time=moment) for place in range(1000)]
    for records in (largest, [item | {"flow": item["flow"] + "b"} for item in largest]):
        answer = machine.call("flows", flows(*records))
        assert (answer.status_code, answer.json()["refused"]) == (200, 0)
    assert set(Usage.objects.values_list("bytes_up", "bytes_down")) == {(usage.MOST, usage.MOST)}


def test_a_field_that_a_newer_gateway_adds_is_ignored_and_named_once(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        answer = machine.call("flows", flows(flow(protocol="h3")))
        assert (answer.status_code, answer.json()["refused"]) == (200, 0)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "causeway.reported"]
    assert line.startswith(machine.id) and "protocol" in line
    assert Flow.objects.count() == 1


def test_a_gateways_fast_clock_loses_no_bytes(machine: Machine) -> None:
    machine.call("flows", flows(flow(started_at=time.time() + 3600)))
    assert Flow.objects.get().started_at <= timezone.now()


def test_the_session_counts_as_active(machine: Machine, account: ClientAccount) -> None:
    session = log_on(account)
    UserSession.objects.update(last_active_at=None)
    old = time.time() - 7200
    machine.call("flows", flows(flow(session=session.pk, started_at=old, ended_at=old + 1, end="closed")))
    session.refresh_from_db()
    assert session.last_active_at is None, "a record of two hours ago is no activity of now"
    machine.call("flows", flows(flow(flow="f2", session=session.pk)))
    session = UserSession.objects.get()
    assert session.last_active_at is not None
    assert timezone.now() - session.last_active_at < timedelta(minutes=1)


def test_a_servers_signature_reports_no_flows(machine: Machine) -> None:
    assert machine.call("flows", {"batch": "no uuid", "records": []}).status_code == 422


history = st.lists(st.tuples(st.integers(0, 2**40), st.integers(0, 2**40)), min_size=1, max_size=5).map(
    lambda steps: [
        (sum(u for u, _ in steps[: n + 1]), sum(d for _, d in steps[: n + 1])) for n in range(len(steps))
    ]
)


@hypothesis_settings(max_examples=25)
@given(histories=st.lists(history, min_size=1, max_size=3), data=st.data())
def test_any_order_and_repetition_of_batches_gives_the_same_sums(
    gateway: Gateway, histories: list[list[tuple[int, int]]], data: DataObject
) -> None:
    Flow.objects.all().delete()
    Usage.objects.all().delete()
    now = timezone.now()
    records = []
    for number, states in enumerate(histories):
        last = len(states) - 1
        for place, (up, down) in enumerate(states):
            end = {"ended_at": time.time() - 1, "end": "closed"} if place == last else {}
            ids = {"account": f"user-{number % 2}", "session": f"session-{number}"}
            records.append(flow(flow=f"flow {number}", bytes_up=up, bytes_down=down, **ids, **end))
    shuffled = data.draw(st.permutations(records))
    batches = [(uuid.uuid4(), shuffled[place : place + 2]) for place in range(0, len(shuffled), 2)]
    repeated = batches + data.draw(st.lists(st.sampled_from(batches), max_size=4))
    for batch, content in data.draw(st.permutations(repeated)):
        service.take_flows(gateway, batch, content, now)
    expected = [(f"flow {number}", *states[-1], "closed") for number, states in enumerate(histories)]
    found = Flow.objects.order_by("flow").values_list("flow", "bytes_up", "bytes_down", "end")
    assert list(found) == expected
    # Every span of every subject holds the same bytes: those of its flows.
    wanted: dict[str, list[int]] = {}
    for number, states in enumerate(histories):
        for subject in ("sag-1", f"user-{number % 2}", f"session-{number}"):
            total = wanted.setdefault(subject, [0, 0])
            total[0] += states[-1][0]
            total[1] += states[-1][1]
    for subject, total in wanted.items():
        spans = ["total"] if subject.startswith("session") else ["minute", "hour", "month"]
        for span in spans if any(total) else []:
            rows = Usage.objects.filter(subject=subject, span=span)
            assert [sum(row.bytes_up for row in rows), sum(row.bytes_down for row in rows)] == total


def counted(subject: str, span: str) -> list[tuple[float, int, int]]:
    rows = Usage.objects.filter(subject=subject, span=span).order_by("time")
    return [(row.time.timestamp(), row.bytes_up, row.bytes_down) for row in rows]


def middle_of_a_month() -> datetime:
    """Return a moment that is over, in the middle of its minute, its hour and its month."""
    return (timezone.now() - timedelta(days=60)).replace(day=15, hour=12, minute=30, second=30, microsecond=0)


def first_of_the_month(moment: float) -> float:
    first = datetime.fromtimestamp(moment, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return first.timestamp()


def test_only_what_is_new_is_counted_and_in_the_minute_it_was_told_for(machine: Machine) -> None:
    moment = middle_of_a_month().timestamp()
    told = {"started_at": moment - 100}
    machine.call("flows", flows(flow(bytes_up=10, bytes_down=20, time=moment, **told)))
    machine.call("flows", flows(flow(bytes_up=15, bytes_down=50, time=moment + 5, **told)))
    machine.call("flows", flows(flow(bytes_up=16, bytes_down=60, time=moment + 60, **told)))
    minute = moment - 30
    assert counted("user-1", "minute") == [(minute, 15, 50), (minute + 60, 1, 10)]
    assert counted("user-1", "hour") == [(minute - 30 * 60, 16, 60)]
    assert counted("sag-1", "month") == [(first_of_the_month(moment), 16, 60)]
    assert [row[1:] for row in counted("session-1", "total")] == [(16, 60)]


def test_bytes_told_late_count_for_when_they_were_counted(machine: Machine) -> None:
    told = {"started_at": time.time() - 90 * 60, "account": "user-late"}
    machine.call("flows", flows(flow(bytes_up=10, bytes_down=20, time=time.time() - 3600, **told)))
    machine.call("flows", flows(flow(bytes_up=11, bytes_down=30, **told)))
    (early, up, down), (late, more_up, more_down) = counted("user-late", "minute")
    assert (up, down, more_up, more_down) == (10, 20, 1, 10)
    assert 3600 - 60 <= late - early <= 3600 + 60


@pytest.mark.parametrize(("said", "believed"), [(7200, 0), (-86400, -1800)])
def test_a_clock_that_is_wrong_moves_no_bytes_out_of_the_flow(
    machine: Machine, said: int, believed: int
) -> None:
    now = time.time()
    machine.call("flows", flows(flow(account="user-clock", started_at=now - 1800, time=now + said)))
    ((minute, up, down),) = counted("user-clock", "minute")
    assert (up, down) == (10, 20)
    assert now + believed - 60 <= minute <= now + believed + 60


def test_a_late_end_counts_for_the_month_of_the_flow(machine: Machine) -> None:
    ended = first_of_the_month(middle_of_a_month().timestamp()) - 1
    machine.call("flows", flows(flow(started_at=ended - 60, ended_at=ended, end="closed")))
    assert counted("user-1", "month") == [(first_of_the_month(ended), 10, 20)]


def test_a_flow_without_an_account_counts_for_nobody(machine: Machine) -> None:
    machine.call("flows", flows(flow(account=None, instance=None, session=None)))
    assert list(Usage.objects.values_list("subject", flat=True)) == ["connector-1"]


def test_old_buckets_are_forgotten_each_in_its_time(account: ClientAccount) -> None:
    now = timezone.now()
    for span, keep in usage.KEEP.items():
        for age in (keep - timedelta(hours=1), keep + timedelta(hours=1)):
            Usage.objects.create(subject="user-1", span=span, time=now - age)
    live, ended = log_on(account), log_on(account)
    UserSession.objects.filter(pk=ended.pk).update(ended_at=now - timedelta(days=3), end_reason="kicked")
    for session in (live, ended):
        Usage.objects.create(subject=session.pk, span="total", time=usage.ALWAYS)
    assert usage.usage_forget(now) == 4
    assert Usage.objects.filter(subject="user-1").count() == 3
    assert usage.totals([live.pk, ended.pk]) == {live.pk: (0, 0)}


def test_old_flows_are_forgotten(machine: Machine) -> None:
    machine.call("flows", flows(flow(), flow(flow="f2", ended_at=time.time(), end="closed")))
    assert service.flows_forget() == 0
    assert service.flows_forget(timezone.now() + service.KEEP + timedelta(minutes=1)) == 1
    assert Flow.objects.get().flow == "f1", "an open one stays"


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["flow", "bytes_up", "time", "started_at", "x"]), inner)
    ),
    max_leaves=8,
)


@hypothesis_settings(max_examples=50)
@given(record=junk)
def test_no_junk_makes_the_console_fail(gateway: Gateway, record: Any) -> None:
    assert service.take_flows(gateway, uuid.uuid4(), [record]).acknowledged == 1
