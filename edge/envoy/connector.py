"""A connector server's Envoy: dials every gateway, ends the users' flows at the applications.

What changes while it runs is read from files that Envoy watches (``routes.json``, ``clusters.json``, and the certificates
through ``outer.json``, ``inner.json``), so that no change of configuration breaks a flow.
"""

from __future__ import annotations

import ipaddress
import json
from typing import Any

from edge.connector.routes import NAME, PORT, RBAC, SET_FILTER_STATE, TYPE, route_configuration
from edge.home import Home, Identity

GATEWAY_NAME = "gateway.causeway.internal"
TUNNELS_PER_GATEWAY = 2
LISTENER = "reverse"
# Never dialled unless an application's origin says so: the machine itself, its neighbours and its cloud's metadata.
# It is looked at after the name was resolved, so that a name that points there does not help.
OWN_NETWORKS = ("127.0.0.0/8", "0.0.0.0/8", "169.254.0.0/16", "::/128", "::1/128", "fe80::/10") + tuple(
    f"::ffff:{network}" for network in ("127.0.0.0/104", "0.0.0.0/104", "169.254.0.0/112")
)
HTTP2 = {"allow_connect": True, "initial_stream_window_size": 2**20, "initial_connection_window_size": 8 * 2**20}
TLS = TYPE + "envoy.extensions.transport_sockets.tls.v3."


def write_configuration(home: Home, configuration: dict[str, Any]) -> None:
    """Write the files that Envoy watches, each by one rename. `configuration`: docs/architecture.md, of a server."""
    version = str(configuration["version"])
    routes = route_configuration(configuration["applications"])
    resources = {
        "routes.json": [routes],
        "clusters.json": [_gateway_cluster(gateway) for gateway in configuration["gateways"]],
        "listeners.json": [_listener(home.identity, gateway["id"]) for gateway in configuration["gateways"]],
        "outer.json": [_certificate("outer")],
        "inner.json": [_certificate("inner")],
    }
    for name, value in resources.items():
        data = json.dumps({"version_info": version, "resources": value}, indent=1).encode()
        path = f"envoy/{name}"
        # A rename is an event for Envoy, and would have it read the same again.
        if not home.file(path).exists() or home.file(path).read_bytes() != data:
            home.write_atomic(path, data)


def bootstrap(identity: Identity) -> dict[str, Any]:
    """Return the part of the configuration that stays as long as the identity does."""
    return {
        "node": {"id": identity.id, "cluster": identity.connector},
        "admin": {"address": {"pipe": {"path": "admin.sock", "mode": 0o600}}},
        "layered_runtime": {
            "layers": [
                # Port ranges and networks make long expressions; they come from our own console.
                {"name": "own", "static_layer": {"re2": {"max_program_size": {"error_level": 2**20, "warn_level": 2**20}}}}
            ]
        },
        "bootstrap_extensions": [
            {
                "name": "envoy.bootstrap.reverse_tunnel.downstream_socket_interface",
                "typed_config": {
                    "@type": TYPE + "envoy.extensions.bootstrap.reverse_tunnel.downstream_socket_interface.v3"
                    ".DownstreamReverseConnectionSocketInterface",
                    "stat_prefix": "tunnels",
                },
            }
        ],
        "dynamic_resources": {"cds_config": _file("clusters.json"), "lds_config": _file("listeners.json")},
        "static_resources": {"clusters": [_applications()]},
    }


def _listener(identity: Identity, gateway: str) -> dict[str, Any]:
    address = f"rc://{identity.id}:{identity.connector}:causeway@{gateway}:{TUNNELS_PER_GATEWAY}"
    inner = {
        "@type": TLS + "DownstreamTlsContext",
        "require_client_certificate": True,
        "common_tls_context": {"alpn_protocols": ["h2"], **_identity("inner")},
    }
    return {
        "@type": TYPE + "envoy.config.listener.v3.Listener",
        "name": gateway,
        "listener_filters_timeout": "0s",
        "address": {
            "socket_address": {
                "address": address,
                "port_value": 0,
                "resolver_name": "envoy.resolvers.reverse_connection",
            }
        },
        "filter_chains": [
            {
                "transport_socket": {"name": "tls", "typed_config": inner},
                "filters": [{"name": "http", "typed_config": _connection_manager()}],
            }
        ],
    }


