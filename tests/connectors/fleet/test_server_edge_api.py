"""Calls of a connector server: it introduces itself, asks for its configuration, and reports what it measured."""

import time
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from django.utils import timezone
from pytest_django import Settings

from connectors.applications import services as applications
from connectors.fleet import services as fleet
from connectors.models import Connector, Sample, Server
from console.machines import config, snapshot
from console.models import Gateway, ReceivedBatch
from tests.connectors import factories
from tests.connectors.factories import ACTOR, sample, telemetry
from tests.console.machine import Machine

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(connector: Connector) -> Machine:
    return Machine("server", connector.pk)


def names(pem: str) -> tuple[list[str], list[str], list[str]]:
    certificate = x509.load_pem_x509_certificate(pem.encode())
    san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    return (
        san.get_values_for_type(x509.DNSName),
        san.get_values_for_type(x509.UniformResourceIdentifier),
        [use._name for use in uses],
    )


def test_enrollment_makes_the_server_and_names_it_in_its_certificates(connector: Connector) -> None:
    before = config.current().version
    machine = Machine("server", connector.pk)
    record = Server.objects.get(pk=machine.id)
    assert (record.connector, record.hostname, record.endpoint_ip) == (connector, "host", "127.0.0.1")
    assert machine.answer["connector"] == connector.pk
    certificates = machine.answer["certificates"]
    assert names(certificates["outer"]) == ([machine.id], [connector.pk], ["clientAuth"])
    assert names(certificates["inner"]) == ([connector.pk], [], ["serverAuth"])
    assert config.current().version > before, "gateways must learn of the new server"


def test_a_disabled_servers_certificates_are_not_renewed(server: Machine) -> None:
    fleet.server_switch(server=Server.objects.get(), enabled=False, actor=ACTOR)
    answer = server.call("renew", {"csrs": server.csrs()})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "ServerDisabled")


def test_the_configuration_names_gateways_and_exactly_the_applications_served(
    connector: Connector, server: Machine, gateway: Gateway
) -> None:
    wiki = factories.application("wiki", origin="127.0.0.1:8080", addresses=["Wiki.Corp.Example."])
    factories.application("elsewhere")
    factories.policy(connector, all_applications=False, applications=[wiki], enabled=False)
    never_enrolled = server.call("server/config", {}).json()
    assert never_enrolled["gateways"] == []
    Machine("gateway", gateway.pk)
    document = server.call("server/config", {}).json()
    assert document == {
        "version": config.current().servers_version,
        "epoch": config.current().epoch,
        "seal": document["seal"],
        "server": {"id": server.id, "enabled": True},
        "connector": {"id": connector.pk, "name": "office", "enabled": True},
        "gateways": [
            {
                "id": gateway.pk,
                "host": "127.0.0.1",
                "port": gateway.tunnel_port,
                "echo_key": snapshot.echo_key(gateway.pk),
            }
        ],
        "applications": [
            {
                "id": wiki.pk,
                "name": "wiki",
                "addresses": ["wiki.corp.example"],
                "ports": [[80, 80]],
                "origin": "127.0.0.1:8080",
            }
        ],
        "upgrade": None,
        "logs": None,
    }


def test_a_policy_for_all_applications_serves_every_enabled_one(
    connector: Connector, server: Machine
) -> None:
    wiki, off = factories.application("wiki"), factories.application("off", enabled=False)
    factories.policy(connector)
    served = [item["id"] for item in server.call("server/config", {}).json()["applications"]]
    assert served == [wiki.pk]
    applications.application_switch(application=off, enabled=True, actor=ACTOR)
    assert len(server.call("server/config", {}).json()["applications"]) == 2


def test_a_heartbeat_tells_how_the_server_is_and_stores_no_batch(server: Machine) -> None:
    answer = server.call("telemetry", telemetry(applied_version=7)).json()
    record = Server.objects.get()
    assert answer["wanted_version"] == config.current().servers_version and answer["interval"] > 0
    assert (record.hostname, record.private_ip, record.applied_version) == ("db1", "10.1.1.1", 7)
    assert record.is_heard and record.envoy_state == "running" and record.uptime_seconds == 12
    assert not ReceivedBatch.objects.exists()


