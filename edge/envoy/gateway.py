"""Envoy's configuration on a gateway: tunnels come in on one port, clients on the other.

The way of a flow: access listener → its address's pace → ext_authz (the agent decides, fail closed) → ext_proc (the
agent holds one stream a flow to cut the flow by, fail open) → its account's bandwidth → the route that the decision
named → reverse tunnel, or the gateway itself dials. Where Envoy has the module, a flow ends byte for byte on either
way (edge.envoy.halfclose).
"""

from typing import Any

from edge.envoy import halfclose, parts
from edge.envoy.agent import access_log, agent_cluster, agent_service, authorization, flow_control
from edge.envoy.bandwidth import BANDWIDTH_HEADER, SLOTS, UPLOAD_HEADER, bandwidth_filter
from edge.envoy.failures import OWN_HEADERS, gateway_failures
from edge.envoy.pace import ADDRESS_FLOWS, pace_filter
from edge.envoy.parts import NAME_HEADER, REASON_HEADER, ROUTE_HEADER, Config, typed
from edge.envoy.plain import Hop, answer_options, last_hop, last_hop_options, manager_options
from edge.protocol.codes import Code
from edge.protocol.configuration import Gateway

PATH_HEADER = "x-causeway-path"  # "cloud" or "connector", set by the decision
INTERNAL_HEADERS = (PATH_HEADER, ROUTE_HEADER, NAME_HEADER, BANDWIDTH_HEADER, UPLOAD_HEADER)
# Headers by which a second try goes the same way: what a filter takes off stays off. The server takes them off.
WAY_HEADERS = (ROUTE_HEADER, NAME_HEADER)
# Headers that concern this hop alone, or that Envoy adds by itself: no application should see them.
HOP_HEADERS = ("proxy-authorization", "proxy-connection", "x-forwarded-proto", "x-envoy-external-address")
TUNNELS = "tunnels"  # prefix of the statistics about tunnels
CLOUD = "cloud"  # the cluster that the gateway itself dials by
MAX_CONNECTIONS = 50_000


def bootstrap(gateway: Gateway, *, slots: int = SLOTS, flows: int = ADDRESS_FLOWS) -> Config:
    """Return Envoy's whole configuration; no part depends on policies, so that a change of policies never touches it.

    ``flows``: how many flows an address may open in a second.
    """
    exact = halfclose.usable()
    values = parts.runtime(**(halfclose.RUNTIME if exact else {}))
    return {
        "node": {"id": gateway.id, "cluster": "gateway"},
        "admin": parts.admin(),
        "bootstrap_extensions": [_tunnel_sockets(), *([halfclose.internal_listeners()] if exact else [])],
        # What the admin socket sets holds as long as this process lives (edge.gateway.bandwidth)
        "layered_runtime": {"layers": [values, {"name": "caps", "admin_layer": {}}]},
        "overload_manager": {"resource_monitors": [_connection_limit()]},
        "static_resources": {
            "listeners": [
                _tunnel_listener(gateway),
                _access_listener(gateway, slots, flows, exact=exact),
                *([halfclose.ends_listener()] if exact else []),
            ],
            "clusters": [
                agent_cluster(),
                _reverse_cluster(),
                _cloud_cluster(CLOUD, **(halfclose.tells_resets() if exact else {})),
                *([_cloud_cluster(halfclose.DIAL, **halfclose.dialled()), halfclose.ends()] if exact else []),
            ],
        },
    }


def _tunnel_sockets() -> Config:
    return typed(
        "envoy.bootstrap.reverse_tunnel.upstream_socket_interface",
        "bootstrap.reverse_tunnel.upstream_socket_interface.v3.UpstreamReverseConnectionSocketInterface",
        stat_prefix=TUNNELS,
        enable_detailed_stats=True,
    )


def _connection_limit() -> Config:
    return typed(
        "envoy.resource_monitors.global_downstream_max_connections",
        "resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        max_active_downstream_connections=MAX_CONNECTIONS,
    )


# -- Tunnels ----------------------------------------------------------------------------------------------------------


def _tunnel_listener(gateway: Gateway) -> Config:
    """Listener where servers arrive. Certificate and handshake must agree: node = server, cluster = connector."""
    admission = typed(
        "envoy.filters.network.ext_authz",
        "filters.network.ext_authz.v3.ExtAuthz",
        stat_prefix="tunnel_admission",
        transport_api_version="V3",
        include_peer_certificate=True,
        grpc_service=agent_service("5s"),
    )
    handshake = typed(
        "envoy.filters.network.reverse_tunnel",
        "filters.network.reverse_tunnel.v3.ReverseTunnel",
        ping_interval="2s",
        validation={
            "node_id_format": "%DOWNSTREAM_PEER_DNS_SAN%",
            "cluster_id_format": "%DOWNSTREAM_PEER_URI_SAN%",
        },
    )
    tls = parts.secured(parts.server_tls("tunnel", clients=True))
    chain = tls | {"filters": [admission, handshake]}
    return {
        "name": "tunnels",
        "address": parts.address(gateway.listen, gateway.tunnel_port),
        "socket_options": parts.keepalive_options(),
        "filter_chains": [chain],
    }


