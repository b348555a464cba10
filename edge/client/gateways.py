"""Order of the gateways of the console's answer: the first to answer comes first, draining and silent ones last."""

import asyncio
import random
from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

REACH_SECONDS = 2.0


async def nearest_first(gateways: Sequence[str], *, last: Collection[str] = ()) -> tuple[list[str], bool]:
    """Return the gateways (``https://host:port``) by the time that a connection takes, and whether any answered.

    Gateways of `last` come behind the others. A gateway that does not answer within `REACH_SECONDS` comes at the very
    end, since it may be back later.
    """
    # Shuffled, so that clients for whom all are equally near do not meet at the first one.
    shuffled = random.sample(list(gateways), len(gateways))
    times = await asyncio.gather(*(_time_to(url) for url in shuffled))
    found = sorted(
        zip(times, shuffled, strict=True),
        key=lambda pair: (pair[0] >= REACH_SECONDS, pair[1] in last, round(pair[0], 3)),
    )
    return [url for _, url in found], any(time < REACH_SECONDS for time in times)


async def _time_to(url: str) -> float:
    place, clock = urlsplit(url), asyncio.get_running_loop().time
    began = clock()
    try:
        async with asyncio.timeout(REACH_SECONDS):
            _, writer = await asyncio.open_connection(place.hostname, place.port or 443)
    except OSError:
        return REACH_SECONDS
    took = clock() - began
    writer.close()
    return min(took, REACH_SECONDS)
