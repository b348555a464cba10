"""Envoy of a connector's server: dials every gateway, ends the users' flows at the applications.

What changes while it runs is read from files that Envoy watches (``routes.json``, ``clusters.json``,
``listeners.json``, and the certificates), so that no change of configuration breaks a flow.
"""

import hashlib
import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edge.envoy import halfclose, parts, proxied
from edge.envoy.failures import server_failures
from edge.envoy.parts import Config, typed
from edge.envoy.plain import Hop, early_mutation, last_hop, manager_options, to_application_options
from edge.envoy.routes import NAME, RBAC, SET_FILTER_STATE, route_configuration
from edge.home import Home, Identity
from edge.outbound.policy import tunnel_proxy
from edge.protocol.configuration import ServerConfiguration

TUNNELS_PER_GATEWAY = 2  # for each of Envoy's workers
# Prefix of the statistics of all tunnels together: http.reverse.downstream_cx_{rx,tx}_bytes_total count users' bytes.
STATISTICS = "reverse"
# A gateway that was taken off the list loses its tunnels after a second; by default it would be ten minutes.
ARGUMENTS = ("--drain-time-s", "1", "--drain-strategy", "immediate")
# Never dialled unless an application's origin says so: the machine itself, its neighbours, its cloud's metadata.
# The address is looked at after the name was resolved, so that a name that points there does not help.
OWN_NETWORKS = (
    *("127.0.0.0/8", "0.0.0.0/8", "169.254.0.0/16", "::/128", "::1/128", "fe80::/10"),
    *("::ffff:127.0.0.0/104", "::ffff:0.0.0.0/104", "::ffff:169.254.0.0/112"),
)
MANY_HOSTS = 65_536
_CLUSTER = {"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster"}
_LISTENER = {"@type": "type.googleapis.com/envoy.config.listener.v3.Listener"}
NAME_SERVERS: tuple[Config, ...] = ()  # addresses of name servers in place of the machine's own


@dataclass(frozen=True)
class Line:
    """Listener that dials one address of a gateway; a line with a higher number was made later."""

    gateway: str
    number: int
    host: str
    port: int

    @property
    def name(self) -> str:
        """Name of the listener, also in Envoy's statistics."""
        return f"{self.gateway}~{self.number}"

    @property
    def cluster(self) -> str:
        """Cluster that all lines to an address share: a new one would have to resolve its name before it dials."""
        address = hashlib.sha256(f"{self.host} {self.port}".encode()).hexdigest()
        return f"{self.gateway}~{address[:12]}"


def write_configuration(
    home: Home, configuration: ServerConfiguration, lines: Sequence[Line] | None = None
) -> None:
    """Write the files that Envoy watches, each by one rename.

    `lines`: one line to each gateway unless given.
    """
    if lines is None:
        lines = [Line(each.id, 0, each.host, each.port) for each in configuration.gateways]
    version = str(configuration.version)
    files = parts.secret_files(["outer", "inner"])
    # Several lines to one address have one way there.
    ways = {line.cluster: tunnel_proxy(line.host, line.port) for line in lines}
    proxies = [proxy for proxy in dict.fromkeys(ways.values()) if proxy is not None]
    for proxy in proxies:  # all gateways have the same one
        files[proxied.FILE] = proxied.secret_file(proxy)
    place = str(home.path)
    resources: dict[str, list[Config]] = {
        "routes.json": [route_configuration(configuration.applications, exact=halfclose.usable())],
        # Clusters first: a listener dials its cluster at once.
        "clusters.json": [
            *(_CLUSTER | proxied.cluster(proxy) for proxy in proxies),
            *{line.cluster: _gateway(line, place if ways[line.cluster] else "") for line in lines}.values(),
        ],
        "listeners.json": [
            *{
                line.cluster: _LISTENER | proxied.listener(place + line.cluster, line.host, line.port, found)
                for line in lines
                if (found := ways[line.cluster])
            }.values(),
            *(_listener(home.identity, line) for line in lines),
        ],
    }
    for name, value in resources.items():
        files[name] = json.dumps({"version_info": version, "resources": value}, indent=1).encode()
    for name, data in files.items():
        # A rename is an event for Envoy, which would read an unchanged file again.
        home.write_changed(f"envoy/{name}", data)


