"""Watches a new version come up, and goes back to the version before when it does not become healthy in time.

Started by the agent that is about to be replaced (`edge.machine.upgrade`), out of the version before; its output is
``upgrade.log``. Its verdict stands in ``upgrade.json``, where the agent that runs then finds it.
"""

import asyncio
import logging
import sys
import time
from pathlib import Path

from edge.home import Home, NotEnrolled
from edge.machine.status import Report, report
from edge.machine.support import STATUS, end_agent
from edge.machine.upgrade import MARK, Place, Record

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
# So often in a row it must be good: one good look may be a fluke.
GOOD_LOOKS = 2


async def watch(home: Home, place: Place) -> str:
    """Return the verdict, ``healthy`` or ``rolled_back``, after writing it down."""
    record = Record.read(home)
    if record is None or record.state != "restarting":
        raise SystemExit("There is no upgrade to watch.")
    problem = await _until_good(home, record, record.version)
    if not problem:
        home.file(MARK).unlink(missing_ok=True)
        record.write(home, "healthy")
        return record.state
    logger.error("Version %s: %s Going back.", record.version, problem)
    place.use(Path(record.before))
    await end_agent(home)  # whoever supervises it starts the version before
    again = await _until_good(home, record, record.version_before)
    home.file(MARK).unlink(missing_ok=True)
    rest = f" Back at {record.version_before}" + (f", but: {again}" if again else ".")
    record.write(home, "rolled_back", f"Version {record.version} did not become healthy: {problem}{rest}")
    return record.state


async def _until_good(home: Home, record: Record, wanted: str) -> str:
    """Empty when a version runs and no light is worse than before; else why not, when the time is over."""
    deadline, good, problem = time.monotonic() + record.health_seconds, 0, ""
    while time.monotonic() < deadline:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            problem = _problem(home, await report(home), record.reds, wanted)
        except NotEnrolled as error:
            raise SystemExit("This machine was uninstalled meanwhile.") from error
        good = 0 if problem else good + 1
        if good >= GOOD_LOOKS:
            return ""
    return problem or "Its health came and went."


def _problem(home: Home, seen: Report, reds: list[str], wanted: str) -> str:
    for light in seen.lights:
        if light.color == "red" and light.name not in reds:
            return f"{light.name}: {light.reason}"
    running = (home.read_json(STATUS) or {}).get("version", "")
    return "" if running == wanted else f"The agent calls itself {running or 'nothing'}, not {wanted}."


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    verdict = asyncio.run(watch(Home(sys.argv[1]), Place(Path(sys.prefix))))
    logger.info("The verdict: %s.", verdict)


if __name__ == "__main__":
    main()
