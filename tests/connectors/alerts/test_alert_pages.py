"""The pages of alerts: each action by plain posts and by htmx, and who may."""

from datetime import timedelta
from typing import Any

import plotly.graph_objects as go
import pytest
from django.test import Client
from django.utils import timezone

from connectors.alerts import evaluation, notices
from connectors.alerts.kinds import KINDS, rules_of
from connectors.models import Alert, AlertRule, AlertSettings, AlertSilence, Connector, Server
from console.models import AuditRow, PushChannel
from tests.connectors.alert_world import channel, history, measured, rule
from tests.connectors.factories import ServerFactory
from tests.queries import queries
from tests.responses import words

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true", "HX-Target": "panel"}
NEEDS_PUSH = "Alert settings only take effect after you configure message push"


def tab(connector: Connector | None, rest: str = "") -> str:
    place = f"sase/connectors/{connector.pk}/alerts" if connector else "alerts/settings/gateways"
    return f"/{place}/{rest}"


def setting(connector: Connector, kind: str) -> AlertRule:
    return next(rule for rule in rules_of(connector.pk) if rule.kind == kind)


@pytest.fixture
def firing(connector: Connector, server: Server) -> Alert:
    """A bandwidth alert that fires since now."""
    rule(connector, "bandwidth", threshold=100.0, hold_seconds=0)
    measured(server, timezone.now(), mbit=150)
    evaluation.evaluate()
    return Alert.objects.get(kind="bandwidth")


# --- The tab ----------------------------------------------------------------------------------------------------------


def test_the_tab_shows_every_type_with_switch_and_threshold(
    viewer_client: Client, connector: Connector
) -> None:
    text = words(viewer_client.get(tab(connector)))
    for kind in KINDS.values():
        assert kind.label in text
    assert "100 Mbit/s" in text and "200 ms" in text and "2 minutes" in text
    assert 'aria-current="page">Alert Setting' in text


def test_it_says_that_message_push_is_missing_until_a_channel_is_enabled(
    viewer_client: Client, connector: Connector
) -> None:
    assert NEEDS_PUSH in words(viewer_client.get(tab(connector)))
    assert NEEDS_PUSH in words(viewer_client.get("/alerts/"))
    channel()
    assert NEEDS_PUSH not in words(viewer_client.get(tab(connector)))
    assert NEEDS_PUSH not in words(viewer_client.get("/alerts/"))


def test_it_says_when_messages_do_not_arrive(viewer_client: Client, connector: Connector) -> None:
    """Of an alert that fires the list says that it was told: not to whom it did not come."""
    evaluation.evaluate()
    assert "Nobody is told: configure message push." in words(viewer_client.get("/"))
    duty, spare = channel(name="duty"), channel(name="spare", recipients="spare@corp.example")
    now = timezone.now()
    assert "message push" not in words(viewer_client.get("/"))
    PushChannel.objects.filter(pk=duty.pk).update(failed_at=now, failure="no")
    for page in (tab(connector), "/alerts/", "/alerts/history/", "/alerts/silences/"):
        text = words(viewer_client.get(page))
        assert "Messages do not arrive: the last attempt by duty failed." in text
    assert "A channel of message push fails." in words(viewer_client.get("/"))
    PushChannel.objects.filter(pk=duty.pk).update(delivered_at=now + timedelta(seconds=5))
    PushChannel.objects.filter(pk=spare.pk).update(failed_at=now, enabled=False)
    assert "do not arrive" not in words(viewer_client.get("/alerts/"))


def test_it_says_when_nobody_looks(viewer_client: Client, connector: Connector) -> None:
    assert "worker does not run" in words(viewer_client.get(tab(connector)))
    evaluation.evaluate()
    assert "worker does not run" not in words(viewer_client.get(tab(connector)))


def test_a_type_is_switched_on_and_off(operator_client: Client, connector: Connector) -> None:
    answer = operator_client.post(tab(connector, "latency/enable/"))
    assert (answer.status_code, answer["Location"]) == (302, tab(connector))
    assert setting(connector, "latency").enabled
    assert operator_client.post(tab(connector, "latency/enable/")).status_code == 409
    answer = operator_client.post(tab(connector, "latency/disable/"), headers=HTMX)
    assert answer.status_code == 200 and "#panel" in answer["HX-Location"]
    assert not setting(connector, "latency").enabled
    rows = AuditRow.objects.filter(verb="alert_rule.update").values_list("before", "after")
    assert {"type": "latency", "enabled": True} in [after for _, after in rows]


