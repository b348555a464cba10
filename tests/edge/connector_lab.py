"""The other end for the tests of a connector server: a gateway as plain as Envoy allows, and an application.

The gateway checks the names in the handshake against the certificate, as ours does, but decides nothing: every
request on its access port (HTTP, loopback) goes to the connector that the test names. On its secure port (HTTPS, for
`causeway connect`) it asks for one token.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from edge.envoy.process import EnvoyProcess
from edge.home import Home, Identity
from tests.edge.console_lab import serving
from tests.edge.gateway_pki import GATEWAY_NAME
from tests.edge.gateway_pki import Authority as Authority  # noqa: PLC0414  tests of machines import it from here
from tests.ports import free_port

TYPE = "type.googleapis.com/"
TLS = TYPE + "envoy.extensions.transport_sockets.tls.v3."
HTTP2 = {
    "allow_connect": True,
    "initial_stream_window_size": 2**20,
    "initial_connection_window_size": 8 * 2**20,
}


async def until(condition: Callable[[], Awaitable[Any]], what: str, seconds: float = 30.0) -> Any:
    """Wait until `condition` gives something true; fail with `what` was missing."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        if value := await condition():
            return value
        assert asyncio.get_running_loop().time() < deadline, f"not in {seconds:.0f} s: {what}"
        await asyncio.sleep(0.05)


class LabGateway:
    """A gateway: `access` is its HTTP port for the test, `tunnels` the port that servers dial."""

    def __init__(
        self, folder: Path, authority: Authority, connector: str, *, id: str = "gateway-1", token: str = ""
    ) -> None:
        self.id = id
        self.tunnels, self.access, self.secure = free_port(), free_port(), free_port()
        self._token = token
        self.envoy = EnvoyProcess(folder, concurrency=1)
        self._folder, self._authority, self._connector = folder, authority, connector

    async def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        key, certificate = self._authority.issue([GATEWAY_NAME, self.id])
        access_key, access = self._authority.issue(["127.0.0.1"])
        files = {
            "tunnel.key": key,
            "tunnel.pem": certificate,
            "access.key": access_key,
            "access.pem": access,
            "ca.pem": self._authority.pem,
        }
        for name, data in files.items():
            (self._folder / name).write_bytes(data)
        await self.envoy.start(self._bootstrap())

    async def live_tunnels(self) -> int:
        """How many reverse tunnels were accepted and are open."""
        stats = json.loads(await self.envoy.admin("/stats?format=json&filter=^tunnels.*node.server"))["stats"]
        return sum(each["value"] for each in stats if ".node." in each.get("name", ""))

    def _bootstrap(self) -> dict[str, Any]:
        identity = {
            "tls_certificates": [
                {"certificate_chain": {"filename": "tunnel.pem"}, "private_key": {"filename": "tunnel.key"}}
            ],
            "validation_context": {"trusted_ca": {"filename": "ca.pem"}},
        }
        outer = {
            "@type": TLS + "DownstreamTlsContext",
            "require_client_certificate": True,
            "common_tls_context": identity,
        }
        inner = {
            "@type": TLS + "UpstreamTlsContext",
            "sni": "unused",
            "common_tls_context": {"alpn_protocols": ["h2"], **identity},
        }
        handshake = {
            "@type": TYPE + "envoy.extensions.filters.network.reverse_tunnel.v3.ReverseTunnel",
            "ping_interval": "2s",
            "validation": {
                "node_id_format": "%DOWNSTREAM_PEER_DNS_SAN%",
                "cluster_id_format": "%DOWNSTREAM_PEER_URI_SAN%",
            },
        }
        tunnels = {
            "name": "tunnels",
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": self.tunnels}},
            "filter_chains": [
                {
                    "transport_socket": {"name": "tls", "typed_config": outer},
                    "filters": [{"name": "envoy.filters.network.reverse_tunnel", "typed_config": handshake}],
                }
            ],
        }
        access = {
            "name": "access",
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": self.access}},
            "filter_chains": [{"filters": [{"name": "http", "typed_config": self._connection_manager()}]}],
        }
        return {
            "node": {"id": "gateway-1", "cluster": "gateways"},
            "admin": {"address": {"pipe": {"path": "admin.sock"}}},
            "bootstrap_extensions": [
                {
                    "name": "envoy.bootstrap.reverse_tunnel.upstream_socket_interface",
                    "typed_config": {
                        "@type": TYPE
                        + "envoy.extensions.bootstrap.reverse_tunnel.upstream_socket_interface.v3"
                        ".UpstreamReverseConnectionSocketInterface",
                        "stat_prefix": "tunnels",
                        "enable_detailed_stats": True,
                    },
                }
            ],
            "static_resources": {
                "listeners": [tunnels, access, self._secure()],
                "clusters": [_reverse(inner)],
            },
        }

    def _secure(self) -> dict[str, Any]:
        certificate = {
            "certificate_chain": {"filename": "access.pem"},
            "private_key": {"filename": "access.key"},
        }
        tls = {
            "@type": TLS + "DownstreamTlsContext",
            "common_tls_context": {"alpn_protocols": ["h2"], "tls_certificates": [certificate]},
        }
        header = {"name": "proxy-authorization", "string_match": {"exact": f"Bearer {self._token}"}}
        manager = self._connection_manager([header])
        return {
            "name": "secure",
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": self.secure}},
            "filter_chains": [
                {
                    "transport_socket": {"name": "tls", "typed_config": tls},
                    "filters": [{"name": "http", "typed_config": manager}],
                }
            ],
        }

    def _connection_manager(self, headers: list[dict[str, Any]] | None = None) -> dict[str, Any]:
        add = {"header": {"key": "x-connector", "value": self._connector}, "append_action": "ADD_IF_ABSENT"}
        matches: list[dict[str, Any]] = [{"connect_matcher": {}}, {"prefix": "/"}]
        routes: list[dict[str, Any]] = [
            {
                "match": {**match, "headers": headers or []},
                "route": {"cluster": "reverse", "timeout": "0s"},
                "request_headers_to_add": [add],
            }
            for match in matches
        ]
        routes += [{"match": match, "direct_response": {"status": 407}} for match in matches]
        return {
            "@type": TYPE
            + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "access",
            "http2_protocol_options": HTTP2,
            "upgrade_configs": [{"upgrade_type": "CONNECT"}],
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
            "http_filters": [
                {
                    "name": "router",
                    "typed_config": {"@type": TYPE + "envoy.extensions.filters.http.router.v3.Router"},
                }
            ],
        }


