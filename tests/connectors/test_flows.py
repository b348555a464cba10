"""Flow records: cumulative, so that neither order nor repetition changes the sums."""

import time
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.models import Flow
from connectors.telemetry import intake
from roaming.models import UserSession
from tests.connectors.factories import flow, flows
from tests.console.factories import GatewayFactory
from tests.console.machine import Machine
from tests.roaming.factories import AccountFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def machine(gateway):
    return Machine("gateway", gateway.pk)


def test_a_later_record_replaces_an_earlier_one(machine, gateway):
    machine.call("flows", flows(flow()))
    ended = time.time()
    machine.call("flows", flows(flow(bytes_up=50, bytes_down=70, ended_at=ended, end="closed")))
    stored = Flow.objects.get()
    assert (stored.gateway, stored.bytes_up, stored.bytes_down, stored.end) == (gateway, 50, 70, "closed")
    assert stored.ended_at.timestamp() == pytest.approx(ended, abs=0.001)


def test_a_late_earlier_record_changes_nothing(machine):
    machine.call("flows", flows(flow(bytes_up=50, bytes_down=70, ended_at=time.time(), end="cut")))
    answer = machine.call("flows", flows(flow(bytes_up=5, bytes_down=7))).json()
    stored = Flow.objects.get()
    assert answer["acknowledged"] == 1
    assert (stored.bytes_up, stored.bytes_down, stored.end) == (50, 70, "cut")
    assert stored.ended_at is not None


def test_the_same_flow_id_of_another_gateway_is_another_flow(machine):
    other = Machine("gateway", GatewayFactory().pk)
    machine.call("flows", flows(flow()))
    other.call("flows", flows(flow(bytes_up=99)))
    assert sorted(Flow.objects.values_list("gateway", "bytes_up")) == sorted(
        [(machine.id, 10), (other.id, 99)]
    )


def test_a_flow_of_the_cloud_path_has_no_connector(machine):
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
        {"gateway": "gateway-of-somebody-else"},
    ],
)
def test_a_record_that_makes_no_sense_is_refused_alone(machine, absurd):
    answer = machine.call("flows", flows(flow(flow="good"), flow() | absurd))
    assert answer.status_code == 200
    assert (answer.json()["acknowledged"], answer.json()["refused"]) == (2, 1)
    assert [item.flow for item in Flow.objects.all()] == ["good"]


def test_a_gateways_fast_clock_loses_no_bytes(machine):
    machine.call("flows", flows(flow(started_at=time.time() + 3600)))
    assert Flow.objects.get().started_at <= timezone.now()


def test_the_session_counts_as_active(machine):
    account = AccountFactory()
    session = UserSession.objects.create(
        account=account,
        username=account.username,
        instance=account.instance,
        client_ip="10.9.0.1",
        kind="proxy",
        expires_at=timezone.now() + timedelta(hours=1),
    )
    old = time.time() - 7200
    machine.call("flows", flows(flow(session=session.pk, started_at=old, ended_at=old + 1, end="closed")))
    session.refresh_from_db()
    assert session.last_active_at is None, "a record of two hours ago is no activity of now"
    machine.call("flows", flows(flow(flow="f2", session=session.pk)))
    session.refresh_from_db()
    assert timezone.now() - session.last_active_at < timedelta(minutes=1)


def test_a_servers_signature_reports_no_flows(machine):
    assert machine.call("flows", {"batch": "no uuid", "records": []}).status_code == 422


history = st.lists(st.tuples(st.integers(0, 2**40), st.integers(0, 2**40)), min_size=1, max_size=5).map(
    lambda steps: [
        (sum(u for u, _ in steps[: n + 1]), sum(d for _, d in steps[: n + 1])) for n in range(len(steps))
    ]
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories=st.lists(history, min_size=1, max_size=3), data=st.data())
def test_any_order_and_repetition_of_batches_gives_the_same_sums(gateway, histories, data):
    Flow.objects.all().delete()
    records = []
    for number, states in enumerate(histories):
        last = len(states) - 1
        for place, (up, down) in enumerate(states):
            end = {"ended_at": time.time() - 1, "end": "closed"} if place == last else {}
            records.append(flow(flow=f"flow {number}", bytes_up=up, bytes_down=down, **end))
    shuffled = data.draw(st.permutations(records))
    batches = [(uuid.uuid4(), shuffled[place : place + 2]) for place in range(0, len(shuffled), 2)]
    repeated = batches + data.draw(st.lists(st.sampled_from(batches), max_size=4))
    for batch, content in data.draw(st.permutations(repeated)):
        intake.take_flows(gateway, batch, content)
    expected = [(f"flow {number}", *states[-1], "closed") for number, states in enumerate(histories)]
    assert (
        list(Flow.objects.order_by("flow").values_list("flow", "bytes_up", "bytes_down", "end")) == expected
    )