@pytest.mark.parametrize("of", ["connector", "server"])
def test_a_connector_is_silenced_before_work_on_it(
    operator_client: Client, connector: Connector, server: Server, of: str
) -> None:
    assert tab(connector, "silence/") in operator_client.get(tab(connector)).text
    target = {"connector": connector, "server": server}[of]
    form = {"scope": target.pk, "minutes": "240", "reason": "new switch"}
    answer = operator_client.post(tab(connector, "silence/"), form, headers=HTMX)
    assert answer.status_code == 200 and "#panel" in answer["HX-Location"]
    silence = AlertSilence.objects.get()
    assert (silence.target, silence.kind, silence.reason) == (target.pk, "", "new switch")
    alert = Alert(subject=server.pk, connector=connector.pk, kind="status")
    assert notices.Silences(timezone.now()).cover(alert) == silence.until


def test_what_is_not_of_the_connector_is_not_silenced_by_it(
    operator_client: Client, connector: Connector
) -> None:
    other = ServerFactory()
    form = {"scope": other.pk, "minutes": "240"}
    answer = operator_client.post(tab(connector, "silence/"), form)
    assert answer.status_code == 422 and "Choose one of those that are listed." in words(answer)
    assert not AlertSilence.objects.exists()


def test_a_threshold_is_edited(operator_client: Client, connector: Connector) -> None:
    form = {"enabled": "on", "threshold": "12.5", "hold_seconds": "30", "hysteresis_percent": "20"}
    answer = operator_client.post(tab(connector, "bandwidth/"), form)
    assert answer.status_code == 302
    stored = AlertRule.objects.get()
    assert (stored.threshold, stored.hold_seconds, stored.hysteresis_percent) == (12.5, 30, 20)
    assert stored.enabled and not stored.recovery
    assert "12.5 Mbit/s" in words(operator_client.get(tab(connector)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"threshold": "0"}, "more than 0 and at most 1,000,000 Mbit/s"),
        ({"threshold": "-1"}, "more than 0 and at most 1,000,000 Mbit/s"),
        ({"threshold": "nan"}, "more than 0 and at most 1,000,000 Mbit/s"),
        ({"threshold": "1e30"}, "more than 0 and at most 1,000,000 Mbit/s"),
        ({"threshold": ""}, "more than 0 and at most 1,000,000 Mbit/s"),
        ({"hold_seconds": ""}, "from 0 to 86,400"),
        ({"hysteresis_percent": ""}, "from 0 to 90"),
        ({"hold_seconds": "86401"}, "from 0 to 86,400"),
        ({"hold_seconds": "x"}, "from 0 to 86,400"),
        ({"hysteresis_percent": "91"}, "from 0 to 90"),
    ],
)
def test_a_bad_field_is_named_and_nothing_written(
    operator_client: Client, connector: Connector, change: dict[str, str], sentence: str
) -> None:
    form = {"threshold": "5", "hold_seconds": "30", "hysteresis_percent": "20"} | change
    answer = operator_client.post(tab(connector, "bandwidth/"), form)
    assert answer.status_code == 422 and sentence in words(answer)
    assert not AlertRule.objects.exists()


def test_an_unknown_type_is_not_found(operator_client: Client, connector: Connector) -> None:
    assert operator_client.get(tab(connector, "weather/")).status_code == 404
    assert operator_client.post(tab(connector, "weather/enable/")).status_code == 404
    assert operator_client.get(tab(None, "bandwidth/")).status_code == 404, "gateways have no bandwidth here"


def test_the_gateways_have_their_own_settings(operator_client: Client) -> None:
    assert tab(None) in operator_client.get("/alerts/").text
    text = words(operator_client.get(tab(None)))
    assert "Configuration Drift" in text and "Bandwidth" not in text
    operator_client.post(tab(None, "drift/"), {"hold_seconds": "90", "recovery": "on"})
    stored = AlertRule.objects.get()
    assert (stored.connector_id, stored.kind) == (None, "drift")
    assert (stored.enabled, stored.hold_seconds) == (False, 90)