def _reverse_cluster() -> Config:
    """Cluster of the tunnels' other side. TLS inside the tunnel, to the connector's own name, keeps the bytes secret:
    the outer TLS of a reverse tunnel covers the handshake only."""
    removed = [{"remove": name} for name in INTERNAL_HEADERS if name not in WAY_HEADERS]
    strip = typed(
        "envoy.filters.http.header_mutation",
        "filters.http.header_mutation.v3.HeaderMutation",
        mutations={"request_mutations": removed},
    )
    codec = typed("envoy.filters.http.upstream_codec", "filters.http.upstream_codec.v3.UpstreamCodec")
    options = parts.http_protocol_options(
        {
            "http2_protocol_options": {
                **parts.http2_options(),
                # A peer that vanished without a word is noticed within seconds: its flows end, new flows go elsewhere.
                "connection_keepalive": {"interval": "5s", "timeout": "3s"},
            }
        },
        # An idle tunnel stays; by default Envoy would close it after an hour.
        common_http_protocol_options=answer_options(Hop.GATEWAY) | {"idle_timeout": "0s"},
        upstream_http_protocol_options={
            "auto_sni": True,
            "auto_san_validation": True,
            "override_auto_sni_header": NAME_HEADER,
        },
        http_filters=[strip, codec],
    )
    return {
        "name": "reverse",
        "connect_timeout": "5s",
        "lb_policy": "CLUSTER_PROVIDED",
        "circuit_breakers": parts.circuit_breakers(),
        "cluster_type": typed(
            "envoy.clusters.reverse_connection",
            "clusters.reverse_connection.v3.ReverseConnectionClusterConfig",
            cleanup_interval="60s",
            host_id_format=f"%REQ({ROUTE_HEADER})%",
        ),
        "typed_extension_protocol_options": options,
        "transport_socket": parts.client_tls("tunnel", alpn=["h2"], sni="unused"),
    }


# -- The cloud path ---------------------------------------------------------------------------------------------------

_DNS_CACHE: Config = {
    "name": "cloud",
    "dns_lookup_family": "V4_PREFERRED",
    "max_hosts": 65536,
    # Flows that wait for a name, by default 1,024
    "dns_cache_circuit_breaker": {"max_pending_requests": parts.MANY},
}


def _cloud_cluster(name: str, **more: Any) -> Config:
    return {
        "name": name,
        **more,
        **halfclose.BUFFER,
        "connect_timeout": "5s",
        "lb_policy": "CLUSTER_PROVIDED",
        "circuit_breakers": parts.circuit_breakers(),
        "cluster_type": typed(
            "envoy.clusters.dynamic_forward_proxy",
            "clusters.dynamic_forward_proxy.v3.ClusterConfig",
            dns_cache_config=_DNS_CACHE,
        ),
        "typed_extension_protocol_options": last_hop(
            Hop.GATEWAY, {"http_protocol_options": last_hop_options()}
        ),
    }


# -- Clients ----------------------------------------------------------------------------------------------------------


# The limits bound what a gateway keeps for a client that reads nothing: a reset for each of its streams and some more,
# and as many frames as fill the connection's buffer of 1 MiB.
_CLIENT_LIMITS: Config = {
    # A request that is no HTTP ends its own flow; by itself Envoy would end the connection with all the others.
    "override_stream_error_on_invalid_http_message": True,
    "max_concurrent_streams": 10_000,
    "max_outbound_control_frames": 20_000,
    "max_outbound_frames": 200_000,
}


def _access_listener(gateway: Gateway, slots: int, flows: int, *, exact: bool) -> Config:
    tls = parts.server_tls("access", alpn=["h2", "http/1.1"])
    filters = [*([halfclose.front()] if exact else []), _http(slots, flows, exact=exact)]
    return {
        "name": "access",
        "address": parts.address(gateway.listen, gateway.client_port),
        # A client is one long connection: by chance, several fast clients would share a thread beside an idle thread.
        "connection_balance_config": {"exact_balance": {}},
        # The limit is also the size of the pieces in which what a client sends is held to its account's bandwidth.
        "per_connection_buffer_limit_bytes": 65_536,
        "tcp_backlog_size": 4096,  # beyond it (else 128) a client's first packet is dropped and sent again
        "socket_options": parts.keepalive_options(),
        "filter_chains": [parts.secured(tls) | {"filters": filters}],
    }


