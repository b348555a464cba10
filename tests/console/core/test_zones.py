"""What a time on the clock means in a zone: the moment, one of two moments, or a sentence that there is none."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from console.core import zones

NAMES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "Asia/Kolkata",
    "Asia/Shanghai",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "America/Havana",
)
MOMENTS = st.datetimes(datetime(2011, 1, 1), datetime(2040, 1, 1)).map(lambda at: at.replace(microsecond=0))


@given(MOMENTS, st.sampled_from(NAMES))
def test_a_moment_comes_back_from_the_clock_of_its_zone(at: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    there = at.replace(tzinfo=UTC).astimezone(zone)
    local = there.replace(tzinfo=None, fold=0)
    assert zones.moment(local, "From", zone, last=bool(there.fold)) == there
    first, last = (zones.moment(local, "From", zone, last=last) for last in (False, True))
    assert first <= there <= last and zones.comes_twice(local, zone) == (first < last)


@given(MOMENTS, st.sampled_from(NAMES))
def test_every_time_of_the_clock_is_a_moment_or_a_sentence(local: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    try:
        found = zones.moment(local, "From", zone)
    except ValueError as error:
        assert str(error).startswith("From must be a time that there is: on ") and name in str(error)
        return
    assert found.astimezone(zone).replace(tzinfo=None, fold=0) == local


@pytest.mark.parametrize(
    ("name", "local", "told"),
    [
        ("Europe/Berlin", datetime(2026, 3, 29, 2, 30), "from 02:00 to 03:00"),
        ("America/New_York", datetime(2026, 3, 8, 2, 0), "from 02:00 to 03:00"),
        ("Australia/Lord_Howe", datetime(2026, 10, 4, 2, 15), "from 02:00 to 02:30"),
        ("America/Havana", datetime(2026, 3, 8, 0, 0), "from 00:00 to 01:00"),
        ("Pacific/Apia", datetime(2011, 12, 30, 12), "from 00:00 to 00:00"),
    ],
)
def test_a_time_that_clocks_leave_out_is_named_with_the_change(name: str, local: datetime, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        zones.moment(local, "To", ZoneInfo(name))


@pytest.mark.parametrize(
    ("name", "local", "apart"),
    [
        ("Europe/Berlin", datetime(2026, 10, 25, 2, 0), 60),
        ("Australia/Lord_Howe", datetime(2026, 4, 5, 1, 45), 30),
    ],
)
def test_a_time_that_comes_twice_is_the_first_or_the_second(name: str, local: datetime, apart: int) -> None:
    first, last = (zones.moment(local, "From", ZoneInfo(name), last=last) for last in (False, True))
    assert last - first == timedelta(minutes=apart)
    with timezone.override(ZoneInfo(name)):
        texts = [zones.written(first), zones.written(last)]
    assert len(set(texts)) == 2 and all(" UTC+" in text for text in texts)


@given(st.times().map(lambda at: at.replace(second=0, microsecond=0)), st.sampled_from(NAMES))
def test_a_time_of_day_is_the_same_when_it_was_shown_and_saved(at: time, name: str) -> None:
    with timezone.override(ZoneInfo(name)):
        assert zones.clock_in_utc(zones.clock_here(at)) == at


@pytest.mark.parametrize(
    "name", ["", "Nowhere/Town", "../../etc/passwd", "x" * 1000, "\0", "Europe", "europe/berlin\n"]
)
def test_a_name_that_no_zone_has_is_none(name: str) -> None:
    assert zones.named(name) is None


def test_the_zones_to_choose_from_are_places() -> None:
    offered = zones.offered()
    assert offered[0] == "UTC" and {"Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"} <= set(offered)
    assert all(zones.named(name) for name in offered) and len(set(offered)) == len(offered)
