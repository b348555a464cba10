"""/metrics: there for those who have the token, readable by Prometheus, and true."""

from typing import Any

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from console.models import Gateway
from tests.connectors import factories
from tests.connectors.factories import ConnectorFactory, ServerFactory
from tests.console.machine import Machine
from tests.documented_metrics import documented, names

pytestmark = pytest.mark.django_db
TOKEN = "only-for-this-test"


def scrape(client: Client) -> dict[tuple[str, tuple], float]:
    answer = client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200 and answer["Content-Type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_without_a_token_in_the_settings_there_is_nothing(client: Client, settings: Settings) -> None:
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics").status_code == 404
    assert client.get("/metrics", headers={"authorization": "Bearer "}).status_code == 404


@pytest.mark.parametrize(
    "given", [{}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}, {"authorization": "é"}]
)
def test_without_the_right_token_it_is_refused(
    client: Client, settings: Settings, given: dict[str, Any]
) -> None:
    settings.METRICS_TOKEN = TOKEN
    answer = client.get("/metrics", headers=given)
    assert answer.status_code == 401 and answer["WWW-Authenticate"].startswith("Bearer")
    assert client.post("/metrics", headers={"authorization": f"Bearer {TOKEN}"}).status_code in (403, 405)


def test_it_tells_what_is(client: Client, settings: Settings, gateway: Gateway) -> None:
    settings.METRICS_TOKEN = TOKEN
    connector = ConnectorFactory(name="office")
    server = ServerFactory(connector=connector, heard=True)
    ConnectorFactory(name="branch")
    factories.tunnel(gateway, server)
    factories.measured(server, seconds=10, rx_bytes=1250, tx_bytes=2500, cpu_percent=50.0, latency_ms=20.0)
    found = scrape(client)
    assert found["causeway_connectors", (("state", "online"),)] == 1
    assert found["causeway_connectors", (("state", "offline"),)] == 1
    assert found["causeway_gateway_up", (("gateway", gateway.pk),)] == 1
    assert found["causeway_connector_receive_bits_per_second", (("connector", connector.pk),)] == 1000
    assert found["causeway_server_cpu_ratio", (("server", server.pk),)] == 0.5
    assert found["causeway_server_latency_seconds", (("server", server.pk),)] == pytest.approx(0.02)
    assert ("causeway_server_loss_ratio", (("server", server.pk),)) not in found, "not measured"
    assert found["causeway_rollups_pending", ()] == 1
    assert found["causeway_alerts_firing", (("kind", "latency"),)] == 0, "a type without alerts has its line"


def test_samples_are_counted_by_what_became_of_them(client: Client, settings: Settings) -> None:
    settings.METRICS_TOKEN = TOKEN
    machine = Machine("server", ConnectorFactory().pk)

    def counts() -> dict[str, float]:
        found = scrape(client)
        return {
            outcome: found["causeway_telemetry_samples_total", (("outcome", outcome),)]
            for outcome in ("stored", "repeated", "refused")
        }

    before = counts()
    body = factories.telemetry(factories.sample(), factories.sample(seconds=-1))
    for _ in range(2):
        machine.call("telemetry", body)
    after = counts()
    assert {name: after[name] - before[name] for name in after} == {"stored": 1, "repeated": 1, "refused": 2}


def test_the_metrics_are_the_documented_ones(client: Client, settings: Settings) -> None:
    settings.METRICS_TOKEN = TOKEN
    answer = client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    served = names(text_string_to_metric_families(answer.text))
    assert served == documented("Console")
