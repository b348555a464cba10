"""Reverse tunnels as Envoy counts them: on a server by its lines, on a gateway by the servers that dialled it.

Envoy 1.40 counts a gateway's tunnels in gauges ``tunnels.tunnels.{connector}:{server}`` when ``enable_detailed_stats``
is set; they are hidden from a plain ``/stats``. A gauge of a server that is gone stays, at 0.
"""

import re

from edge.envoy.gateway import TUNNELS
from edge.envoy.process import EnvoyProcess

_LINES = "/stats?filter=^listener\\.[^.]%2B\\.downstream_cx_active$"
_ACTIVE = re.compile(r"^listener\.([^.]+)\.downstream_cx_active: (\d+)$", re.MULTILINE)
_PREFIX = f"{TUNNELS}.tunnels."
_ARRIVED = f"/stats?filter=^{TUNNELS}\\.tunnels\\.&hidden=include"


async def line_tunnels(envoy: EnvoyProcess) -> dict[str, int]:
    """Return line's name → living tunnels, on a server. Raises `EnvoyError`."""
    found = _ACTIVE.findall(await envoy.admin(_LINES))
    return {name: int(count) for name, count in found if "~" in name}


async def arrived_tunnels(envoy: EnvoyProcess, timeout: float = 5.0) -> dict[tuple[str, str], int]:
    """Return ``(connector, server) → count`` on a gateway, without those at 0. Raises `EnvoyError`."""
    return parse_arrived(await envoy.admin(_ARRIVED, timeout=timeout))


def parse_arrived(statistics: str) -> dict[tuple[str, str], int]:
    """Read what `arrived_tunnels` returns off the statistics of a gateway's Envoy."""
    tunnels = {}
    for line in statistics.splitlines():
        name, _, value = line.removeprefix(_PREFIX).rpartition(": ")
        connector, _, server = name.partition(":")
        if line.startswith(_PREFIX) and server and value.isdigit() and int(value):
            tunnels[connector, server] = int(value)
    return tunnels
