"""Records of the demo, made through the services that pages and APIs use, and its description for ``demo.json``."""

import json
import os
import secrets
import socket
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from demo.environment import Options
from demo.services import free_port, listening

# kbit/s: the last account of each instance is held to a cap that can be felt.
FREE_KBPS, CAPPED_KBPS = 10_000_000, 2_000
# Two areas: on each side a gateway, a cloud network with one service in it, an instance and its accounts.
SIDES = (
    (
        "cn-shanghai",
        "Shanghai",
        "127.10.0.0/16",
        "127.10.0.5",
        "10.10.0.0/24",
        ("alice.wu", "bob.chen", "carol.li"),
    ),
    ("ap-southeast-1", "Singapore", "127.20.0.0/16", "127.20.0.5", "10.20.0.0/24", ("dave.tan", "erin.lim")),
)
CONNECTOR = "head-office"
SERVERS = 2
# macOS knows no loopback address but 127.0.0.1.
HAS_CLOUD = sys.platform.startswith("linux")


@dataclass
class Machine:
    """Machine of the demo, a gateway or a connector server; ``target`` is what the machine's enrollment code is for."""

    kind: str
    target: str
    home: Path
    id: str = ""


@dataclass
class World:
    home: Path
    url: str
    kept: dict[str, Any]
    machines: list[Machine]
    sockets: dict[str, socket.socket]
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def application_arguments(self) -> list[str]:
        """Return what ``demo.applications`` shall serve: on which inherited socket which kind."""
        cities = {f"cloud {side[0]}": f"cloud:{side[1]}" for side in SIDES}
        return [f"{each.fileno()}={cities.get(name, name)}" for name, each in self.sockets.items()]

    def description(self, pids: dict[str, int]) -> dict[str, Any]:
        """Return the content of ``demo.json``: addresses, names and passwords of the world, for tests and scripts."""
        from connectors.models import Connector
        from console.models import Gateway
        from roaming.models import Instance

        positions = {side[0]: place for place, side in enumerate(SIDES)}
        gateways = sorted(Gateway.objects.select_related("region"), key=lambda g: positions[g.region_id])
        instances = sorted(Instance.objects.all(), key=lambda i: positions[i.region_id])
        ports = self.kept["ports"]
        cloud = (
            [{"region": s[0], "host": s[3], "port": ports["cloud " + s[0]]} for s in SIDES]
            if HAS_CLOUD
            else []
        )
        return {
            "console": self.url,
            "admin": {"username": "admin", "password": self.kept["admin"]},
            "access_key": self.kept["access_key"],
            "ca_file": str(self.home / "ca.pem"),
            "gateways": [
                {"id": g.pk, "area": g.region.area_id, "region": g.region_id, "proxy": g.proxy_url}
                for g in gateways
            ],
            "instances": [{"id": i.pk, "region": i.region_id, "name": i.name} for i in instances],
            "accounts": self.kept["accounts"],
            "connectors": [
                {"id": c.pk, "name": c.name, "servers": c.servers.count()} for c in Connector.objects.all()
            ],
            "applications": [
                {"name": "wiki", "host": "wiki.corp.example", "port": 80},
                {"name": "echo", "host": "echo.corp.example", "port": 7},
            ],
            "cloud_services": cloud,
            "processes": pids,
        }

    def of_kind(self, kind: str) -> list[Machine]:
        return [machine for machine in self.machines if machine.kind == kind]

    def gateways_listen(self) -> bool:
        """Tell whether servers can dial every gateway. Raises ``OSError`` while a gateway does not listen."""
        ports = self.kept["ports"]
        for side in SIDES:
            socket.create_connection(("127.0.0.1", ports[f"tunnel {side[0]}"]), timeout=1).close()
        return True

    def all_tunnels_stand(self) -> bool:
        """Tell whether every gateway sees a tunnel of every server."""
        from connectors.models import Tunnel

        wanted = len(self.of_kind("connector")) * len(self.of_kind("gateway"))
        return Tunnel.objects.filter(count__gt=0, seen_at__gte=self.started).count() == wanted

    def wiki_answers(self) -> bool:
        """Tell whether a user of each area gets the wiki's page through the area's gateway."""
        import ssl

        described = self.description({})
        regions = {instance["id"]: instance["region"] for instance in described["instances"]}
        proxies = {gateway["region"]: gateway["proxy"] for gateway in described["gateways"]}
        tls = ssl.create_default_context(cafile=described["ca_file"])
        first = {regions[account["instance"]]: account for account in reversed(described["accounts"])}
        for region, account in first.items():
            login = (f"{account['username']}@{account['instance']}", account["password"])
            proxy = httpx.Proxy(proxies[region], auth=login, ssl_context=tls)
            with httpx.Client(proxy=proxy, timeout=5, trust_env=False) as client:
                if client.get("http://wiki.corp.example/").status_code != 200:
                    return False
        return True


def create(options: Options) -> World:
    """Make the records, or find the records of an earlier start; ports taken meanwhile are chosen anew."""
    path = options.home / "kept.json"
    kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"ports": {}}
    sockets = open_sockets(kept["ports"])
    choose_ports(kept["ports"])
    if "accounts" not in kept:
        from django.db import transaction

        with transaction.atomic():
            make(kept)
    else:
        move(kept["ports"])
    write_atomic(path, json.dumps(kept))
    from console.machines import pki

    write_atomic(options.home / "ca.pem", pki.ca_pem())
    return World(options.home, options.url, kept, list(machines(options.home)), sockets)


