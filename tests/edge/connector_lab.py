"""The other end for the tests of a connector server: a certificate authority, and a gateway as plain as Envoy allows.

The gateway checks the names in the handshake against the certificate, as ours does, but decides nothing: every
request on its access port (HTTP, loopback) goes to the connector that the test names. On its secure port (HTTPS, for
`causeway connect`) it asks for one token.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import http.server
import ipaddress
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.envoy.process import EnvoyProcess
from edge.home import Home, Identity
from edge.protocol.logon import Grant, GrantedGateway, GrantedSession
from tests.ports import free_port
from tests.quiet import QuietHTTPServer

TYPE = "type.googleapis.com/"
TLS = TYPE + "envoy.extensions.transport_sockets.tls.v3."
GATEWAY = "gateway.causeway.internal"
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


class Authority:
    """A CA like the console's."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
        builder = self._builder(self._name, self._key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self.pem = self._certificate.public_bytes(Encoding.PEM)

    def _builder(self, subject: x509.Name, key: Any, days: float = 10) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(days=days))
        )

    def sign(self, key: Any, names: list[str], *, days: float = 10) -> bytes:
        """Return a certificate for a public key; names with a colon become URI SANs."""
        sans: list[x509.GeneralName] = []
        for name in names:
            if name.startswith("uri:"):
                sans.append(x509.UniformResourceIdentifier(name[4:]))
            elif name[0].isdigit():
                sans.append(x509.IPAddress(ipaddress.ip_address(name)))
            else:
                sans.append(x509.DNSName(name))
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "machine")])
        certificate = (
            self._builder(subject, key, days)
            .add_extension(x509.SubjectAlternativeName(sans), critical=False)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(Encoding.PEM)

    def issue(self, names: list[str], *, days: float = 10) -> tuple[bytes, bytes]:
        """Return a new key and its certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return pem, self.sign(key.public_key(), names, days=days)


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
        key, certificate = self._authority.issue([GATEWAY, self.id])
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
    outer_key, outer = authority.issue([server, f"uri:{connector}"])
    inner_key, inner = authority.issue([connector])
    home.write_pki(
        {
            "outer.key": outer_key,
            "outer.pem": outer,
            "inner.key": inner_key,
            "inner.pem": inner,
            "ca.pem": authority.pem,
        }
    )
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


@contextlib.contextmanager
def serving(handler: type[http.server.BaseHTTPRequestHandler], *, host: str = "127.0.0.1") -> Iterator[int]:
    """Run an HTTP server in a thread; give its port."""
    server = QuietHTTPServer((host, 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class FakeConsole:
    """The console's side of the edge API, as a function for each call: ``answers[path](body) -> (status, answer)``.

    Every call is kept in `calls` as (path, body, headers).
    """

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]] = {}
        self.calls: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.clock_offset = 0.0
        self.url = ""

    def bodies(self, path: str) -> list[dict[str, Any]]:
        """What was sent to one path, in order."""
        return [body for called, body, _ in list(self.calls) if called == path]

    @contextlib.contextmanager
    def running(self) -> Iterator[FakeConsole]:
        console = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                path = self.path.removeprefix("/edge/v1/")
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                console.calls.append((path, body, headers))
                status, answer = console.answers[path](body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def date_time_string(self, timestamp: float | None = None) -> str:
                return super().date_time_string(dt.datetime.now().timestamp() + console.clock_offset)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        with serving(Handler) as bound:
            self.url = f"http://127.0.0.1:{bound}"
            yield self


def grant(
    token: str, *proxies: str, username: str = "alice.smith", instance: str = "sag-1", ca: str = ""
) -> dict[str, Any]:
    """The console's answer to a log-on, with a gateway for each of the proxies."""
    session = GrantedSession("session-1", "user-1", instance, username, "172.16.0.2", int(time.time()) + 600)
    gateways = [GrantedGateway(f"gateway-{place}", "area", proxy) for place, proxy in enumerate(proxies)]
    return Grant(token, session, gateways, ca).encode()


def refusal(code: str, message: str = "No.") -> dict[str, Any]:
    """The console's shape of an error."""
    return {"error": {"code": code, "message": message, "field": None}}


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
