"""What a rule would have done: over raw samples and over roll-ups."""

from datetime import timedelta
from typing import Any

import pytest

from connectors.alerts.dry_run import SPANS, dry_run, figure
from connectors.alerts.kinds import KINDS
from connectors.models import AlertRule, Connector, Server
from connectors.telemetry import store
from console.kit.charts import iso
from tests.connectors.alert_world import history
from tests.connectors.factories import ServerFactory

pytestmark = pytest.mark.django_db


def wanted(connector: Connector, **values: Any) -> AlertRule:
    rule = KINDS[values.pop("kind", "bandwidth")].default(connector.pk)
    for name, value in values.items():
        setattr(rule, name, value)
    return rule


def test_it_counts_the_times_that_the_condition_held_long_enough(
    connector: Connector, server: Server
) -> None:
    history(server, (5, 10, 150.0), (4, 1, 150.0), (3, 10, 150.0), (2, 10, 50.0))
    made = dry_run([server], wanted(connector, hold_seconds=120), span="24h")
    assert [one.server for one in made.fired] == [server, server]
    assert made.sentence == "With this threshold it would have fired twice in the last 24 hours."
    for one in made.fired:
        assert one.episode.ended_at is not None
        lasted = one.episode.ended_at - one.episode.since
        assert timedelta(minutes=9) <= lasted <= timedelta(minutes=12)
        assert one.episode.worst == pytest.approx(150, rel=0.01)


def test_a_lower_threshold_fires_more_and_a_longer_time_less(connector: Connector, server: Server) -> None:
    history(server, (5, 10, 150.0), (4, 1, 150.0), (2, 10, 50.0))
    assert len(dry_run([server], wanted(connector, threshold=40.0), span="24h").fired) == 2
    assert len(dry_run([server], wanted(connector, hold_seconds=3600), span="24h").fired) == 0
    assert len(dry_run([server], wanted(connector, hold_seconds=0), span="24h").fired) == 2


def test_a_week_is_read_from_the_roll_ups(connector: Connector, server: Server) -> None:
    history(server, (26, 30, 150.0), (20, 30, 150.0))
    store.roll_up()
    made = dry_run([server], wanted(connector), span="7d")
    assert len(made.fired) == 2 and made.span.basis == "by averages over 5 minutes"


def test_each_server_is_judged_alone(connector: Connector, server: Server) -> None:
    other = ServerFactory(connector=connector)
    history(server, (3, 10, 60.0))
    history(other, (3, 10, 60.0))
    assert dry_run([server, other], wanted(connector), span="24h").fired == []
    both = dry_run([server, other], wanted(connector, threshold=50.0), span="24h").fired
    assert {one.server for one in both} == {server, other}


def test_latency_has_a_history_too(connector: Connector, server: Server) -> None:
    history(server, (3, 10, 1.0), latency=250.0)
    rule = wanted(connector, kind="latency")
    assert len(dry_run([server], rule, span="24h").fired) == 1


@pytest.mark.parametrize("span", [*SPANS, "nonsense"])
def test_nothing_measured_is_not_nothing_wrong(connector: Connector, server: Server, span: str) -> None:
    made = dry_run([server], wanted(connector), span=span)
    assert made.fired == [] and "nobody knows" in made.sentence


def test_the_threshold_and_each_time_are_drawn_over_what_was_measured(
    connector: Connector, server: Server
) -> None:
    import plotly.graph_objects as go

    history(server, (5, 10, 150.0), (3, 10, 120.0))
    made = dry_run([server], wanted(connector, threshold=100.0), span="24h")
    drawn = go.Figure(figure([server], made))
    threshold, *bands = drawn.layout.shapes
    assert (threshold.y0, threshold.y1) == (100.0, 100.0) and len(bands) == len(made.fired) == 2
    for band, fired in zip(bands, made.fired, strict=True):
        assert fired.episode.ended_at is not None
        assert band.x0 == iso(fired.episode.since) and band.x1 == iso(fired.episode.ended_at)
    assert max(value for value in drawn.data[0].y if value is not None) == pytest.approx(150, rel=0.01)
    assert drawn.layout.yaxis.range[1] > 150