# --- The lists --------------------------------------------------------------------------------------------------------


def test_what_fires_is_listed_with_its_connector(
    viewer_client: Client, firing: Alert, connector: Connector
) -> None:
    text = words(viewer_client.get("/alerts/"))
    assert "Firing" in text and "150 Mbit/s" in text and "threshold 100 Mbit/s" in text
    assert f"/sase/connectors/{connector.pk}/servers/" in text
    assert "Nobody: no channel" in text
    home = words(viewer_client.get("/"))
    assert "Firing alerts" in home and '<strong class="card-value">1</strong>' in home
    assert "Nobody is told: configure message push." in home


def test_the_history_is_filtered(
    viewer_client: Client, firing: Alert, connector: Connector, server: Server
) -> None:
    measured(server, timezone.now(), mbit=1)
    evaluation.evaluate()
    assert firing.subject_name in words(
        viewer_client.get("/alerts/history/?type=bandwidth&period=24h&end=recovered")
    )
    for none in ("type=latency", "end=removed", "q=elsewhere"):
        assert firing.subject_name not in words(viewer_client.get(f"/alerts/history/?{none}"))
    assert firing.subject_name not in words(viewer_client.get("/alerts/"))


def test_the_lists_cost_the_same_for_any_number(viewer_client: Client) -> None:
    now = timezone.now()
    values = {
        "kind": "latency",
        "subject_kind": "server",
        "since": now,
        "seen_at": now,
        "connector": "connector-1",
    }
    for state in ("firing", "resolved"):
        Alert.objects.bulk_create(
            Alert(**values, subject=f"server-{n}", subject_name=f"s{n}", state=state, fired_at=now)
            for n in range(40)
        )
    for path in ("", "history/", "silences/"):
        assert len(queries(viewer_client.get, f"/alerts/{path}")) <= 8


def test_somebody_looks_after_it(operator_client: Client, firing: Alert) -> None:
    answer = operator_client.post(f"/alerts/{firing.pk}/acknowledge/")
    assert (answer.status_code, answer["Location"]) == (302, "/alerts/")
    assert "operator looks after it" in words(operator_client.get("/alerts/"))
    assert operator_client.post(f"/alerts/{firing.pk}/acknowledge/", headers=HTMX).status_code == 409
    assert AuditRow.objects.filter(verb="alert.acknowledge", actor="operator").count() == 1


@pytest.mark.parametrize(
    ("scope", "target", "kind"),
    [("this", "server", "bandwidth"), ("subject", "server", ""), ("connector", "connector", "")],
)
def test_silenced_for_a_time(
    operator_client: Client,
    firing: Alert,
    connector: Connector,
    server: Server,
    scope: str,
    target: str,
    kind: str,
) -> None:
    channel()
    form = {"scope": scope, "minutes": "240", "reason": "maintenance"}
    answer = operator_client.post(f"/alerts/{firing.pk}/silence/", form, headers=HTMX)
    assert answer.status_code == 200 and "/alerts/" in answer["HX-Location"]
    silence = AlertSilence.objects.get()
    assert silence.target == (server.pk if target == "server" else connector.pk) and silence.kind == kind
    assert timedelta(minutes=239) < silence.until - timezone.now() < timedelta(minutes=241)
    assert "Silenced until" in words(operator_client.get("/alerts/"))
    assert "maintenance" in words(operator_client.get("/alerts/silences/"))
    operator_client.post(f"/alerts/silences/{silence.pk}/end/")
    assert "maintenance" not in words(operator_client.get("/alerts/silences/"))
    assert operator_client.post(f"/alerts/silences/{silence.pk}/end/").status_code == 409


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"scope": "world"}, "Choose one of those that are listed."),
        ({"minutes": "7"}, "Choose one of the times that are listed."),
        ({"minutes": ""}, "Choose one of the times that are listed."),
        ({"reason": "x" * 129}, "at most 128 characters"),
        ({"reason": "\0"}, "Null characters are not allowed."),
    ],
)
def test_a_bad_silence_is_refused(
    operator_client: Client, firing: Alert, change: dict[str, str], sentence: str
) -> None:
    form = {"scope": "this", "minutes": "60"} | change
    answer = operator_client.post(f"/alerts/{firing.pk}/silence/", form)
    assert answer.status_code == 422 and sentence in words(answer)
    assert firing.subject in words(answer), "the dialog names the machine, as several may have one name"
    assert not AlertSilence.objects.exists()


