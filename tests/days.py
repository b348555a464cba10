"""Other days: run tests as if the clock, the time zone or the locale of the machine were another one.

As a pytest plugin this module reads the variable CAUSEWAY_TEST_DAY: a moment in ISO format, with the name of a time
zone in brackets where the process is to have another one than UTC, as in ``2027-10-31T02:59+02:00[Europe/Berlin]``.
Without an offset the moment is one of that zone. Python's clock then starts there and goes on, in the workers of xdist
too. Processes that tests start, and the database, keep the real clock.

As a program it runs the quick tests of the Django floors under each of the named days::

    python -m tests.days [--of-today | --list | --day NAME] [arguments of pytest]
"""

import argparse
import calendar
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.running import ROOT

VARIABLE = "CAUSEWAY_TEST_DAY"
FLOORS = ("tests/console", "tests/roaming", "tests/connectors")
QUICK = "not browser and not processes"
NO_TESTS = int(pytest.ExitCode.NO_TESTS_COLLECTED)


# --- The plugin -------------------------------------------------------------------------------------------------------


def parse(text: str) -> tuple[datetime, str]:
    """Return the moment and the name of the zone that a value of CAUSEWAY_TEST_DAY says."""
    moment, _, zone = text.removesuffix("]").partition("[")
    zone = zone or "UTC"
    try:
        parsed = datetime.fromisoformat(moment)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=ZoneInfo(zone))), zone
    except (ValueError, KeyError) as error:
        raise pytest.UsageError(
            f"{VARIABLE} must be a time such as 2027-10-31T02:59+02:00[Europe/Berlin]: {error}"
        ) from error


def _set_zone(name: str) -> None:
    os.environ["TZ"] = name
    time.tzset()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Start the clock of the wanted day before Django is set up and tests are imported."""
    if not (wanted := os.environ.get(VARIABLE)):
        return
    import time_machine

    moment, zone = parse(wanted)
    _set_zone(zone)
    # A number: of a datetime in UTC, time-machine would also take over the zone.
    travel = time_machine.travel(moment.timestamp(), tick=True)
    travel.start()
    config.add_cleanup(travel.stop)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart() -> None:
    """Set the zone again, which Django has replaced by that of its settings, before xdist starts its workers."""
    if wanted := os.environ.get(VARIABLE):
        _set_zone(parse(wanted)[1])


def pytest_report_header() -> str | None:
    wanted = os.environ.get(VARIABLE)
    return f"day: {wanted} ({VARIABLE})" if wanted else None


# --- The days ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Day:
    """A moment at which a test that relies on today fails, with the zone and the variables of its machine."""

    name: str
    moment: datetime
    zone: str = "UTC"
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Return the value of CAUSEWAY_TEST_DAY."""
        return f"{self.moment.astimezone(ZoneInfo(self.zone)).isoformat(timespec='seconds')}[{self.zone}]"


def named(now: datetime) -> list[Day]:
    """Return the days, each the next one after ``now``, so that the list never expires."""
    return [
        Day("400 days on", now + timedelta(days=400)),
        Day("29 February", _next_in_leap_year(now, 2, 29, 23, 40)),
        Day("31 December", _next_in_leap_year(now, 12, 31, 23, 50)),  # the 366th day
        _change("clock back in Berlin", "Europe/Berlin", now, back=True),
        _change("clock back in New York", "America/New_York", now, back=True),
        _change("clock forward in New York", "America/New_York", now, back=False),
        # Shortly after midnight there it is still yesterday in UTC.
        Day("Kathmandu", _next_midnight(now, "Asia/Kathmandu") + timedelta(minutes=5), "Asia/Kathmandu"),
        Day("locale C", now, environment={"LC_ALL": "C", "LANG": "C"}),
    ]


def _next_in_leap_year(now: datetime, month: int, day: int, hour: int, minute: int) -> datetime:
    years = (year for year in range(now.year, now.year + 10) if calendar.isleap(year))
    moments = (datetime(year, month, day, hour, minute, tzinfo=UTC) for year in years)
    return next(moment for moment in moments if moment >= now)


def _next_midnight(now: datetime, zone: str) -> datetime:
    there = now.astimezone(ZoneInfo(zone)) + timedelta(days=1)
    return there.replace(hour=0, minute=0, second=0, microsecond=0)


def _change(name: str, zone: str, now: datetime, *, back: bool) -> Day:
    """Return the night in which the clock is next put back or forward: shortly before, so that tests run through it."""
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    there = ZoneInfo(zone)
    for _ in range(400 * 24):
        after = hour + timedelta(hours=1)
        before_offset, offset = hour.astimezone(there).utcoffset(), after.astimezone(there).utcoffset()
        assert before_offset is not None and offset is not None
        if (offset < before_offset) if back else (offset > before_offset):
            return Day(name, after - timedelta(seconds=20), zone)
        hour = after
    raise LookupError(f"{zone} has no such change within 400 days.")


def of_today(days: Sequence[Day], now: datetime) -> Day:
    """Return the one that is due on the date of ``now``; each has its turn."""
    return days[now.toordinal() % len(days)]


# --- The program ------------------------------------------------------------------------------------------------------


def selection(arguments: Sequence[str]) -> list[str] | None:
    """Return what pytest is to run: all floors, or what the arguments name of them; None if that is nothing of them.

    Tests of other folders start processes, whose clock would be the real one.
    """
    paths = {argument: Path(argument.split("::")[0]).resolve() for argument in arguments}
    given = {argument: path for argument, path in paths.items() if path.exists()}
    rest = [argument for argument in arguments if argument not in given]
    floors = [ROOT / floor for floor in FLOORS]
    inside = [
        argument for argument, path in given.items() if any(path.is_relative_to(floor) for floor in floors)
    ]
    if given and not inside:
        return None
    return [*rest, *(inside or FLOORS)]


def run(day: Day, arguments: Sequence[str]) -> int:
    """Run pytest on that day, print one line, and what pytest said if it failed. Return pytest's exit code."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-m", QUICK, *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environment |= day.environment | {VARIABLE: day.text}
    print(f"{day.name:26} {day.text:48} ", end="", flush=True)
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines = done.stdout.strip().splitlines() or ["pytest said nothing"]
    print(lines[-1].strip(" ="), flush=True)
    if done.returncode not in (0, NO_TESTS):
        print(done.stdout, flush=True)
    return done.returncode


def main() -> int:
    now = datetime.now(UTC)
    days = named(now)
    parser = argparse.ArgumentParser(prog="python -m tests.days", allow_abbrev=False)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--of-today", action="store_true", help="one day, chosen by the date")
    which.add_argument("--day", choices=[day.name for day in days], help="this one alone")
    which.add_argument("--list", action="store_true", help="print the days and run nothing")
    options, arguments = parser.parse_known_args()
    if options.list:
        print("\n".join(f"{day.name:26} {day.text}" for day in days))
        return 0
    if options.of_today:
        days = [of_today(days, now)]
    elif options.day:
        days = [day for day in days if day.name == options.day]
    selected = selection(arguments)
    if selected is None:
        print(f"Nothing of {' '.join(FLOORS)} was named: nothing runs under another day.")
        return NO_TESTS
    codes = {run(day, selected) for day in days}
    # No test selected is no failure of a day where others had some.
    return max(codes - {NO_TESTS}, default=NO_TESTS)


if __name__ == "__main__":
    sys.exit(main())