def _http(slots: int, flows: int, *, exact: bool) -> Config:
    return typed(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="access",
        delayed_close_timeout="0s",  # closed as soon as all is written, however slowly the client reads
        request_headers_timeout="10s",
        stream_idle_timeout="0s",  # an idle ssh session is no fault
        use_remote_address=True,
        skip_xff_append=True,
        **manager_options(Hop.GATEWAY),
        http2_protocol_options=parts.http2_options() | _CLIENT_LIMITS,
        upgrade_configs=[{"upgrade_type": "CONNECT"}, {"upgrade_type": "websocket"}],
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": _routes(exact=exact)}]},
        local_reply_config=gateway_failures(),
        access_log=[access_log()],
        access_log_options={
            "access_log_flush_interval": "2s",
            "flush_log_on_tunnel_successfully_established": True,
        },
        http_filters=[
            *([halfclose.connect()] if exact else []),
            pace_filter(flows),
            authorization(),
            flow_control(),
            # What a client sends is held before what it gets: the module's filter sees answers after Envoy's bucket.
            *([halfclose.upload()] if exact else []),
            bandwidth_filter(slots, uploads=not exact),
            halfclose.keep_authority(),
            typed(
                "envoy.filters.http.dynamic_forward_proxy",
                "filters.http.dynamic_forward_proxy.v3.FilterConfig",
                dns_cache_config=_DNS_CACHE,
            ),
            *([_go_on(), halfclose.answer()] if exact else []),
            typed("envoy.filters.http.router", "filters.http.router.v3.Router", suppress_envoy_headers=True),
        ],
    )


def _go_on() -> Config:
    """HTTP filter by which a CONNECT that this gateway dials goes on, once resolved, to the internal listener."""

    def header(name: str, value: str) -> Config:
        kind = parts.TYPES + "envoy.type.matcher.v3.HttpRequestHeaderMatchInput"
        field = {"name": name, "typed_config": {"@type": kind, "header_name": name}}
        return {"single_predicate": {"input": field, "value_match": {"exact": value}}}

    wanted = [header(":method", "CONNECT"), header(PATH_HEADER, "cloud")]
    filter_ = halfclose.go_on()
    action = typed(
        "go_on",
        "filters.http.composite.v3.ExecuteFilterAction",
        typed_config={"name": filter_["name"], "typed_config": filter_["typed_config"]},
    )
    matcher = {"predicate": {"and_matcher": {"predicate": wanted}}, "on_match": {"action": action}}
    return typed(
        "go_on",
        "common.matching.v3.ExtensionWithMatcher",
        extension_config=typed("composite", "filters.http.composite.v3.Composite"),
        xds_matcher={"matcher_list": {"matchers": [matcher]}},
    )


def _routes(*, exact: bool) -> list[Config]:
    """Routes by the header that the decision set; without the header nothing passes, whatever else goes wrong."""

    def by(path: str) -> Config:
        return {"headers": [{"name": PATH_HEADER, "string_match": {"exact": path}}]}

    dial = {"upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}]}
    retry = {
        # A tunnel may die in the moment a flow is given to it: another tunnel of the connector takes over. A server may
        # not know yet of an application that was allowed a moment ago: the server hears of it within a second or two.
        "retry_on": "connect-failure,refused-stream,reset-before-request,retriable-headers",
        "retriable_headers": [{"name": REASON_HEADER, "string_match": {"exact": Code.NOT_SERVED}}],
        "rate_limited_retry_back_off": {"reset_headers": [{"name": "retry-after", "format": "SECONDS"}]},
        "num_retries": 3,
    }
    cloud = {"cluster": "cloud", "timeout": "0s"}
    # What an application says under these names would be taken for a gateway's word.
    own = {"response_headers_to_remove": [*OWN_HEADERS]}
    once = {"cluster": "reverse", "timeout": "0s"}
    reverse = once | {"retry_policy": retry}
    # A held flow has no second attempt: Envoy would keep what was sent in one buffer with what waits for its bandwidth,
    # and send both.
    held = [*by("connector")["headers"], {"name": UPLOAD_HEADER, "present_match": True}]
    hop, inner = {"request_headers_to_remove": [*HOP_HEADERS]}, [*HOP_HEADERS, *INTERNAL_HEADERS]
    refused = {"status": 403, "body": {"inline_string": "The gateway found no way for this request.\n"}}
    connect: Config = {"connect_matcher": {}}
    checked = connect | by("cloud") | halfclose.is_checked()
    at_ends = {"match": checked, "route": cloud | dial | {"cluster": halfclose.ENDS}}
    return [
        *([at_ends | {"request_headers_to_remove": inner}] if exact else []),
        {"match": connect | by("cloud"), "route": cloud | dial, "request_headers_to_remove": inner},
        {"match": {"prefix": "/"} | by("cloud"), "route": cloud, "request_headers_to_remove": inner} | own,
        {"match": connect | by("connector"), "route": reverse} | hop,
        *([{"match": {"prefix": "/", "headers": held}, "route": once} | hop] if exact else []),
        {"match": {"prefix": "/"} | by("connector"), "route": reverse} | hop,
        {"match": connect, "direct_response": refused},
        {"match": {"prefix": "/"}, "direct_response": refused},
    ]