def test_a_repeated_batch_is_acknowledged_and_counted_once(server: Machine) -> None:
    body = telemetry(sample(), sample(time=time.time() - 2))
    answers = [server.call("telemetry", body).json() for _ in range(3)]
    assert [answer["acknowledged"] for answer in answers] == [2, 2, 2]
    assert Sample.objects.count() == 2


def test_a_repeated_sample_in_another_batch_is_ignored(server: Machine) -> None:
    one = sample(rx_bytes=5)
    server.call("telemetry", telemetry(one))
    answer = server.call("telemetry", telemetry(one | {"rx_bytes": 9}))
    assert answer.json()["acknowledged"] == 1
    assert Sample.objects.get().rx_bytes == 5


@pytest.mark.parametrize(
    "absurd",
    [
        {"time": 4e9},
        {"time": -1},
        {"time": "noon"},
        {"seconds": 0},
        {"seconds": -2},
        {"seconds": 3601},
        {"rx_bytes": -1},
        {"rx_bytes": 10**12},
        {"tx_bytes": 10**400},
        {"seconds": 5e-324},
    ],
)
def test_an_absurd_sample_is_refused_alone(server: Machine, absurd: dict[str, Any]) -> None:
    answer = server.call("telemetry", telemetry(sample(), sample(time=time.time() - 2) | absurd))
    assert answer.status_code == 200
    assert (answer.json()["acknowledged"], answer.json()["refused"]) == (2, 1)
    assert Sample.objects.count() == 1


@pytest.mark.parametrize("junk", [None, 3, "text", [], [1], {}])
def test_what_is_no_sample_at_all_is_refused_alone(server: Machine, junk: Any) -> None:
    answer = server.call("telemetry", telemetry(sample(), junk))
    assert (answer.status_code, answer.json()["refused"]) == (200, 1)


def test_too_many_records_are_refused_whole(server: Machine) -> None:
    many = [sample(time=time.time() - place) for place in range(1001)]
    assert server.call("telemetry", telemetry(*many)).status_code == 422
    assert not Sample.objects.exists()


def test_a_body_too_large_is_refused_with_the_limit(server: Machine, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 2**20
    answer = server.call("telemetry", telemetry(machine={"hostname": "x" * 2**20}))
    assert answer.status_code == 413
    assert answer.json()["error"] == {
        "code": "BodyTooLarge",
        "message": "The body must be at most 1 MiB.",
        "field": None,
    }
    assert Server.objects.get().heard_at is None


def test_refused_samples_are_told_in_the_log_with_the_server(
    server: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    ahead = sample(time=time.time() + 600)
    with caplog.at_level("WARNING", "causeway.telemetry"):
        server.call("telemetry", telemetry(sample(time=time.time() - 10), ahead))
        server.call("telemetry", telemetry(sample()))
    (line,) = [record.getMessage() for record in caplog.records if record.name == "causeway.telemetry"]
    assert line.startswith(f"{server.id}: 1 of 2 samples refused")


def test_old_spooled_samples_do_not_pass_for_the_present_load(server: Machine) -> None:
    old = timezone.now() - timedelta(hours=2)
    server.call("telemetry", telemetry(sample(cpu_percent=99.0, time=old.timestamp())))
    assert Server.objects.get().cpu_percent is None
    server.call("telemetry", telemetry(sample(cpu_percent=7.5)))
    assert Server.objects.get().cpu_percent == 7.5


def test_only_a_server_may_send_telemetry_and_only_signed(server: Machine, gateway: Gateway) -> None:
    machine = Machine("gateway", gateway.pk)
    assert machine.call("telemetry", telemetry()).status_code == 403
    assert server.call("gateway/config", {"applied_version": 0}).status_code == 403
    unsigned = server.client.post("/edge/v1/telemetry", telemetry(), content_type="application/json")
    assert unsigned.status_code == 401
