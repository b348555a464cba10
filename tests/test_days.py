"""The net under date-bound tests: a planted one falls into it, and the list of days never expires."""

import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests import days
from tests.running import ROOT, ran

PLANTED = """
import time
from datetime import UTC, datetime, timedelta

def test_of_the_date():
    assert datetime.now(UTC) - datetime.fromisoformat("{now}") < timedelta(hours=48)

def test_of_the_zone():
    assert time.localtime().tm_gmtoff == 0
"""


def outcome(folder: Path, variables: dict[str, str], *arguments: str) -> tuple[int, list[str]]:
    """Run what is planted in ``folder`` in a process of its own: pytest's exit code, and which tests failed."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-rf", "-p", "tests.days", *arguments]
    done = ran(*command, "test_planted.py", cwd=folder, env=environment | variables, seconds=None)
    return done.returncode, re.findall(r"(?m)^FAILED [^:]*::(\S+)", done.stdout)


@pytest.mark.processes
@pytest.mark.parametrize("arguments", [(), ("-p", "xdist.plugin", "-n", "1")], ids=["alone", "in a worker"])
def test_a_planted_test_that_relies_on_today_passes_today_and_fails_under_its_day(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    now = datetime.now(UTC)
    (tmp_path / "test_planted.py").write_text(PLANTED.format(now=now.isoformat()))
    found = {day.name: day for day in days.named(now)}
    assert outcome(tmp_path, {"TZ": "UTC"}, *arguments) == (0, [])
    far, abroad = ({days.VARIABLE: found[name].text} for name in ("400 days on", "Kathmandu"))
    assert outcome(tmp_path, far, *arguments) == (1, ["test_of_the_date"])
    assert outcome(tmp_path, abroad, *arguments) == (1, ["test_of_the_zone"])


@pytest.mark.processes
def test_a_day_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test_planted.py").write_text(PLANTED.format(now=datetime.now(UTC).isoformat()))
    assert outcome(tmp_path, {days.VARIABLE: "tomorrow"}) == (pytest.ExitCode.USAGE_ERROR, [])


@pytest.mark.parametrize(
    "now",
    [
        datetime(2026, 11, 28, 12, tzinfo=UTC),
        datetime(2028, 2, 29, 23, 50, tzinfo=UTC),
        datetime(2028, 12, 31, 23, 55, tzinfo=UTC),
        datetime(2096, 3, 1, tzinfo=UTC),  # the next leap year is eight years on
    ],
)
def test_every_day_is_still_to_come_whenever_it_is_asked_for(now: datetime) -> None:
    found = {day.name: day for day in days.named(now)}
    assert all(now <= day.moment for day in found.values())
    for day in found.values():
        assert days.parse(day.text) == (day.moment.replace(microsecond=0), day.zone)
    assert f"{found['29 February'].moment:%m-%d %H:%M}" == "02-29 23:40"
    assert f"{found['31 December'].moment:%m-%d %H:%M}" == "12-31 23:50"
    for name, hours in (
        ("clock back in Berlin", -1),
        ("clock back in New York", -1),
        ("clock forward in New York", 1),
    ):
        night = found[name]
        before, after = (
            (night.moment + timedelta(minutes=minutes)).astimezone(ZoneInfo(night.zone)) for minutes in (0, 1)
        )
        offsets = before.utcoffset(), after.utcoffset()
        assert offsets[0] is not None and offsets[1] is not None
        assert offsets[1] - offsets[0] == timedelta(hours=hours), name


def test_each_day_has_its_turn() -> None:
    now = datetime.now(UTC)
    found = days.named(now)
    dates = [now + timedelta(days=place) for place in range(len(found))]
    assert {days.of_today(found, date).name for date in dates} == {day.name for day in found}


def test_only_tests_that_start_no_processes_run_under_another_day() -> None:
    assert days.selection(["-k", "flows"]) == ["-k", "flows", *days.FLOORS]
    one = ["-x", "tests/roaming/usage/test_flows.py::test_x"]
    assert days.selection(one) == one
    assert days.selection(["tests/e2e"]) is None