def _connection_manager() -> dict[str, Any]:
    strip = [
        *({"remove_on_match": {"key_matcher": {"prefix": prefix, "ignore_case": True}}} for prefix in ("x-causeway-", "x-envoy-")),
        {"remove": "proxy-authorization"},
    ]
    return {
        "@type": TYPE + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": LISTENER,
        "http2_protocol_options": HTTP2,
        "upgrade_configs": [{"upgrade_type": "CONNECT"}, {"upgrade_type": "websocket"}],
        "strip_trailing_host_dot": True,
        "stream_idle_timeout": "0s",
        "early_header_mutation_extensions": [
            {
                "name": "strip",
                "typed_config": {
                    "@type": TYPE + "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
                    "mutations": strip,
                },
            }
        ],
        "rds": {"route_config_name": NAME, "config_source": _file("routes.json")},
        "http_filters": [
            {"name": "port", "typed_config": _port_to_metadata()},
            {
                "name": SET_FILTER_STATE,
                "typed_config": {"@type": TYPE + "envoy.extensions.filters.http.set_filter_state.v3.Config"},
            },
            {
                "name": "dynamic_forward_proxy",
                "typed_config": {
                    "@type": TYPE + "envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig",
                    "dns_cache_config": _dns_cache(),
                    "save_upstream_address": True,
                    "allow_dynamic_host_from_filter_state": True,
                },
            },
            {"name": RBAC, "typed_config": _refuse_own_networks()},
            {
                "name": "router",
                "typed_config": {
                    "@type": TYPE + "envoy.extensions.filters.http.router.v3.Router",
                    "suppress_envoy_headers": True,
                },
            },
        ],
    }


def _port_to_metadata() -> dict[str, Any]:
    """Keep the authority's port where an origin without one can take it from (see edge.connector.routes)."""
    port = {"regex_value_rewrite": {"pattern": {"regex": ".+:([0-9]+)"}, "substitution": "\\1"}}
    rule = {"header": ":authority", "on_header_present": {**PORT, **port}}
    return {
        "@type": TYPE + "envoy.extensions.filters.http.header_to_metadata.v3.Config",
        "request_rules": [rule],
    }


def _refuse_own_networks() -> dict[str, Any]:
    matchers = []
    for text in OWN_NETWORKS:
        network = ipaddress.ip_network(text)
        matchers.append(
            {
                "matcher": {
                    "name": "envoy.rbac.matchers.upstream_ip_port",
                    "typed_config": {
                        "@type": TYPE + "envoy.extensions.rbac.matchers.upstream_ip_port.v3.UpstreamIpPortMatcher",
                        "upstream_ip": {"address_prefix": str(network.network_address), "prefix_len": network.prefixlen},
                    },
                }
            }
        )
    return {
        "@type": TYPE + "envoy.extensions.filters.http.rbac.v3.RBAC",
        "rules": {"action": "DENY", "policies": {"own-networks": {"permissions": matchers, "principals": [{"any": True}]}}},
    }


def _applications() -> dict[str, Any]:
    return {
        "name": NAME,
        "connect_timeout": "5s",
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {
            # The filter looks for just this name; under another it lets everything pass unresolved, unchecked.
            "name": "envoy.clusters.dynamic_forward_proxy",
            "typed_config": {
                "@type": TYPE + "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig",
                "dns_cache_config": _dns_cache(),
            },
        },
    }


def _dns_cache() -> dict[str, Any]:
    """The filter and the cluster find one another's cache by having the same configuration."""
    return {
        "name": "applications",
        "dns_lookup_family": "V4_PREFERRED",
        # The machine's own resolver, with its hosts file and search list.
        "typed_dns_resolver_config": {
            "name": "system",
            "typed_config": {
                "@type": TYPE + "envoy.extensions.network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig"
            },
        },
    }


def _gateway_cluster(gateway: dict[str, Any]) -> dict[str, Any]:
    outer = {"@type": TLS + "UpstreamTlsContext", "sni": GATEWAY_NAME, "common_tls_context": _identity("outer")}
    address = {"socket_address": {"address": gateway["host"], "port_value": gateway["port"]}}
    return {
        "@type": TYPE + "envoy.config.cluster.v3.Cluster",
        "name": gateway["id"],
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": gateway["id"],
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        "transport_socket": {"name": "tls", "typed_config": outer},
    }


def _identity(name: str) -> dict[str, Any]:
    """Show our certificate `name`; accept at the other end only what the CA calls a gateway."""
    return {
        "tls_certificate_sds_secret_configs": [{"name": name, "sds_config": _file(f"{name}.json")}],
        "validation_context": {
            "trusted_ca": {"filename": "../pki/ca.pem"},
            "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": GATEWAY_NAME}}],
        },
    }


def _certificate(name: str) -> dict[str, Any]:
    return {
        "@type": TLS + "Secret",
        "name": name,
        "tls_certificate": {
            "certificate_chain": {"filename": f"../pki/{name}.pem"},
            "private_key": {"filename": f"../pki/{name}.key"},
            # One rename of pki/current replaces key and certificate together (see edge.home).
            "watched_directory": {"path": "../pki"},
        },
    }


def _file(name: str) -> dict[str, Any]:
    # Envoy asks for a folder in the name of a file that it is to watch.
    return {"path_config_source": {"path": f"./{name}"}, "resource_api_version": "V3"}