def _reverse(inner: dict[str, Any]) -> dict[str, Any]:
    options = {
        "@type": TYPE + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "upstream_http_protocol_options": {
            "auto_sni": True,
            "auto_san_validation": True,
            "override_auto_sni_header": "x-connector",
        },
        "explicit_http_config": {"http2_protocol_options": HTTP2},
    }
    return {
        "name": "reverse",
        "connect_timeout": "5s",
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {
            "name": "envoy.clusters.reverse_connection",
            "typed_config": {
                "@type": TYPE
                + "envoy.extensions.clusters.reverse_connection.v3.ReverseConnectionClusterConfig",
                "cleanup_interval": "60s",
                "host_id_format": "%REQ(x-connector)%",
            },
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options
        },
        "transport_socket": {"name": "tls", "typed_config": inner},
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


class _Application(http.server.BaseHTTPRequestHandler):
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
        self._tell(
            {"path": self.path, "headers": {name.lower(): value for name, value in self.headers.items()}}
        )

    def do_POST(self) -> None:
        left = length = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(left, 2**16)))
        self._tell({"length": length})

    def _tell(self, value: dict[str, Any]) -> None:
        body = json.dumps({**value, "port": self.connection.getsockname()[1]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextlib.contextmanager
def running_application() -> Iterator[int]:
    """Run an HTTP application on all local addresses; give its port."""
    with serving(_Application, host="") as port:
        yield port


async def curl(*arguments: str) -> tuple[int, str, str]:
    """Run curl; return its exit code, output and errors."""
    process = await asyncio.create_subprocess_exec(
        "curl",
        "--silent",
        "--show-error",
        "--max-time",
        "20",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    return process.returncode or 0, output.decode(errors="replace"), errors.decode(errors="replace")
