"""Envoy's configuration as the console's front: TLS, deadlines, limits, and each lane to its own process.

What a client can make the front keep is bounded: in time (deadlines of the handshake, of headers, of bodies and of
idle connections), in size (bodies by path, headers, memory in all) and in number (connections, requests by address).
"""

from __future__ import annotations

from dataclasses import dataclass

from console.front.lanes import (
    LANES,
    LOGONS,
    PAGES,
    PASSWORDS,
    PASSWORDS_UNSIGNED,
    SPARE_THREADS,
    UPLOAD_LARGEST,
    UPLOAD_PACE,
    UPLOADS,
    Lane,
    Pace,
)
from console.front.words import local_replies
from edge.envoy.halfclose import callers
from edge.envoy.parts import (
    MANY,
    Config,
    address,
    admin,
    http_protocol_options,
    keepalive_options,
    runtime,
    secured,
    typed,
)

SECRET_FILE = "secret.json"  # noqa: S105 (a name)
SECRET = "console"  # noqa: S105 (a name)
HEADERS_SECONDS, BODY_SECONDS, IDLE_SECONDS = 10, 120, 30
# Longest silence of a request: a gateway's long poll is silent for 25 s, and a page may take its time.
SILENT_SECONDS = 60
CONNECTIONS = 10_000
HEAP_BYTES = 256 * 2**20
ADDRESSES = 20_000  # whose pace is remembered
# Headers by which a client could say who it is, or give orders to Envoy; only the front says such things.
CLAIMS = (
    "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-forwarded-client-cert",
    "forwarded", "x-real-ip", "x-request-id", "x-envoy-internal", "x-envoy-external-address", "proxy",
)  # fmt: skip


@dataclass(frozen=True)
class Front:
    """What the front is told. ``tls``: whether the certificate lies in ``secret.json``.

    ``per_address``: connections that one address may have open; None where Envoy cannot count them.
    """

    host: str
    port: int
    tls: bool
    per_address: int | None
    connections: int = CONNECTIONS


def bootstrap(front: Front) -> Config:
    """Return Envoy's whole configuration; each process of the console listens on ``<process>.sock`` beside it."""
    return {
        "node": {"id": "console", "cluster": "front"},
        "admin": admin(),
        # A connection that opens requests and resets them is closed: here nobody has a reason to.
        "layered_runtime": {"layers": [runtime(**{"overload.premature_reset_total_stream_count": 500})]},
        "overload_manager": _overload(front.connections),
        "static_resources": {"listeners": [_listener(front)], "clusters": [_cluster(lane) for lane in LANES]},
    }


def _overload(connections: int) -> Config:
    """Refuse connections beyond a number; with little memory left, end the costliest requests and take no others."""
    heap = "envoy.resource_monitors.fixed_heap"

    def beyond(share: float) -> list[Config]:
        return [{"name": heap, "threshold": {"value": share}}]

    reset = {"name": heap, "scaled": {"scaling_threshold": 0.8, "saturation_threshold": 0.95}}
    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [
            typed(
                "envoy.resource_monitors.global_downstream_max_connections",
                "resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                max_active_downstream_connections=connections,
            ),
            typed(heap, "resource_monitors.fixed_heap.v3.FixedHeapConfig", max_heap_size_bytes=HEAP_BYTES),
        ],
        "buffer_factory_config": {"minimum_account_to_track_power_of_two": 20},
        "actions": [
            {"name": "envoy.overload_actions.shrink_heap", "triggers": beyond(0.8)},
            {"name": "envoy.overload_actions.reset_high_memory_stream", "triggers": [reset]},
            {"name": "envoy.overload_actions.stop_accepting_requests", "triggers": beyond(0.95)},
        ],
    }


# -- Where clients arrive ---------------------------------------------------------------------------------------------


def _listener(front: Front) -> Config:
    counted = [] if front.per_address is None else [callers(front.per_address)]
    chain: Config = {"filters": [*counted, _http()]}
    if front.tls:
        chain |= secured(_tls())
    return {
        "name": "front",
        "address": address(front.host, front.port),
        "per_connection_buffer_limit_bytes": 32_768,
        "tcp_backlog_size": 4096,
        # Of two consoles at one port, the second one fails, and does not take a part of the first one's connections.
        "enable_reuse_port": False,
        "socket_options": keepalive_options(),
        "filter_chains": [chain],
    }


def _tls() -> Config:
    """TLS by the certificate in ``secret.json``, which Envoy reads again when the file is replaced."""
    source = {"path_config_source": {"path": f"./{SECRET_FILE}"}, "resource_api_version": "V3"}
    return typed(
        "envoy.transport_sockets.tls",
        "transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context={
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_certificate_sds_secret_configs": [{"name": SECRET, "sds_config": source}],
        },
    )


def _http() -> Config:
    return typed(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="front",
        **_deadlines(),
        **_origin(),
        server_header_transformation="PASS_THROUGH",
        max_request_headers_kb=32,
        normalize_path=True,
        path_with_escaped_slashes_action="REJECT_REQUEST",
        http_protocol_options={"accept_http_10": True},
        http2_protocol_options={
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 262_144,
            "initial_connection_window_size": 1_048_576,
            "connection_keepalive": {"interval": "30s", "timeout": "10s"},
            "override_stream_error_on_invalid_http_message": True,
        },
        route_config={"virtual_hosts": [_virtual_host()]},
        local_reply_config=local_replies(),
        http_filters=[
            typed(
                "envoy.filters.http.local_ratelimit",
                "filters.http.local_ratelimit.v3.LocalRateLimit",
                stat_prefix="front",
            ),
            typed("envoy.filters.http.buffer", "filters.http.buffer.v3.Buffer", max_request_bytes=PAGES.largest),
            typed("envoy.filters.http.router", "filters.http.router.v3.Router", suppress_envoy_headers=True),
        ],
    )  # fmt: skip


