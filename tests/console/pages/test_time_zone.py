"""Times of the pages are those of a user's zone: as chosen, else as the browser has it, else UTC, and said so."""

import re
from datetime import UTC, datetime, time, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from connectors.models import Connector
from console.core import people
from console.models import AuditRow, User
from tests.connectors.conftest import connector as connector  # noqa: PLC0414
from tests.connectors.factories import ConnectorFactory

pytestmark = pytest.mark.django_db
BERLIN = "Europe/Berlin"
PLACE = "/profile/time-zone/"


def shown(client: Client, path: str = "/audit/") -> str:
    return client.get(path).content.decode()


def times(text: str) -> set[str]:
    return {found.rstrip() for found in re.findall(r'data-time="full">([^<]*)<', text)}


def set_zone(user: User, name: str) -> None:
    people.user_time_zone(user=user, name=name, actor=user)


def test_a_zone_is_chosen_in_a_form_and_noted_in_the_audit(viewer_client: Client, viewer: User) -> None:
    answer = viewer_client.post(PLACE, {"time_zone": BERLIN}, follow=True)
    assert "Times are those of Europe/Berlin now." in answer.content.decode()
    viewer.refresh_from_db()
    row = AuditRow.objects.get(verb="user.time_zone")
    assert viewer.time_zone == BERLIN and row.after == {"time_zone": BERLIN} and row.actor == "viewer"
    assert f'<option value="{BERLIN}" selected>' in shown(viewer_client, PLACE)
    viewer_client.post(PLACE, {"time_zone": BERLIN})
    assert AuditRow.objects.filter(verb="user.time_zone").count() == 1, "nothing was changed"
    viewer_client.post(PLACE, {"time_zone": ""})
    viewer.refresh_from_db()
    assert viewer.time_zone == ""


@pytest.mark.parametrize("name", ["Nowhere/Town", "../../etc/passwd", "x" * 300, "\0", "Europe/Berlin "])
def test_a_zone_that_there_is_not_is_refused(viewer_client: Client, viewer: User, name: str) -> None:
    answer = viewer_client.post(PLACE, {"time_zone": name})
    assert answer.status_code == 422
    assert "Time zone must be one of the list, such as Europe/Berlin" in answer.content.decode()
    viewer.refresh_from_db()
    assert viewer.time_zone == ""


def test_what_is_set_goes_before_the_browsers_and_that_before_utc(
    viewer_client: Client, viewer: User, connector: Connector
) -> None:
    at = AuditRow.objects.order_by("pk")[0].at
    assert f"{at:%Y-%m-%d %H:%M:%S} UTC" in times(shown(viewer_client))
    assert "From (UTC)" in shown(viewer_client)
    viewer_client.cookies["time-zone"] = "Asia/Kolkata"
    there = at.astimezone(ZoneInfo("Asia/Kolkata"))
    assert f"{there:%Y-%m-%d %H:%M:%S}" in times(shown(viewer_client))
    assert "From (Asia/Kolkata)" in shown(viewer_client)
    set_zone(viewer, "Pacific/Kiritimati")
    there = at.astimezone(ZoneInfo("Pacific/Kiritimati"))
    assert f"{there:%Y-%m-%d %H:%M:%S}" in times(shown(viewer_client))
    assert 'data-time-zone="Pacific/Kiritimati"' in shown(viewer_client)


@pytest.mark.parametrize("cookie", ["Nowhere/Town", "../../etc/passwd", "", '"><script>', "x" * 4000])
def test_a_browser_with_a_zone_that_nobody_knows_has_utc(viewer_client: Client, cookie: str) -> None:
    viewer_client.cookies["time-zone"] = cookie
    text = shown(viewer_client)
    assert "From (UTC)" in text and "<script>" not in text.replace("<script src", "")


def test_no_zone_is_left_for_the_next_request(viewer_client: Client, viewer: User) -> None:
    set_zone(viewer, "Asia/Kolkata")
    shown(viewer_client)
    assert timezone.get_current_timezone_name() == "UTC"


def last_change(name: str, *, back: bool) -> datetime:
    """When clocks of a zone were last set back or forward."""
    zone, at = ZoneInfo(name), datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    while True:
        before, after = (moment.astimezone(zone).utcoffset() for moment in (at - timedelta(minutes=30), at))
        if before is not None and after is not None and before != after and (after < before) == back:
            return at
        at -= timedelta(minutes=30)


def test_times_of_a_chart_are_typed_in_the_users_zone(viewer_client: Client, viewer: User) -> None:
    connector = ConnectorFactory()
    set_zone(viewer, BERLIN)
    end = timezone.now().replace(second=0, microsecond=0) - timedelta(days=1)
    begin = end - timedelta(hours=5)
    typed = [at.astimezone(ZoneInfo(BERLIN)).strftime("%Y-%m-%dT%H:%M") for at in (begin, end)]
    query = urlencode({"from": typed[0], "to": typed[1], "zone": BERLIN})
    text = shown(viewer_client, f"/sase/connectors/{connector.pk}/?{query}")
    assert (
        "From (Europe/Berlin)" in text and '<input type="hidden" name="zone" value="Europe/Berlin">' in text
    )
    assert f'name="from" value="{typed[0]}"' in text and f'name="to" value="{typed[1]}"' in text
    exact = urlencode({"from": begin.strftime("%Y-%m-%dT%H:%MZ"), "to": end.strftime("%Y-%m-%dT%H:%MZ")})
    assert exact.replace("&", "&amp;") in text, "a link that is passed on means the same everywhere"


