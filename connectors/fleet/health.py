"""Lights of one server that are not good, as the console sees them: what an upgrade compares before and after."""

from connectors.fleet.lights import server_statuses
from connectors.fleet.models.connectors import Server
from console.machines import config


def reds(server: Server) -> list[str]:
    """Name what is not good, nothing when all is well; a gateway that is not heard of counts for no server."""
    statuses = server_statuses(server.connector, config.current())
    status = next((each for each in statuses if each.server.pk == server.pk), None)
    if status is None:
        return ["the server was removed"]
    found = []
    if status.process.kind != "success":
        found.append("process")
    found += [f"tunnel to {light.of}" for light in status.tunnels if light.kind == "error"]
    if status.configuration.kind in ("warning", "error"):
        found.append("configuration")
    if status.destinations.kind in ("warning", "error"):
        found.append("destinations")
    return found