def _deadlines() -> Config:
    return {
        "common_http_protocol_options": {
            "idle_timeout": f"{IDLE_SECONDS}s",
            "max_headers_count": 100,
            # By WSGI, X_Forwarded_For and X-Forwarded-For are one header.
            "headers_with_underscores_action": "DROP_HEADER",
        },
        "request_headers_timeout": f"{HEADERS_SECONDS}s",
        "request_timeout": f"{BODY_SECONDS}s",
        "stream_idle_timeout": f"{SILENT_SECONDS}s",
    }


def _origin() -> Config:
    """Have the console told the address and scheme of the connection, and nothing that a client claims of them."""
    removed = [{"remove": name} for name in CLAIMS]
    return {
        "use_remote_address": True,
        # Of a client at 127.0.0.1 Envoy writes its machine's own address; the virtual host writes the client's.
        "skip_xff_append": True,
        "internal_address_config": {"unix_sockets": False},
        "early_header_mutation_extensions": [
            typed(
                "envoy.http.early_header_mutation.header_mutation",
                "http.early_header_mutation.header_mutation.v3.HeaderMutation",
                mutations=removed,
            )
        ],
    }


# -- Where requests go ------------------------------------------------------------------------------------------------


def _virtual_host() -> Config:
    client = {"key": "x-forwarded-for", "value": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"}
    return {
        "name": "all",
        "domains": ["*"],
        "routes": _routes(),
        "request_headers_to_add": [{"header": client, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
    }


def _routes() -> list[Config]:
    lanes = [_route(lane, lane.path, lane.largest, lane.pace, lane.unsigned) for lane in LANES]
    passwords = _route(LOGONS, PASSWORDS, LOGONS.largest, LOGONS.pace, PASSWORDS_UNSIGNED)
    uploads = _route(PAGES, UPLOADS, UPLOAD_LARGEST, UPLOAD_PACE, None, methods=("POST",))
    return [passwords, *lanes[:-1], uploads, lanes[-1]]


def _route(
    lane: Lane, path: str, largest: int, pace: Pace, unsigned: Pace | None, *, methods: tuple[str, ...] = ()
) -> Config:
    headers = [{"name": ":method", "string_match": {"exact": method}} for method in methods]
    return {
        "match": {"safe_regex": {"regex": path}, "headers": headers},
        "route": {"cluster": lane.name, "timeout": f"{SILENT_SECONDS}s"},
        "typed_per_filter_config": {
            "envoy.filters.http.buffer": typed(
                "buffer", "filters.http.buffer.v3.BufferPerRoute", buffer={"max_request_bytes": largest}
            )["typed_config"],
            "envoy.filters.http.local_ratelimit": _paces(lane, pace, unsigned),
        },
    }


def _paces(lane: Lane, pace: Pace, unsigned: Pace | None) -> Config:
    """Hold each address to the pace of a lane, and to a slower one for calls that no machine has signed."""
    by_address: Config = {"masked_remote_address": {"v4_prefix_mask_len": 32, "v6_prefix_mask_len": 64}}
    held: list[tuple[list[Config], list[Config], Pace]] = [
        ([by_address], [{"key": "masked_remote_address"}], pace)
    ]
    if unsigned is not None:
        header = {"name": "authorization", "present_match": True, "invert_match": True}
        without: Config = {"header_value_match": {"descriptor_value": "unsigned", "headers": [header]}}
        entries = [{"key": "header_match", "value": "unsigned"}, {"key": "masked_remote_address"}]
        held.append(([without, by_address], entries, unsigned))
    return typed(
        "local_ratelimit",
        "filters.http.local_ratelimit.v3.LocalRateLimit",
        stat_prefix=lane.name,
        # Machines and log-ons are told by 503 to come again, as by the console itself.
        status={"code": 429 if lane.process == PAGES.process else 503},
        filter_enabled=_always("front.paced"),
        filter_enforced=_always("front.held"),
        token_bucket=_bucket(Pace(1_000_000, 1_000_000)),
        always_consume_default_token_bucket=False,
        max_dynamic_descriptors=ADDRESSES,
        rate_limits=[{"actions": actions} for actions, _, _ in held],
        descriptors=[{"entries": entries, "token_bucket": _bucket(each)} for _, entries, each in held],
    )["typed_config"]


def _always(key: str) -> Config:
    return {"runtime_key": key, "default_value": {"numerator": 100, "denominator": "HUNDRED"}}


def _bucket(pace: Pace) -> Config:
    return {"max_tokens": pace.burst, "tokens_per_fill": pace.per_second, "fill_interval": "1s"}


def _cluster(lane: Lane) -> Config:
    """Way to the process of a lane: as many calls as the lane has seats; some wait, others get 503 at once."""
    limits = {
        # Without a queue, whoever finds no seat is told so by the console.
        "max_connections": lane.seats + (0 if lane.queue else SPARE_THREADS),
        "max_requests": MANY,
        # Also pending is a request for which a connection is opened.
        "max_pending_requests": lane.seats + lane.queue,
    }
    pipe = {"endpoint": {"address": {"pipe": {"path": f"{lane.process}.sock"}}}}
    return {
        "name": lane.name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {"cluster_name": lane.name, "endpoints": [{"lb_endpoints": [pipe]}]},
        "typed_extension_protocol_options": http_protocol_options(
            {"http_protocol_options": {}}, common_http_protocol_options={"idle_timeout": "20s"}
        ),
    }
