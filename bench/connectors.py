"""Speed of the lists of private access in a large world, beside a view that does nothing but Django.

    python -m bench.connectors --connectors 10000 --servers 20000 --policies 1000 --rounds 40

A database of its own is made in a temporary folder (or DATABASE_URL's is used, which must be empty).
"""

import gc
import os
import tempfile
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bench.cuts import percentile
from bench.lists import cost, timed
from bench.processes import console_environment

Answer = Callable[[], Any]


def prepare(folder: Path) -> None:
    """Set Django up on a database in ``folder``."""
    database = os.environ.get("DATABASE_URL", f"sqlite:///{folder / 'bench.sqlite3'}")
    os.environ |= console_environment(folder, "http://testserver", database)
    (folder / "static").mkdir(exist_ok=True)
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)


def build(connectors: int, servers: int, policies: int) -> None:
    """Fill the world in bulk: half of the connectors online, each policy with users and applications of its own."""
    from django.db import connection

    made = _connectors(connectors, servers)
    applications, tags = _applications()
    _policies(policies, made, applications, tags)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # the database itself does this some time after so much was written


def _connectors(connectors: int, servers: int) -> list[Any]:
    """Make connectors, one in ten switched off, and servers, every second with tunnels to the one gateway."""
    from django.utils import timezone

    from connectors.models import Connector, Server, Tunnel
    from console.models import Gateway, Region

    regions, now = list(Region.objects.all()), timezone.now()
    lately = now + timedelta(days=1)  # still in the future when the last page is measured
    gateway = Gateway.objects.create(
        name="gateway", region=regions[0], public_host="127.0.0.1", heard_at=lately, enrolled_at=now
    )
    made = Connector.objects.bulk_create(
        Connector(name=f"connector-{n:06}", region=regions[n % len(regions)], enabled=n % 10 > 0)
        for n in range(connectors)
    )
    hosts = Server.objects.bulk_create(
        Server(connector=made[n % connectors], hostname=f"host-{n}", heard_at=lately) for n in range(servers)
    )
    Tunnel.objects.bulk_create(
        Tunnel(gateway=gateway, server=host, count=2, seen_at=lately) for host in hosts[::2]
    )
    return made


def _applications(number: int = 1000, kinds: int = 50) -> tuple[list[Any], list[Any]]:
    """Make applications with an address and a tag each."""
    from connectors.models import Application, ApplicationAddress, Tag

    made = Application.objects.bulk_create(Application(name=f"application {n}") for n in range(number))
    ApplicationAddress.objects.bulk_create(
        ApplicationAddress(application=each, address=f"{each.pk}.example") for each in made
    )
    tags = Tag.objects.bulk_create(Tag(name=f"tag {n}") for n in range(kinds))
    through = Application.tags.through
    through.objects.bulk_create(through(application=each, tag=tags[n % kinds]) for n, each in enumerate(made))
    return made, tags


def _policies(number: int, connectors: list[Any], applications: list[Any], tags: list[Any]) -> None:
    """Make policies, each for three groups; one in four goes by a tag, the others by five applications."""
    from connectors.models import Policy, UserGroup

    groups = UserGroup.objects.bulk_create(UserGroup(name=f"group {n}") for n in range(200))
    made = Policy.objects.bulk_create(
        Policy(name=f"policy {n}", priority=n % 100 + 1, connector=connectors[n % len(connectors)])
        for n in range(number)
    )
    of_groups, of_applications, of_tags = (
        getattr(Policy, name).through for name in ("groups", "applications", "tags")
    )
    of_groups.objects.bulk_create(
        of_groups(policy=each, usergroup=groups[(n + k) % 200])
        for n, each in enumerate(made)
        for k in range(3)
    )
    of_applications.objects.bulk_create(
        of_applications(policy=each, application=applications[(7 * n + k) % len(applications)])
        for n, each in enumerate(made)
        if n % 4
        for k in range(5)
    )
    of_tags.objects.bulk_create(
        of_tags(policy=each, tag=tags[n % len(tags)]) for n, each in enumerate(made) if n % 4 == 0
    )


def client() -> Any:
    from django.test import Client

    from console.models import User

    user = User.objects.create_user("bench", password=None, role="operator")
    made = Client()
    made.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return made


def bare() -> Answer:
    """Answer with a plain table of 50 connectors and their regions: the same rows, with no code of Causeway."""
    from django.template import Context, Engine

    from connectors.models import Connector

    template = Engine().from_string(
        "<table>{% for row in rows %}<tr><td>{{ row.name }}</td><td>{{ row.region.name }}</td></tr>{% endfor %}</table>"
    )

    def answer() -> str:
        Connector.objects.count()
        rows = Connector.objects.select_related("region").order_by("name")[:50]
        return template.render(Context({"rows": rows}))

    return answer


def figures(answer: Answer, rounds: int) -> list[str]:
    return [f"{percentile(values, part):.1f}" for values in timed(answer, rounds) for part in (50, 95)]


def pages(connectors: int, policies: int) -> dict[str, str]:
    """Return what is measured → the address of the page."""
    return {
        "connectors, first page": "/sase/connectors/",
        "connectors, last page": f"/sase/connectors/?page={-(-connectors // 50)}",
        "connectors, by region": "/sase/connectors/?sort=region",
        "connectors, online": "/sase/connectors/?status=online",
        "connectors, offline": "/sase/connectors/?status=offline",
        "connectors, online, last page": "/sase/connectors/?status=online&page=9999",
        "connectors, search": "/sase/connectors/?q=999",
        "connectors, search among the online": "/sase/connectors/?q=99&status=online",
        "policies, first page": "/sase/policies/",
        "policies, last page": f"/sase/policies/?page={-(-policies // 50)}",
        "applications": "/sase/applications/",
    }


def main(
    connectors: int = 10_000,
    servers: int = 20_000,
    policies: int = 1000,
    rounds: Annotated[int, typer.Option(min=5)] = 40,
) -> None:
    """Print p50 and p95 of each list, its queries and its size."""
    console = Console(width=110)
    with tempfile.TemporaryDirectory(prefix="causeway-bench-") as folder:
        prepare(Path(folder))
        build(connectors, servers, policies)
        browser = client()
        gc.collect()
        gc.freeze()  # garbage of the building must not cost an answer time
        table = Table(
            "list", "p50", "p95", "CPU p50", "CPU p95", "queries", "kB of HTML",
            title=f"{connectors:,} connectors, {servers:,} servers, {policies:,} policies; ms at the server",
        )  # fmt: skip
        table.add_row("bare view of 50 rows, no page round it", *figures(bare(), rounds), "2", "")
        for name, url in pages(connectors, policies).items():
            table.add_row(name, *line(browser, url, rounds))
        console.print(table)


def line(browser: Any, url: str, rounds: int) -> list[str]:
    queries, html = cost(browser, url)
    return [*figures(partial(browser.get, url), rounds), str(queries), f"{html / 1000:.0f}"]


if __name__ == "__main__":
    typer.run(main)
