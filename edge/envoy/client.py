"""The Envoy of ``causeway connect``: a local HTTP proxy and port forwards, with the user's token.

The token lies in a file that Envoy watches, so that a renewal touches no open connection.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from edge.envoy import parts
from edge.envoy.parts import Config, typed

TOKEN_FILE = "token.json"  # noqa: S105
CA_FILE = "ca.pem"
GATEWAYS = "gateways"
STATISTICS = "local"


@dataclass(frozen=True)
class Forward:
    """A local port that leads to one destination: ``address:port`` here, ``host:target`` there."""

    address: str
    port: int
    host: str
    target: int


def token_file(token: str) -> bytes:
    """Return the file from which Envoy takes the value of ``Proxy-Authorization``."""
    secret = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        "name": "token",
        "generic_secret": {"secret": {"inline_string": f"Bearer {token}"}},
    }
    return json.dumps({"resources": [secret]}).encode()


def bootstrap(
    listen: tuple[str, int] | None, forwards: Sequence[Forward], gateways: Sequence[str], *, ca: str
) -> Config:
    """Return the configuration. `listen`: where the HTTP proxy is; `gateways`: ``https://host:port``; `ca`: PEM."""
    proxies: list[Config] = [{"pipe": {"path": "proxy.sock", "mode": 0o600}}]
    if listen is not None:
        proxies.append(parts.address(*listen))
    listeners = [_proxy(f"proxy-{index}", address) for index, address in enumerate(proxies)]
    own = parts.static_cluster("proxy", [proxies[0]])
    own["typed_extension_protocol_options"] = parts.http_protocol_options(
        {"http2_protocol_options": parts.http2_options()}
    )
    return {
        "node": {"id": "connect", "cluster": "clients"},
        "admin": parts.admin(),
        "static_resources": {
            "listeners": [*listeners, *(_forward(forward) for forward in forwards)],
            "clusters": [_gateways(gateways, ca), own],
        },
    }


def _proxy(name: str, address: Config) -> Config:
    source = {"path_config_source": {"path": f"./{TOKEN_FILE}"}, "resource_api_version": "V3"}
    credential = typed(
        "envoy.http.injected_credentials.generic",
        "http.injected_credentials.generic.v3.Generic",
        credential={"name": "token", "sds_config": source},
        header="proxy-authorization",
    )
    retry = {"retry_on": "connect-failure,refused-stream", "num_retries": 2}
    route = {"cluster": GATEWAYS, "timeout": "0s", "idle_timeout": "0s", "retry_policy": retry}
    routes = [{"match": match, "route": route} for match in _everything()]
    manager = typed(
        "http",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=STATISTICS,
        http2_protocol_options=parts.http2_options(),
        upgrade_configs=[{"upgrade_type": "CONNECT"}, {"upgrade_type": "websocket"}],
        stream_idle_timeout="0s",
        request_timeout="0s",
        delayed_close_timeout="0.01s",
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        http_filters=[
            typed(
                "credential",
                "filters.http.credential_injector.v3.CredentialInjector",
                overwrite=True,
                credential=credential,
            ),
            typed("router", "filters.http.router.v3.Router", suppress_envoy_headers=True),
        ],
    )
    return {"name": name, "address": address, "filter_chains": [{"filters": [manager]}]}


def _everything() -> list[dict[str, Any]]:
    return [{"connect_matcher": {}}, {"prefix": "/"}]


def _forward(forward: Forward) -> Config:
    host = f"[{forward.host}]" if ":" in forward.host else forward.host
    tunnel = typed(
        "tcp",
        "filters.network.tcp_proxy.v3.TcpProxy",
        stat_prefix="forward",
        cluster="proxy",
        idle_timeout="0s",
        tunneling_config={"hostname": f"{host}:{forward.target}"},
    )
    return {
        "name": f"forward-{forward.address}-{forward.port}",
        "address": parts.address(forward.address, forward.port),
        "filter_chains": [{"filters": [tunnel]}],
    }


def _gateways(gateways: Sequence[str], ca: str) -> Config:
    hosts = [(urlsplit(url).hostname or "", urlsplit(url).port or 443) for url in gateways]
    names = [
        {"san_type": "IP_ADDRESS" if _is_address(host) else "DNS", "matcher": {"exact": host}}
        for host, _ in hosts
    ]
    validation = {"trusted_ca": {"inline_string": ca}, "match_typed_subject_alt_names": names}
    tls = typed(
        "envoy.transport_sockets.tls",
        "transport_sockets.tls.v3.UpstreamTlsContext",
        auto_host_sni=True,
        common_tls_context={
            "alpn_protocols": ["h2"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "validation_context": validation,
        },
    )
    cluster = parts.static_cluster(GATEWAYS, [parts.address(host, port) for host, port in hosts])
    for endpoint, (host, _) in zip(
        cluster["load_assignment"]["endpoints"][0]["lb_endpoints"], hosts, strict=True
    ):
        endpoint["endpoint"]["hostname"] = "" if _is_address(host) else host
    return {
        **cluster,
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "typed_extension_protocol_options": parts.http_protocol_options(
            {"http2_protocol_options": parts.http2_options()}
        ),
        "transport_socket": tls,
        # A gateway that is down is passed over; Envoy asks by TCP, which costs the gateway nothing.
        "health_checks": [
            {
                "timeout": "3s",
                "interval": "5s",
                "unhealthy_threshold": 1,
                "healthy_threshold": 1,
                "tcp_health_check": {},
            }
        ],
    }


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
