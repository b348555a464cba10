"""Reports of servers: none keeps a configuration from its server, and nothing absurd is stored or shown."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.fleet import services
from connectors.models import Connector, Latest, Sample, Server, Tunnel
from console.machines import config
from console.machines.reported import MOST_KEYS, MOST_ROWS
from console.models import Gateway
from edge.protocol import reports as wire
from edge.protocol.message import Message
from tests.connectors import factories
from tests.connectors.factories import ACTOR, ConnectorFactory, sample, telemetry
from tests.console import absurd
from tests.console.machine import Machine

pytestmark = pytest.mark.django_db
STORED = (
    "hostname",
    "private_ip",
    "version",
    "applied_version",
    "uptime_seconds",
    "envoy_state",
    "open_flows",
)
PATH = {"gateway": "gateway-1", "latency_ms": 1.5, "loss_percent": 0.0, "by": "udp"}
DESTINATION = {
    "application": "pa-application-1",
    "host": "wiki.corp.example",
    "port": 80,
    "reached": True,
    "milliseconds": 2.5,
}
# Fields with which a row stands or falls; a wrong value in any other field is dropped alone.
ROW: dict[type[Message], set[str]] = {
    wire.Path: {"gateway"},
    wire.Destination: {"application", "host", "port", "reached"},
    wire.Sample: {"time", "seconds", "rx_bytes", "tx_bytes"},
}


@pytest.fixture
def server(connector: Connector) -> Machine:
    return Machine("server", connector.pk)


def tell(server: Machine, body: dict[str, Any]) -> None:
    """Report, and check that the server learns what it should work by and that nothing absurd is stored."""
    answer = server.call("telemetry", body)
    # Afterwards: a number beyond the console's own begins a new epoch, whose numbers begin beyond that.
    wanted = config.current().servers_version
    assert (answer.status_code, answer.json().get("wanted_version")) == (200, wanted), answer.content[:300]
    record = Server.objects.get()
    assert record.is_heard
    for name in STORED:
        assert absurd.makes_sense(getattr(record, name)), name


def latest() -> Latest:
    return Latest.objects.get()


class Reader:
    """Read a server's page whenever what is stored of the server is new: a page for each absurd value takes long."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._seen: set[str] = set()

    def read(self) -> None:
        record = Server.objects.select_related("latest").get()
        newest = getattr(record, "latest", None)
        ways = newest and (newest.paths, newest.destinations, newest.cpu_percent, newest.latency_ms)
        stored = repr(([getattr(record, name) for name in STORED], ways))
        if stored not in self._seen:
            self._seen.add(stored)
            shown(self._client)


@pytest.fixture
def reader(viewer_client: Client) -> Reader:
    return Reader(viewer_client)


def shown(client: Client) -> str:
    record = Server.objects.get()
    answer = client.get(f"/sase/connectors/{record.connector_id}/servers/{record.pk}/")
    assert answer.status_code == 200
    return answer.text


def test_every_field_of_a_report_is_dropped_by_itself_or_with_its_row() -> None:
    kinds: list[type[Message]] = [wire.MachineState, wire.GatewayStatus, *ROW]
    for kind in kinds:
        assert set(kind.__struct_fields__) - set(absurd.reported(kind)) == ROW.get(kind, set())


@pytest.mark.parametrize("field", absurd.reported(wire.MachineState))
def test_whatever_a_server_says_of_its_machine_it_learns_its_configuration(
    server: Machine, reader: Reader, field: str
) -> None:
    usual = telemetry()["machine"]
    for value in absurd.ABSURD:
        tell(server, telemetry(machine=absurd.put(usual, field, value)))
        reader.read()
    config_of_it = server.call("server/config", {}).json()
    assert config_of_it["version"] == config.current().servers_version


@pytest.mark.parametrize("field", absurd.reported(wire.Telemetry))
def test_whole_blocks_may_be_absurd(server: Machine, reader: Reader, field: str) -> None:
    for value in absurd.ABSURD:
        tell(server, absurd.put(telemetry(sample()), field, value))
        reader.read()
    assert Sample.objects.exists(), "what makes sense beside it counts"


@pytest.mark.parametrize("field", ["batch", "samples"])
def test_what_decides_is_refused_when_it_is_absurd(server: Machine, field: str) -> None:
    for value in absurd.ABSURD:
        if isinstance(value, list) and field == "samples":
            continue  # a wrong sample is refused alone
        answer = server.call("telemetry", absurd.put(telemetry(), field, value))
        assert answer.status_code == 422, value
        assert answer.json()["error"]["field"] == field


@pytest.mark.parametrize("field", PATH)
def test_a_way_is_shown_without_what_makes_no_sense(
    server: Machine, gateway: Gateway, reader: Reader, field: str
) -> None:
    Machine("gateway", gateway.pk)
    for value in absurd.ABSURD:
        odd = absurd.put(PATH | {"gateway": gateway.pk}, field, value)
        tell(server, telemetry(sample(), paths=[odd, PATH]))
        assert latest().paths[-1] == PATH, "the others are kept"
        for path in latest().paths:
            assert all(absurd.makes_sense(each) for each in path.values()) and len(path) == len(PATH)
        reader.read()


@pytest.mark.parametrize("field", DESTINATION)
def test_a_destination_is_shown_without_what_makes_no_sense(
    server: Machine, reader: Reader, field: str
) -> None:
    for value in absurd.ABSURD:
        odd = absurd.put(DESTINATION, field, value)
        tell(server, telemetry(sample(), destinations=[odd, DESTINATION]))
        assert latest().destinations[-1] == DESTINATION
        for destination in latest().destinations:
            assert all(absurd.makes_sense(each) for each in destination.values())
        reader.read()


