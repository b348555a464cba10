"""What an agent tells Prometheus: a file always, and /metrics where an address is named."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from edge.home import Home
from edge.machine.metrics import FILE_VARIABLE, LISTEN_VARIABLE, gauge, publish_metrics
from tests.edge.connector_lab import beside, until
from tests.ports import free_port


@asynccontextmanager
async def published(folder: Path, file: Path) -> AsyncIterator[list[float]]:
    """Publish the metric ``causeway_trial``, the last of a list of values, once the file is there."""
    values = [1.0]

    def collect() -> Iterator[Metric]:
        yield gauge("causeway_trial", "A trial.", [(("a",), values[-1])], "label")

    async with beside(publish_metrics(Home(folder), collect)):
        await until(file.exists, "the file")
        yield values


def value(text: str) -> float:
    (family,) = text_string_to_metric_families(text)
    assert family.name == "causeway_trial" and family.samples[0].labels == {"label": "a"}
    return family.samples[0].value


async def test_a_file_is_written_where_it_is_wanted_and_nobody_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "elsewhere.prom"
    monkeypatch.setenv(FILE_VARIABLE, str(file))
    async with published(tmp_path, file):
        assert value(file.read_text()) == 1.0
    assert not (tmp_path / "metrics.prom").exists()


async def test_an_address_answers_with_what_is_so_now_until_the_agent_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/metrics"
    monkeypatch.setenv(LISTEN_VARIABLE, f"127.0.0.1:{port}")
    async with (
        published(tmp_path, tmp_path / "metrics.prom") as values,
        httpx.AsyncClient(timeout=30) as client,
    ):
        for now in (1.0, 2.0, 3.0):
            values.append(now)
            answer = await client.get(url)
            assert answer.headers["content-type"].startswith("text/plain") and value(answer.text) == now
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:70000", "203.0.113.1:9464", ":"])
async def test_an_address_that_cannot_be_had_is_told_of_and_the_file_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    monkeypatch.setenv(LISTEN_VARIABLE, address)
    with caplog.at_level(logging.WARNING):
        async with published(tmp_path, tmp_path / "metrics.prom"):
            pass
    assert "CAUSEWAY_METRICS_LISTEN must be a free address such as 127.0.0.1:9464" in caplog.text
