"""Which of a server's lights are not good, as the console sees it."""

from connectors import selectors
from connectors.models import Server
from console import config


def reds(server: Server) -> list[str]:
    """Words for what is not good, none when all is well; a gateway that is not heard of says nothing of a server."""
    statuses = selectors.server_statuses(server.connector, config.current().servers_version)
    status = next((each for each in statuses if each.server.pk == server.pk), None)
    if status is None:
        return ["the server was removed"]
    found = []
    if status.process.kind != "success":
        found.append("process")
    found += [f"tunnel to {light.of}" for light in status.tunnels if light.kind == "error"]
    if status.configuration.kind == "warning":
        found.append("configuration")
    if status.destinations.kind in ("warning", "error"):
        found.append("destinations")
    return found
