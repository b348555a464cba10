"""Upgrades of both kinds of machine for one set of tests: a connector's servers, and an area's gateways."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any

from django.utils import timezone

from connectors.fleet import services
from connectors.fleet.services.upgrades import SERVERS
from connectors.models import Connector, Server
from console.machines import gateway_upgrades
from console.machines import services as machines
from console.machines.gateway_upgrades import GATEWAYS
from console.machines.upgrades import Upgrades
from console.models import Cutover, Gateway
from tests.connectors.factories import ACTOR, ServerFactory, enrolled_gateway, telemetry, tunnel
from tests.console.factories import GatewayFactory
from tests.console.machine import Machine

NOW, NEW = "0.1.0", "0.2.0"
Window = tuple[time, time]


class ServerAgent(Machine):
    """Machine of a server, heard of with the version before, and the gateway at which its flows arrive."""

    def __init__(self, connector: Connector, arrival: Machine) -> None:
        super().__init__("server", connector.pk)
        self._arrival = arrival
        self.says()
        tunnel(Gateway.objects.get(pk=arrival.id), Server.objects.get(pk=self.id))

    def says(self, version: str = NOW, **values: Any) -> None:
        """Report the version, no open flow and the newest configuration, unless told otherwise."""
        state = telemetry()["machine"] | {"version": version, "open_flows": 0} | values
        applied = self.call("server/config", {}).json()["version"]
        answer = self.call("telemetry", telemetry(machine=state, applied_version=applied))
        assert answer.status_code == 200

    def drained(self) -> None:
        """Confirm, as the gateway, that no new flows are given, then report that none is left."""
        version = Cutover.objects.latest("version").version
        self._arrival.call("gateway/config", {"applied_version": version})
        self.says()

    def order(self) -> Any:
        return self.call("server/config", {}).json()["upgrade"]


class GatewayAgent(Machine):
    """Machine of a gateway, heard of with the version before."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__("gateway", gateway.pk)
        self.says()

    def says(self, version: str = NOW, **values: Any) -> None:
        """Report the version, no open flow and a running Envoy, unless told otherwise."""
        status = {"version": version, "open_flows": 0, "envoy": "running", "tunnels": {}} | values
        assert self.call("gateway/status", status).status_code == 200

    def drained(self) -> None:
        self.says()

    def order(self) -> Any:
        return self.call("gateway/config", {"applied_version": 0}).json()["upgrade"]


Agent = ServerAgent | GatewayAgent


class _World:
    """An owner whose machines are upgraded. ``agent``: one machine; ``url``: the upgrade's pages; ``page`` shows it."""

    upgrades: Upgrades[Any, Any]
    url: str
    page: str
    agent: Agent
    # Rows of the audit trail about each machine; the name of what is wrong after ``break_tunnel``.
    verbs: tuple[str, ...]
    fault: str

    @property
    def run(self) -> Any:
        return self.upgrades.runs.objects.get()

    @property
    def step(self) -> Any:
        """Return the step of ``agent``."""
        return self.upgrades.steps.objects.get(**{self.upgrades.machine: self.agent.id})

    def states(self) -> list[str]:
        return list(self.upgrades.steps.objects.values_list("state", flat=True))

    def tells(self, state: str, message: str = "", agent: Agent | None = None) -> None:
        """Report on the order, as ``agent`` or as another."""
        body = {"order": self.run.pk, "state": state, "message": message}
        answer = (agent or self.agent).call(f"{self.upgrades.machine}/upgrade", body)
        assert answer.status_code == 200


class Servers(_World):
    upgrades = SERVERS
    verbs = ("server.drain", "server.enable", "server.upgrade")
    fault = "tunnel to"

    def __init__(self, connector: Connector, gateway: Gateway) -> None:
        self.owner = connector
        self.page = f"/sase/connectors/{connector.pk}/servers/"
        self.url = f"/sase/connectors/{connector.pk}/upgrade/"
        self._arrival = enrolled_gateway(gateway)
        self.agent: ServerAgent = ServerAgent(connector, self._arrival)

    @property
    def server(self) -> Server:
        return Server.objects.get(pk=self.agent.id)

    def start(self, *, window: Window | None = None, minutes: float = 5) -> Any:
        if window:
            self.move_window(window)
        return services.upgrade_start(
            connector=self.owner, in_window=bool(window), drain=timedelta(minutes=minutes), actor=ACTOR
        )

    def move_window(self, window: Window) -> None:
        self.owner.upgrade_start, self.owner.upgrade_end = window
        self.owner.save()

    def another(self) -> ServerAgent:
        return ServerAgent(self.owner, self._arrival)

    def break_tunnel(self) -> None:
        self.server.tunnels.update(count=0)

    def time_is_over(self) -> None:
        Server.objects.update(drain_until=timezone.now() - timedelta(seconds=1))

    def remove(self) -> None:
        services.server_remove(server=self.server, actor=ACTOR)


class Gateways(_World):
    upgrades = GATEWAYS
    page = "/gateways/"
    url = "/gateways/upgrades/mainland-china/"
    verbs = ("gateway.upgrade",)
    fault = "tunnel of db1"

    def __init__(self, gateway: Gateway) -> None:
        self.owner = gateway.region.area
        self.agent: GatewayAgent = GatewayAgent(gateway)

    def start(self, *, window: Window | None = None, minutes: float = 5) -> Any:
        drain = timedelta(minutes=minutes)
        return gateway_upgrades.upgrade_start(area=self.owner, window=window, drain=drain, actor=ACTOR)

    def move_window(self, window: Window) -> None:
        run = self.run
        run.window_start, run.window_end = window
        run.save()

    def another(self) -> GatewayAgent:
        return GatewayAgent(GatewayFactory())

    def break_tunnel(self) -> None:
        """Let a server be heard of that has dialled no gateway."""
        ServerFactory(heard=True, hostname="db1")

    def time_is_over(self) -> None:
        self.upgrades.steps.objects.update(changed_at=timezone.now() - timedelta(minutes=5))

    def remove(self) -> None:
        machines.gateway_delete(gateway=Gateway.objects.get(pk=self.agent.id), actor=ACTOR)


World = Servers | Gateways
