"""The other end for the tests of a connector server: a gateway as plain as Envoy allows, and an application.

The gateway checks the names in the handshake against the certificate, as ours does, but decides nothing: every
request on its access port (HTTP, loopback) goes to the connector that the test names. On its secure port (HTTPS, for
`causeway connect`) it asks for one token.
"""

import asyncio
import contextlib
import http.server
import inspect
import json
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from edge.envoy.parts import Config, address, admin, http2_options, http_protocol_options, typed
from edge.envoy.process import EnvoyProcess
from edge.envoy.server import ARGUMENTS, bootstrap, write_configuration
from edge.home import Home, Identity
from edge.protocol.configuration import ServerConfiguration
from tests.edge.gateway_pki import GATEWAY_NAME
from tests.edge.gateway_pki import Authority as Authority  # noqa: PLC0414  tests of machines import it from here
from tests.ports import free_port
from tests.quiet import QuietHandler, QuietHTTPServer, serving


async def until(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """Wait until `condition`, awaited where it can be, gives something true; fail with `what` was missing."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        assert asyncio.get_running_loop().time() < deadline, f"not in {seconds:.0f} s: {what}"
        await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have work done in the background during a block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class LabGateway:
    """A gateway: `access` is its HTTP port for the test, `tunnels` the port that servers dial."""

    def __init__(
        self, folder: Path, authority: Authority, connector: str, *, id: str = "gateway-1", token: str = ""
    ) -> None:
        self.id = id
        self.tunnels, self.access, self.secure = free_port(), free_port(), free_port()
        self._token = token
        self.envoy = EnvoyProcess(folder, concurrency=1)
        self._folder, self.authority, self._connector = folder, authority, connector

    async def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "ca.pem").write_bytes(self.authority.pem)
        for name, of in (("tunnel", [GATEWAY_NAME, self.id]), ("access", ["127.0.0.1", "gateway.corp.test"])):
            key, certificate = self.authority.issue(of)
            (self._folder / f"{name}.key").write_bytes(key)
            (self._folder / f"{name}.pem").write_bytes(certificate)
        await self.envoy.start(self._bootstrap())

    async def live_tunnels(self) -> int:
        """How many reverse tunnels were accepted and are open."""
        stats = json.loads(await self.envoy.admin("/stats?format=json&filter=^tunnels.*node.server"))["stats"]
        return sum(each["value"] for each in stats if ".node." in each.get("name", ""))

    def _bootstrap(self) -> Config:
        names = {
            "node_id_format": "%DOWNSTREAM_PEER_DNS_SAN%",
            "cluster_id_format": "%DOWNSTREAM_PEER_URI_SAN%",
        }
        kind = "filters.network.reverse_tunnel.v3.ReverseTunnel"
        handshake = typed("envoy.filters.network.reverse_tunnel", kind, ping_interval="2s", validation=names)
        place = "bootstrap.reverse_tunnel.upstream_socket_interface"
        kind = f"{place}.v3.UpstreamReverseConnectionSocketInterface"
        sockets = typed(f"envoy.{place}", kind, stat_prefix="tunnels", enable_detailed_stats=True)
        outer = _tls("Downstream", "tunnel", require_client_certificate=True)
        secure = _tls("Downstream", "access", "h2", checks=False)
        token = {"name": "proxy-authorization", "string_match": {"exact": f"Bearer {self._token}"}}
        listeners = [
            _listener("tunnels", self.tunnels, handshake, outer),
            _listener("access", self.access, self._http()),
            _listener("secure", self.secure, self._http(token), secure),
        ]
        return {
            "node": {"id": "gateway-1", "cluster": "gateways"},
            "admin": admin(),
            "bootstrap_extensions": [sockets],
            "static_resources": {"listeners": listeners, "clusters": [_reverse()]},
        }

    def _http(self, *headers: Config) -> Config:
        """HTTP of a listener: requests with these headers go to the connector, all others get 407."""
        add = {"header": {"key": "x-connector", "value": self._connector}, "append_action": "ADD_IF_ABSENT"}
        matches: list[Config] = [{"connect_matcher": {}}, {"prefix": "/"}]
        routes: list[Config] = [
            {
                "match": match | {"headers": headers},
                "route": {"cluster": "reverse", "timeout": "0s"},
                "request_headers_to_add": [add],
            }
            for match in matches
        ]
        routes += [{"match": match, "direct_response": {"status": 407}} for match in matches]
        return typed(
            "http",
            "filters.network.http_connection_manager.v3.HttpConnectionManager",
            stat_prefix="access",
            http2_protocol_options=http2_options(),
            upgrade_configs=[{"upgrade_type": "CONNECT"}],
            route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
            http_filters=[typed("router", "filters.http.router.v3.Router")],
        )


def _tls(side: str, name: str, *alpn: str, checks: bool = True, **fields: Any) -> Config:
    """TLS of one side, with its certificate. ``checks``: the other end must have one of the CA."""
    files = {"certificate_chain": {"filename": f"{name}.pem"}, "private_key": {"filename": f"{name}.key"}}
    common: Config = {"tls_certificates": [files], "alpn_protocols": alpn}
    if checks:
        common["validation_context"] = {"trusted_ca": {"filename": "ca.pem"}}
    return typed("tls", f"transport_sockets.tls.v3.{side}TlsContext", common_tls_context=common, **fields)


def _listener(name: str, port: int, network_filter: Config, tls: Config | None = None) -> Config:
    chain = {"filters": [network_filter]} | ({"transport_socket": tls} if tls else {})
    return {"name": name, "address": address("127.0.0.1", port), "filter_chains": [chain]}


def _reverse() -> Config:
    """Cluster of the tunnels; what answers in a tunnel must show the certificate of the connector."""
    names = {"auto_sni": True, "auto_san_validation": True, "override_auto_sni_header": "x-connector"}
    return {
        "name": "reverse",
        "connect_timeout": "5s",
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": typed(
            "envoy.clusters.reverse_connection",
            "clusters.reverse_connection.v3.ReverseConnectionClusterConfig",
            cleanup_interval="60s",
            host_id_format="%REQ(x-connector)%",
        ),
        "typed_extension_protocol_options": http_protocol_options(
            {"http2_protocol_options": http2_options()}, upstream_http_protocol_options=names
        ),
        "transport_socket": _tls("Upstream", "tunnel", "h2", sni="unused"),
    }


def enrolled_server(
    folder: Path, authority: Authority, server: str, connector: str, *, console: str = "http://127.0.0.1:1"
) -> Home:
    """Return a home as an enrollment leaves it, without its first configuration."""
    home = Home(folder)
    authority.server(home, server, connector)
    home.write_identity(Identity(server, "server", console, connector))
    return home


def configuration(
    home: Home,
    gateways: list[LabGateway],
    applications: list[dict[str, Any]],
    *,
    version: int = 1,
    **changes: Any,
) -> dict[str, Any]:
    """Return a server configuration in the shape of docs/architecture.md."""
    identity = home.identity
    return {
        "version": version,
        "server": {"id": identity.id, "enabled": True},
        "connector": {"id": identity.connector, "name": "office", "enabled": True},
        "gateways": [
            {"id": f"gateway-{index}", "host": "127.0.0.1", "port": gateway.tunnels}
            for index, gateway in enumerate(gateways, 1)
        ],
        "applications": applications,
        **changes,
    }


def application(addresses: list[str], ports: list[list[int]], origin: str | None = None) -> dict[str, Any]:
    """Return one application in the shape of docs/architecture.md."""
    return {
        "id": "pa-application-0000000000000001",
        "name": "app",
        "addresses": addresses,
        "ports": ports,
        "origin": origin,
    }


class _Application(QuietHandler, http.server.BaseHTTPRequestHandler):
    """Tells what it was asked; ``/bytes/N`` answers N bytes; a POST is read and its length told."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.startswith("/bytes/"):
            left = int(self.path.removeprefix("/bytes/"))
            self.send_response(200)
            self.send_header("Content-Length", str(left))
            self.end_headers()
            while left:
                left -= self.wfile.write(bytes(min(left, 2**16)))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._tell({"path": self.path, "headers": headers})

    def do_POST(self) -> None:
        left = length = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(left, 2**16)))
        self._tell({"length": length})

    def _tell(self, value: dict[str, Any]) -> None:
        self.answer(200, json.dumps({**value, "port": self.connection.getsockname()[1]}).encode())