@pytest.mark.parametrize("field", absurd.reported(wire.Sample))
def test_a_sample_counts_without_the_gauge_that_makes_no_sense(
    server: Machine, reader: Reader, field: str
) -> None:
    begin = time.time() - len(absurd.ABSURD)
    for place, value in enumerate(absurd.ABSURD):
        odd = absurd.put(sample(time=begin + place, seconds=1.0, rx_bytes=place), field, value)
        answer = server.call("telemetry", telemetry(odd))
        assert (answer.status_code, answer.json()["refused"]) == (200, 0), value
    stored = Sample.objects.all()
    assert sorted(each.rx_bytes for each in stored) == list(range(len(absurd.ABSURD)))
    assert all(absurd.makes_sense(getattr(each, field)) for each in stored)
    reader.read()


@pytest.mark.parametrize("field", sorted(ROW[wire.Sample]))
def test_no_value_of_a_sample_makes_the_call_fail(server: Machine, field: str) -> None:
    tell(server, telemetry(*(absurd.put(sample(), field, value) for value in absurd.ABSURD)))


@settings(max_examples=40)
@given(data=st.data())
def test_no_report_keeps_a_configuration_from_its_server(
    server: Machine, reader: Reader, data: st.DataObject
) -> None:
    def some(usual: dict[str, Any]) -> st.SearchStrategy[Any]:
        return absurd.JSON | st.fixed_dictionaries({}, optional=dict.fromkeys([*usual, "new"], absurd.JSON))

    blocks = {
        "machine": some(telemetry()["machine"]),
        "paths": absurd.JSON | st.lists(some(PATH), max_size=3),
        "destinations": absurd.JSON | st.lists(some(DESTINATION), max_size=3),
        "samples": st.lists(some(sample()), max_size=3),
        "applied_version": absurd.JSON,
    }
    tell(server, telemetry() | data.draw(st.fixed_dictionaries({}, optional=blocks)))
    reader.read()
    assert server.call("server/config", {}).json()["version"] == config.current().servers_version


def test_a_negative_uptime_is_shown_as_not_measured(server: Machine, viewer_client: Client) -> None:
    machine = telemetry()["machine"]
    tell(server, telemetry(machine=machine | {"uptime_seconds": 93784}))
    assert "1 day 2 hours" in shown(viewer_client)
    tell(server, telemetry(machine=machine | {"uptime_seconds": -35_741_234}))
    assert Server.objects.get().uptime_seconds is None
    assert "35741234" not in shown(viewer_client) and "1 day 2 hours" not in shown(viewer_client)


def test_of_too_many_ways_the_first_are_kept(server: Machine) -> None:
    many = [PATH | {"gateway": f"gateway-{place}"} for place in range(MOST_ROWS + 5)]
    tell(server, telemetry(sample(), paths=many))
    assert latest().paths == many[:MOST_ROWS]


@pytest.mark.parametrize(("address", "stored"), [("fe80::1%eth0", "fe80::1"), ("10.0.0.1%x", "10.0.0.1")])
def test_an_address_loses_its_scope(server: Machine, address: str, stored: str) -> None:
    tell(server, telemetry(machine={"private_address": address}))
    assert Server.objects.get().private_ip == stored


def test_a_word_on_an_upgrade_is_taken_whatever_its_message(server: Machine) -> None:
    for value in absurd.ABSURD:
        body = absurd.put({"order": "upgrade-1", "state": "failed"}, "message", value)
        assert server.call("server/upgrade", body).status_code == 200


def test_a_tunnel_told_of_in_a_way_that_makes_no_sense_is_left_to_grow_old(gateway: Gateway) -> None:
    machine = factories.enrolled_gateway(gateway)
    one, other = (factories.ServerFactory(connector=ConnectorFactory()) for _ in range(2))
    status = {"version": "1", "open_flows": 0, "envoy": "running", "applied_version": 1}
    machine.call("gateway/status", status | {"tunnels": {one.pk: 2, other.pk: 2}})
    before = Tunnel.objects.get(server=one).seen_at
    for value in absurd.ABSURD:
        if value is not absurd.MISSING:
            answer = machine.call("gateway/status", status | {"tunnels": {one.pk: value, other.pk: 3}})
            assert answer.status_code == 200
            assert Tunnel.objects.get(server=other).count == 3
            assert Tunnel.objects.get(server=one).seen_at == before
    nonsense: list[Any] = [[], "x", None, -1]
    for whole in nonsense:
        assert machine.call("gateway/status", status | {"tunnels": whole}).status_code == 200
        assert Tunnel.objects.count() == 2
    machine.call("gateway/status", status | {"tunnels": {other.pk: 1}})
    assert [tunnel.server for tunnel in Tunnel.objects.all()] == [other]


def test_tunnels_of_invented_servers_are_left_out(gateway: Gateway, server: Machine) -> None:
    machine = factories.enrolled_gateway(gateway)
    names = {"\0": 1, "\ud800": 1, "x" * 2**20: 1, "server-0": 1, server.id: 2}
    invented = {f"server-{place}": 1 for place in range(MOST_KEYS)}
    status = {"version": "1", "open_flows": 0, "envoy": "running", "applied_version": 1}
    for tunnels in (names, names | invented):
        answer = machine.call("gateway/status", status | {"tunnels": tunnels})
        assert answer.status_code == 200
        assert [(each.server_id, each.count) for each in Tunnel.objects.all()] == [(server.id, 2)]


def test_a_server_switched_off_meanwhile_is_told_so(server: Machine) -> None:
    tell(server, telemetry())
    services.server_switch(server=Server.objects.get(), enabled=False, actor=ACTOR)
    tell(server, telemetry(machine={"uptime_seconds": -1}))
    assert server.call("server/config", {}).json()["server"]["enabled"] is False