def bootstrap(identity: Identity) -> Config:
    """Return the part of the configuration that stays as long as the identity does."""
    interface = "reverse_tunnel.downstream_socket_interface"
    # Port ranges and networks make long expressions; they come from our own console.
    expressions = {"re2": {"max_program_size": {"error_level": 2**20, "warn_level": 2**20}}}
    exact = halfclose.usable()
    tunnels = typed(
        f"envoy.bootstrap.{interface}",
        f"bootstrap.{interface}.v3.DownstreamReverseConnectionSocketInterface",
        stat_prefix="tunnels",
    )
    return {
        "node": {"id": identity.id, "cluster": identity.connector},
        "admin": parts.admin(),
        "layered_runtime": {"layers": [parts.runtime(**expressions, **(halfclose.RUNTIME if exact else {}))]},
        "bootstrap_extensions": [tunnels, *([halfclose.internal_listeners()] if exact else [])],
        "dynamic_resources": {"cds_config": _file("clusters.json"), "lds_config": _file("listeners.json")},
        "static_resources": {
            "listeners": [halfclose.ends_listener()] if exact else [],
            "clusters": [
                _applications(NAME, **(halfclose.tells_resets() if exact else {})),
                *([_applications(halfclose.DIAL, **halfclose.dialled()), halfclose.ends()] if exact else []),
            ],
        },
    }


def _listener(identity: Identity, line: Line) -> Config:
    """Listener of a line: adding it dials at once, taking it away closes its tunnels, and no other line notices."""
    address = (
        f"rc://{identity.id}:{identity.connector}:causeway-{line.number}@{line.cluster}:{TUNNELS_PER_GATEWAY}"
    )
    resolver = {"resolver_name": "envoy.resolvers.reverse_connection"}
    tls = parts.server_tls("inner", alpn=["h2"], clients=True, names=[line.gateway])
    exact = [halfclose.streams()] if halfclose.usable() else []
    return {
        **_LISTENER,
        "name": line.name,
        "stat_prefix": line.name,
        "listener_filters_timeout": "0s",
        "address": {"socket_address": {"address": address, "port_value": 0, **resolver}},
        "filter_chains": [{"transport_socket": tls, "filters": [*exact, _connection_manager()]}],
    }


def _connection_manager() -> Config:
    options = manager_options(Hop.SERVER)
    # An idle tunnel stays; by default Envoy would close it after an hour.
    options["common_http_protocol_options"]["idle_timeout"] = "0s"
    # What the gateway and Envoy tell one another is none of the application's business.
    options["early_header_mutation_extensions"].append(early_mutation("strip", _stripped_headers()))
    return typed(
        "http",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=STATISTICS,
        http2_protocol_options=parts.http2_options(),
        upgrade_configs=[{"upgrade_type": "CONNECT"}, {"upgrade_type": "websocket"}],
        strip_trailing_host_dot=True,
        stream_idle_timeout="0s",
        request_timeout="0s",
        **options,
        local_reply_config=server_failures(),
        rds={"route_config_name": NAME, "config_source": _file("routes.json")},
        http_filters=[
            halfclose.keep_authority(),
            typed(SET_FILTER_STATE, "filters.http.set_filter_state.v3.Config"),
            typed(
                "dynamic_forward_proxy",
                "filters.http.dynamic_forward_proxy.v3.FilterConfig",
                dns_cache_config=_dns_cache(),
                save_upstream_address=True,
                allow_dynamic_host_from_filter_state=True,
            ),
            typed(RBAC, "filters.http.rbac.v3.RBAC", rules=_refuse_own_networks()),
            # A route switches the filter on when Envoy has the module.
            halfclose.go_on() | {"disabled": True},
            *([halfclose.answer("only_answer")] if halfclose.usable() else []),
            typed("router", "filters.http.router.v3.Router", suppress_envoy_headers=True),
        ],
    )