def open_sockets(ports: dict[str, int]) -> dict[str, socket.socket]:
    """Open the sample applications' listening sockets, and note their ports."""
    wanted = {"wiki": "127.0.0.1", "echo": "127.0.0.1"}
    wanted |= {f"cloud {side[0]}": side[3] for side in SIDES if HAS_CLOUD}
    sockets = {}
    for name, address in wanted.items():
        sockets[name] = listening(address, ports.get(name) or (8080 if name.startswith("cloud") else 0))
        ports[name] = sockets[name].getsockname()[1]
    return sockets


def choose_ports(ports: dict[str, int]) -> None:
    """Choose the gateways' ports, which the gateways' Envoys open."""
    for name in (f"{kind} {side[0]}" for side in SIDES for kind in ("client", "tunnel")):
        ports[name] = free_port(ports.get(name, 0))


def make(kept: dict[str, Any]) -> None:
    """Make everything that a first visitor wants to see, by the services that the console's own forms call."""
    from connectors.applications.services import application_create
    from connectors.fleet.services import connector_create
    from connectors.policies.services import policy_create
    from console.core import access_keys, audit, people
    from console.models import Region, User

    kept["admin"] = secrets.token_urlsafe(9)
    admin = people.user_create(
        username="admin",
        password=kept["admin"],
        email="admin@corp.example",
        first_name="Demo",
        role=User.Role.ADMINISTRATOR,
        is_staff=True,
        is_superuser=True,
        actor=audit.System("demo"),
    )
    key, secret = access_keys.access_key_create(user=admin, actor=admin)
    kept["access_key"] = {"id": key.pk, "secret": secret}
    kept["accounts"] = []
    for side in SIDES:
        make_side(side, kept, admin)
    ports = kept["ports"]
    connector = connector_create(name=CONNECTOR, region=Region.objects.get(pk="cn-shanghai"), actor=admin)
    applications = [
        application_create(
            name=name,
            description=description,
            addresses=[f"{name}.corp.example"],
            ports=[(port, port)],
            origin=f"127.0.0.1:{ports[name]}",
            actor=admin,
        )
        for name, description, port in (
            ("wiki", "The head office's wiki", 80),
            ("echo", "Returns every byte", 7),
        )
    ]
    policy_create(
        name="head-office-for-everybody",
        description="All users reach the wiki and the echo service.",
        priority=10,
        connector=connector,
        all_users=True,
        applications=applications,
        actor=admin,
    )


def make_side(side: tuple[Any, ...], kept: dict[str, Any], admin: Any) -> None:
    from console.machines import services as machines
    from console.models import Region
    from roaming.accounts import services as accounts
    from roaming.ccns import services as ccns
    from roaming.instances import services as instances

    region_id, city, networks, _, cidr, usernames = side
    region = Region.objects.select_related("area").get(pk=region_id)
    machines.gateway_create(
        actor=admin,
        name=f"gateway-{city.lower()}",
        region=region,
        public_host="127.0.0.1",
        listen_address="127.0.0.1",
        client_port=kept["ports"][f"client {region_id}"],
        tunnel_port=kept["ports"][f"tunnel {region_id}"],
    )
    ccn = ccns.ccn_create(
        name=f"ccn-{city.lower()}", area=region.area, networks=[networks] if HAS_CLOUD else [], actor=admin
    )
    instance = instances.instance_create(
        region=region, name=f"{city}-office", account_quota=100, cidrs=[cidr], ccn=ccn, actor=admin
    )
    for username in usernames:
        password = "Aa" + secrets.token_hex(6)
        accounts.account_create(
            instance=instance,
            username=username,
            email=f"{username}@corp.example",
            password=password,
            bandwidth_kbps=CAPPED_KBPS if username == usernames[-1] else FREE_KBPS,
            actor=admin,
        )
        kept["accounts"].append({"instance": instance.pk, "username": username, "password": password})


def move(ports: dict[str, int]) -> None:
    """Follow ports that had to change since the last start."""
    from connectors.applications.services import application_update
    from connectors.models import Application
    from console.core import audit
    from console.machines import services as machines
    from console.models import Gateway

    actor = audit.System("demo")
    for gateway in Gateway.objects.all():
        wanted = {f"{kind}_port": ports[f"{kind} {gateway.region_id}"] for kind in ("client", "tunnel")}
        if any(getattr(gateway, name) != port for name, port in wanted.items()):
            machines.gateway_update(gateway=gateway, actor=actor, **wanted)
    for application in Application.objects.filter(name__in=("wiki", "echo")):
        origin = f"127.0.0.1:{ports[application.name]}"
        if application.origin != origin:
            application_update(application=application, origin=origin, actor=actor)


def machines(home: Path) -> "list[Machine]":
    """Return the machines, gateways first, so that servers find the gateways."""
    from connectors.models import Connector
    from console.models import Gateway

    found = [Machine("gateway", g.pk, home / f"machine-{g.name}") for g in Gateway.objects.all()]
    connector = Connector.objects.get(name=CONNECTOR)
    return found + [
        Machine("connector", connector.pk, home / f"machine-server-{n + 1}") for n in range(SERVERS)
    ]


def enroll(machine: Machine, url: str) -> None:
    """Let the machine introduce itself to the running console, unless it did on an earlier start."""
    import asyncio

    from console.core import audit
    from console.machines import enrollment
    from edge.home import Home
    from edge.machine.enrollment import enroll as introduce
    from edge.protocol.enrollment import Kind

    home = Home(machine.home)
    if not home.enrolled:
        kind: Kind = "gateway" if machine.kind == "gateway" else "server"
        code, _ = enrollment.code_create(kind=kind, target=machine.target, actor=audit.System("demo"))
        asyncio.run(introduce(home, url, code, kind))
    machine.id = home.identity.id


def write_atomic(path: Path, text: str) -> None:
    """Replace a file at once; only its owner can read the file, which holds passwords."""
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    temporary.replace(path)