def test_of_a_time_that_comes_twice_both_hours_are_shown_and_the_page_says_so(
    viewer_client: Client, viewer: User
) -> None:
    connector = ConnectorFactory()
    set_zone(viewer, BERLIN)
    night = last_change(BERLIN, back=True).astimezone(ZoneInfo(BERLIN))
    query = urlencode({"from": f"{night:%Y-%m-%d}T02:30", "to": f"{night:%Y-%m-%d}T02:30", "zone": BERLIN})
    text = shown(viewer_client, f"/sase/connectors/{connector.pk}/?{query}")
    assert f"{night:%Y-%m-%d} 02:30 comes twice in Europe/Berlin: From is the first" in text
    assert "To is the second" in text
    assert f"from={night:%Y-%m-%d}T00%3A30Z&amp;to={night:%Y-%m-%d}T01%3A30Z" in text


def test_a_time_that_is_left_out_gets_a_sentence_and_stays_typed(viewer_client: Client, viewer: User) -> None:
    connector = ConnectorFactory()
    set_zone(viewer, BERLIN)
    day = f"{last_change(BERLIN, back=False).astimezone(ZoneInfo(BERLIN)):%Y-%m-%d}"
    query = urlencode({"from": f"{day}T02:30", "to": f"{day}T09:00", "zone": BERLIN})
    sentence = (
        f"From must be a time that there is: on {day} in Europe/Berlin clocks go forward from 02:00 to 03:00."
    )
    for path in (f"/sase/connectors/{connector.pk}/", "/audit/"):
        text = shown(viewer_client, f"{path}?{query}")
        assert sentence in text and f'name="from" value="{day}T02:30"' in text


def test_the_audit_is_narrowed_by_the_users_clock_and_its_files_are_utc(
    viewer_client: Client, viewer: User
) -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    set_zone(viewer, str(zone))
    minute = AuditRow.objects.get(verb="user.time_zone").at.astimezone(zone).replace(second=0, microsecond=0)
    for begin, count in ((minute, 1), (minute + timedelta(minutes=1), 0)):
        asked = {"from": f"{begin:%Y-%m-%dT%H:%M}", "zone": str(zone), "action": "user.time_zone"}
        text = shown(viewer_client, f"/audit/?{urlencode(asked)}")
        assert text.count("<code>user.time_zone</code>") == count
        answer = viewer_client.get(f"/audit/audit.csv?{urlencode(asked)}")
        lines = b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
        assert len(lines) == 1 + count and all("+00:00" in line for line in lines[1:])


def test_an_upgrade_window_is_shown_and_typed_by_the_users_clock(
    operator_client: Client, operator: User, connector: Connector
) -> None:
    zone = ZoneInfo("America/St_Johns")  # half an hour beside the full one
    set_zone(operator, str(zone))
    place = f"/sase/connectors/{connector.pk}/upgrade-window/"
    operator_client.post(place, {"start": "21:15", "end": "23:45"})
    connector.refresh_from_db()
    ahead = timezone.now().astimezone(zone).utcoffset() or timedelta(0)
    in_utc = [(datetime(2000, 1, 2, *clock) - ahead).time() for clock in ((21, 15), (23, 45))]
    assert [connector.upgrade_start, connector.upgrade_end] == in_utc
    assert "21:15–23:45 (America/St_Johns)" in shown(operator_client, f"/sase/connectors/{connector.pk}/")
    form = shown(operator_client, place)
    assert 'value="21:15"' in form and 'value="23:45"' in form
    assert "America/St_Johns, today UTC-0" in form and "kept in UTC" in form
    row = AuditRow.objects.get(verb="connector.upgrade_window")
    assert row.after["upgrade_start"] == f"{in_utc[0]:%H:%M} UTC"
    set_zone(operator, "UTC")
    told = f"{in_utc[0]:%H:%M}–{in_utc[1]:%H:%M} (UTC)"
    assert told in shown(operator_client, f"/sase/connectors/{connector.pk}/")


def test_a_wrong_time_of_day_stays_typed(
    operator_client: Client, operator: User, connector: Connector
) -> None:
    set_zone(operator, "Asia/Kolkata")
    answer = operator_client.post(
        f"/sase/connectors/{connector.pk}/upgrade-window/", {"start": "25:00", "end": "07:00"}
    )
    text = answer.content.decode()
    assert answer.status_code == 422 and 'value="25:00"' in text and 'value="07:00"' in text
    connector.refresh_from_db()
    assert connector.upgrade_start is None and time(1, 30) != connector.upgrade_end


def test_the_menu_of_the_user_leads_to_the_zone(viewer_client: Client) -> None:
    assert f'<a href="{PLACE}">Time zone</a>' in shown(viewer_client, "/")