def test_reminders_and_grouping_are_set(operator_client: Client) -> None:
    answer = operator_client.post("/alerts/settings/", {"remind_minutes": "30", "group_from": "3"})
    assert answer.status_code == 302
    stored = AlertSettings.objects.get()
    assert (stored.remind_minutes, stored.group_from) == (30, 3)
    for name, legal in (("remind_minutes", "0 to 10,080 minutes"), ("group_from", "from 2 to 1,000")):
        for bad in ("", "-1", "99999", "x"):
            form = {"remind_minutes": "30", "group_from": "3"} | {name: bad}
            answer = operator_client.post("/alerts/settings/", form)
            assert answer.status_code == 422 and legal in words(answer)
            assert not bad or f'value="{bad}"' in answer.text, "the input is kept"


def test_django_admin_writes_by_the_services(superuser_client: Client, firing: Alert) -> None:
    stored = AlertRule.objects.get(kind="bandwidth")
    form = {"threshold": "7", "hold_seconds": "1", "hysteresis_percent": "5", "enabled": "on"}
    assert superuser_client.post(f"/admin/connectors/alertrule/{stored.pk}/change/", form).status_code == 302
    stored.refresh_from_db()
    assert stored.threshold == 7 and AuditRow.objects.filter(actor="administrator").exists()


# --- The dry run ------------------------------------------------------------------------------------------------------


def form(**values: str) -> dict[str, str]:
    return {"threshold": "100", "hold_seconds": "120", "hysteresis_percent": "10", "try": "1"} | values


def test_the_dry_run_is_on_the_page_and_stores_nothing(
    operator_client: Client, connector: Connector, server: Server
) -> None:
    history(server, (3, 20, 150.0), (2, 20, 150.0))
    answer = operator_client.post(tab(connector, "bandwidth/"), form(span="24h"))
    assert "would have fired twice in the last 24 hours" in words(answer)
    assert "150 Mbit/s" in words(answer) and not AlertRule.objects.exists()
    answer = operator_client.post(tab(connector, "bandwidth/"), form(threshold="500"))
    assert "it would not have fired in the last 7 days" in words(answer)


def test_the_dry_runs_figure_is_one_that_plotly_accepts(
    viewer_client: Client, connector: Connector, server: Server
) -> None:
    history(server, (3, 20, 150.0))
    query = {"threshold": "100", "hold_seconds": "120", "hysteresis_percent": "10", "span": "24h"}
    figure = viewer_client.get(tab(connector, "bandwidth/dry-run/"), query).json()
    checked = go.Figure(figure)
    line, *bands = checked.layout.shapes
    assert line.y0 == line.y1 == 100 and len(bands) == 1
    assert bands[0].x0 < bands[0].x1 and max(y for y in checked.data[0].y if y is not None) == pytest.approx(
        150
    )


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"threshold": "x"},
        {"threshold": "1", "hold_seconds": "-1"},
        {"threshold": "1.7e308", "hold_seconds": "0", "hysteresis_percent": "0"},
        {"threshold": "-1", "hold_seconds": "0", "hysteresis_percent": "0"},
    ],
)
def test_a_figure_without_a_sensible_rule_is_not_found(
    viewer_client: Client, connector: Connector, query: dict[str, Any]
) -> None:
    assert viewer_client.get(tab(connector, "bandwidth/dry-run/"), query).status_code == 404
    assert viewer_client.get(tab(connector, "connection/dry-run/"), query).status_code == 404


def test_the_figure_of_a_connector_that_was_never_measured_is_empty(
    viewer_client: Client, connector: Connector
) -> None:
    query = {"threshold": "5", "hold_seconds": "30", "hysteresis_percent": "20", "span": "24h"}
    figure = viewer_client.get(tab(connector, "bandwidth/dry-run/"), query).json()
    assert figure["data"][0]["y"] == [None, None] and len(figure["layout"]["xaxis"]["range"]) == 2
