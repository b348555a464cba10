"""The ways of the running demo to one origin, by name: what `tests.pipe` measures on the product's own agents."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from bench.register import HOST, PORT
from tests.demo import ROOT, Demo, clean_environment, running_demo, wait_until
from tests.e2e.connect import connected
from tests.pipe import Cell, Origin, Plain, Proxied, Way
from tests.pipe_http import Request
from tests.pipe_tls import Http1, Http2, Secure, basic
from tests.ports import free_port

Ways = Mapping[str, Callable[[], Way]]
CONNECTOR, CLOUD = "connector", "cloud"


@contextmanager
def ways(demo: Demo, origin: Origin, folder: Path, account: dict[str, Any] | None = None) -> Iterator[Ways]:
    """Connect as a client and give the ways to an origin that is an application of the demo (`register`).

    The names: ``h1`` and ``h2`` straight to the gateway, ``proxy`` and ``forward`` of ``causeway connect``, plain
    requests straight (``http``) and by the proxy, each to ``connector`` and to ``cloud``. `account`: another one than
    the first, for example one with a cap.
    """
    account = account or demo.account()
    targets = ends(demo, origin.port)
    forwards = {path: free_port() for path in targets}
    options = [part for path in targets for part in ("--forward", f"{forwards[path]}={targets[path]}")]
    gateway = urlsplit(demo.gateway()["proxy"]).port or 443
    credentials = basic(f"{account['username']}@{account['instance']}", account["password"])
    with connected(demo, folder, *options, account=account) as client:
        client.event("ready", 300)
        found: dict[str, Callable[[], Way]] = {}
        for path, authority in targets.items():
            found[f"h1 {path}"] = partial(Http1, gateway, authority, credentials)
            found[f"h2 {path}"] = partial(Http2, gateway, authority, credentials)
            found[f"proxy {path}"] = partial(Proxied, client.listen, authority)
            found[f"forward {path}"] = partial(Plain, forwards[path])
            found[f"http {path}"] = partial(_request, gateway, authority, credentials)
            found[f"http proxy {path}"] = partial(request_by_proxy, client.listen, authority)
        for name, way in found.items():
            wait_until(partial(_opens, way), 120, what=name)
        yield found


def ends(demo: Demo, port: int) -> dict[str, str]:
    """Give the addresses of an origin: as an application, and on a host of the cloud network where there is one."""
    here = [one for one in demo.world["cloud_services"] if one["region"] == demo.gateway()["region"]]
    return {CONNECTOR: f"{HOST}:{PORT}"} | ({CLOUD: f"{here[0]['host']}:{port}"} if here else {})


# Cells for an account with a bandwidth, which is slow
CAPPED = [
    *(Cell("app closes", 500_000), Cell("client closes", 1000), Cell("client closes", 500_000)),
    Cell("client half-closes", 300_000),
]


def fitting(way: str, cells: list[Cell]) -> list[Cell]:
    """Leave out what HTTP does not promise: that an answer may end while its request goes on."""
    if not way.startswith("http"):
        return cells
    return [cell for cell in cells if cell.mode not in ("app half-closes", "client goes on", "both")]


def _request(port: int, authority: str, credentials: str) -> Way:
    return Request(Secure(port), authority, f"Proxy-Authorization: {credentials}")


def request_by_proxy(port: int, authority: str) -> Way:
    """Open a way by plain requests to a proxy in the clear."""
    return Request(Plain(port), authority)


def _opens(way: Callable[[], Way]) -> bool:
    try:
        way().close()
    except OSError:
        return False
    return True


@contextmanager
def own_demo(prefix: str) -> Iterator[tuple[Demo, Origin, Path]]:
    """Run a demo for this alone, without traffic of its own, and an origin that is an application of it."""
    with TemporaryDirectory(prefix=prefix) as name, closing(Origin()) as origin:
        folder = Path(name)
        with running_demo(folder / "demo", 900) as demo:
            demo.kill(demo.pid("traffic"))
            register(demo, origin.port)
            yield demo, origin, folder


def register(demo: Demo, port: int) -> None:
    """Make the origin at a port an application of the demo, for everybody; once for each demo."""
    arguments = [str(demo.home), str(urlsplit(demo.console).port), demo.connector()["id"], str(port)]
    subprocess.run(
        [sys.executable, "-m", "bench.register", *arguments], cwd=ROOT, env=clean_environment(), check=True
    )
    demo.servers_follow()
