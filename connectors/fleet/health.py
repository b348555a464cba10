"""What is not good about one machine, as the console sees it: what an upgrade compares before and after."""

from django.utils import timezone

from connectors.fleet.lights import server_statuses
from connectors.fleet.models.connectors import Server, heard_within
from connectors.fleet.selectors import live_tunnels
from console.machines import config
from console.models import Gateway


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


def without_tunnel(gateway: Gateway) -> list[str]:
    """Name the servers that are heard of and have no tunnel to a gateway: no flow by the gateway reaches them."""
    arrived = live_tunnels().filter(gateway=gateway).values("server")
    heard = Server.objects.filter(enabled=True, heard_at__gt=timezone.now() - heard_within())
    return [f"tunnel of {server}" for server in heard.exclude(pk__in=arrived)]