def _stripped_headers() -> list[Config]:
    prefixes = [{"prefix": prefix, "ignore_case": True} for prefix in ("x-causeway-", "x-envoy-")]
    return [
        *({"remove_on_match": {"key_matcher": prefix}} for prefix in prefixes),
        {"remove": "proxy-authorization"},
        {"remove": "x-connector"},
    ]


def _refuse_own_networks() -> Config:
    networks = [ipaddress.ip_network(text) for text in OWN_NETWORKS]
    permissions = [
        {
            "matcher": typed(
                "envoy.rbac.matchers.upstream_ip_port",
                "rbac.matchers.upstream_ip_port.v3.UpstreamIpPortMatcher",
                upstream_ip={"address_prefix": str(network.network_address), "prefix_len": network.prefixlen},
            )
        }
        for network in networks
    ]
    policy = {"permissions": permissions, "principals": [{"any": True}]}
    return {"action": "DENY", "policies": {"own-networks": policy}}


def _applications(name: str, **more: Any) -> Config:
    # The filter looks for just this name; under another name everything passes unresolved and unchecked.
    kind = typed(
        "envoy.clusters.dynamic_forward_proxy",
        "clusters.dynamic_forward_proxy.v3.ClusterConfig",
        dns_cache_config=_dns_cache(),
    )
    return {
        "name": name,
        **more,
        **halfclose.BUFFER,
        "connect_timeout": "5s",
        "lb_policy": "CLUSTER_PROVIDED",
        "circuit_breakers": parts.circuit_breakers(),
        "cluster_type": kind,
        "typed_extension_protocol_options": last_hop(
            Hop.SERVER, {"http_protocol_options": to_application_options()}
        ),
    }


def _dns_cache() -> Config:
    """Configuration of the cache of names; filter and cluster share one cache because both have the same."""
    return {
        "name": NAME,
        "dns_lookup_family": "V4_PREFERRED",
        "max_hosts": MANY_HOSTS,
        "dns_cache_circuit_breaker": {"max_pending_requests": parts.MANY},  # flows that wait for a name
        # A name is looked up again when its time to live is over (a name that was not found: the next time that it is
        # asked for), and forgotten when nobody has asked for it lately. A resolver that does not say how long an answer
        # lives, such as the C library's, would have each answer kept for a minute.
        "dns_min_refresh_rate": "1s",
        "dns_refresh_rate": "1s",
        "host_ttl": "1s",  # as long as a name is asked for more often, Envoy keeps its last address
        # By the machine's own hosts file, search list and name servers, which are read again when none answers.
        "typed_dns_resolver_config": typed(
            "envoy.network.dns_resolver.cares",
            "network.dns_resolver.cares.v3.CaresDnsResolverConfig",
            resolvers=list(NAME_SERVERS),
            reinit_channel_on_timeout=True,
        ),
    }


def _gateway(line: Line, proxied_in: str) -> Config:
    """Cluster of one address of a gateway. `proxied_in`: the home, if a listener leads there by a proxy; else empty."""
    dialled = proxied.place(proxied_in + line.cluster) if proxied_in else (line.host, line.port)
    cluster = parts.static_cluster(line.cluster, [parts.address(*dialled)])
    return {
        **_CLUSTER,
        **cluster,
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        # Only this gateway is trusted: a removed one still has its certificate, and could stand in for another.
        "transport_socket": parts.client_tls("outer", sni=parts.GATEWAY_NAME, names=[line.gateway]),
    }


def _file(name: str) -> Config:
    # Envoy watches a file only when the file's name has a folder in it.
    return {"path_config_source": {"path": f"./{name}"}, "resource_api_version": "V3"}