@contextlib.contextmanager
def running_application() -> Iterator[int]:
    """Run an HTTP application on all local addresses; give its port."""
    with serving(QuietHTTPServer(("", 0), _Application)) as port:
        yield port


async def curl(*arguments: str) -> tuple[int, str, str]:
    """Run curl; return its exit code, output and errors."""
    command = ("curl", "--silent", "--show-error", "--max-time", "20", *arguments)
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, errors = await process.communicate()
    return process.returncode or 0, output.decode(errors="replace"), errors.decode(errors="replace")


async def status(port: int, path: str = "/") -> str:
    """Return the status of a page of ``wiki.corp.example`` by the proxy on a port; ``000``: no answer."""
    through = ("--proxy", f"http://127.0.0.1:{port}", "--output", "/dev/null", "--write-out", "%{http_code}")
    return (await curl(*through, f"http://wiki.corp.example{path}"))[1]


async def is_served(gateway: LabGateway) -> bool:
    return await status(gateway.access) == "200"


@contextlib.asynccontextmanager
async def running_server(
    gateway: LabGateway, home: Home, applications: list[dict[str, Any]], *, concurrency: int = 1
) -> AsyncIterator[EnvoyProcess]:
    """Run a gateway, and a server's Envoy without an agent, whose tunnels to the gateway stand; give that Envoy."""
    envoy = EnvoyProcess(home.file("envoy"), concurrency=concurrency, arguments=ARGUMENTS)
    write_configuration(home, ServerConfiguration.decode(configuration(home, [gateway], applications)))
    try:
        await gateway.start()
        await envoy.start(bootstrap(home.identity))
        await until(gateway.live_tunnels, "tunnels")
        yield envoy
    finally:
        await envoy.stop()
        await gateway.envoy.stop()
