"""Order of the gateways of the console's answer: the first to answer comes first, draining and silent ones last."""

import asyncio
import random
from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from edge.outbound.dialling import touch
from edge.outbound.errors import OutboundError
from edge.outbound.policy import Proxy, tunnel_proxy

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
        await touch(place.hostname or "", place.port or 443, REACH_SECONDS)
    except OSError:
        return REACH_SECONDS
    return min(clock() - began, REACH_SECONDS)


def proxies_of(gateways: Sequence[str]) -> dict[str, Proxy]:
    """Return by which proxy each gateway is reached that is not reached directly. Raises `OutboundError`."""
    found = {url: tunnel_proxy(urlsplit(url).hostname or "", urlsplit(url).port or 443) for url in gateways}
    return {url: proxy for url, proxy in found.items() if proxy is not None}


async def hindrance(url: str) -> str:
    """Return why a gateway cannot be reached, where that is a proxy or a variable; else an empty text."""
    place = urlsplit(url)
    try:
        tunnel_proxy(place.hostname or "", place.port or 443)
        await touch(place.hostname or "", place.port or 443, REACH_SECONDS)
    except OutboundError as error:
        return str(error)
    except OSError:
        pass
    return ""
