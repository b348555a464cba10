"""Envoy of ``causeway connect``: a local HTTP proxy and port forwards, with the user's token.

The token and the gateways' CA lie in files that Envoy watches, so that a renewal touches no open connection.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from edge.access.pac import PATH as PAC_PATH
from edge.envoy import halfclose, parts, proxied
from edge.envoy.failures import PART_HEADER, client_failures
from edge.envoy.parts import Config, typed
from edge.envoy.plain import Hop, answer_options, manager_options
from edge.envoy.secrets import generic_secret, secret, taken, watched
from edge.outbound.policy import Proxy
from edge.protocol.codes import ANOTHER_GATEWAY_MAY, Code

TOKEN_FILE = "token.json"  # noqa: S105
CA_FILE = "ca.json"
PROXY_SOCKET = "proxy.sock"
PAC_SOCKET = "pac.sock"  # where the agent serves the PAC file (edge.client.pac)
REFUSALS_FILE = "refusals.log"
GATEWAYS, FORWARDS = "gateways", "gateways-of-forwards"
PAC = "pac"
# Keys under which a forward keeps the token that it shows, and the answer that it got
_TOKEN, _ANSWER = "causeway.token", "envoy.tcp_proxy.propagate_response_headers"
STATISTICS = "local"
NO_PROXIES: Mapping[str, Proxy] = {}
# Arguments for `EnvoyProcess`: a refusal is in its file within 0.5 s, not up to 10 s later.
ARGUMENTS = ("--file-flush-interval-msec", "500")
_DRAWS = 32
# When a tunnel is lost, a plain request may have reached its application and is not tried again; a CONNECT is.
_TRY_CONNECT_AT_THE_NEXT = (*ANOTHER_GATEWAY_MAY, Code.TUNNEL_LOST)


@dataclass(frozen=True)
class Forward:
    """Local port that leads to one destination: ``address:port`` here, ``host:target`` there."""

    address: str
    port: int
    host: str
    target: int


def token_file(token: str) -> bytes:
    """Return the file from which Envoy takes the value of ``Proxy-Authorization``."""
    return generic_secret("token", f"Bearer {token}")


def ca_file(ca: str) -> bytes:
    """Return the file from which Envoy takes the CA to trust. `ca`: PEM, one certificate or several."""
    return secret("ca", {"validation_context": {"trusted_ca": {"inline_string": ca}}})


def bootstrap(
    listen: tuple[str, int] | None,
    forwards: Sequence[Forward],
    gateways: Sequence[str],
    proxies: Mapping[str, Proxy] = NO_PROXIES,
    folder: str = "",
) -> Config:
    """Return the whole configuration of a client's Envoy.

    `listen`: where the HTTP proxy is; `gateways`: ``https://host:port``, the one to be preferred first; `proxies`: by
    which proxy a gateway is reached, if any, and `folder`: Envoy's own, which sets its listeners apart from others'.
    """
    places: list[Config] = [{"address": {"pipe": {"path": PROXY_SOCKET, "mode": 0o600}}}]
    if listen is not None:
        places.append({"address": parts.address(*listen)})
    exact = halfclose.usable()
    own = _own_routes(listen) if listen is not None else []
    listeners = [
        _proxy(f"proxy-{index}", place, own, len(gateways), exact=exact) for index, place in enumerate(places)
    ]
    return {
        "node": {"id": "connect", "cluster": "clients"},
        "admin": parts.admin(),
        # A flow that ended by a reset must not seem to have ended well (port forwards).
        "layered_runtime": {"layers": [parts.runtime(**(halfclose.RUNTIME if exact else halfclose.RESETS))]},
        "static_resources": {
            "listeners": [
                *listeners,
                *(_forward(forward, exact=exact) for forward in forwards),
                *(proxied.listener(folder + url, *_place(url), proxy) for url, proxy in proxies.items()),
            ],
            "clusters": [
                *(
                    _gateways(name, gateways, {url: folder + url for url in proxies})
                    for name in (GATEWAYS, FORWARDS)
                ),
                *(proxied.cluster(proxy) for proxy in set(proxies.values())),
                parts.static_cluster(PAC, [{"pipe": {"path": PAC_SOCKET}}]),
            ],
        },
    }


def _own_routes(listen: tuple[str, int]) -> list[Config]:
    """Routes of what the local proxy is asked for itself, under its own address: the PAC file."""
    address, port = listen
    names = (f"[{address}]" if ":" in address else address, "localhost")
    return [
        {
            "match": {
                "path": PAC_PATH,
                "headers": [{"name": ":authority", "string_match": {"exact": f"{name}:{port}"}}],
            },
            "route": {"cluster": PAC},
            "request_headers_to_remove": ["proxy-authorization"],
        }
        for name in names
    ]


def _proxy(name: str, place: Config, own: list[Config], gateways: int, *, exact: bool) -> Config:
    credential = typed(
        "envoy.http.injected_credentials.generic",
        "http.injected_credentials.generic.v3.Generic",
        credential={"name": "token", "sds_config": watched(TOKEN_FILE)},
        header="proxy-authorization",
    )
    routes = [
        *own,
        _route({"connect_matcher": {}}, _retry("reset", _TRY_CONNECT_AT_THE_NEXT, gateways)),
        _route({"prefix": "/"}, _retry("reset-before-request", ANOTHER_GATEWAY_MAY, gateways)),
    ]
    manager = typed(
        "http",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=STATISTICS,
        http2_protocol_options=parts.http2_options(),
        **manager_options(Hop.CLIENT),
        local_reply_config=client_failures(),
        upgrade_configs=[{"upgrade_type": "CONNECT"}, {"upgrade_type": "websocket"}],
        stream_idle_timeout="0s",
        request_timeout="0s",
        delayed_close_timeout="0s",
        access_log=[_refusals()],
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        http_filters=[
            *([halfclose.connect()] if exact else []),
            typed(
                "credential",
                "filters.http.credential_injector.v3.CredentialInjector",
                overwrite=True,
                credential=credential,
            ),
            typed("router", "filters.http.router.v3.Router", suppress_envoy_headers=True),
        ],
    )
    return {
        "name": name,
        **place,
        "filter_chains": [{"filters": [*([halfclose.front()] if exact else []), manager]}],
    }


def _route(match: Config, retry: Config) -> Config:
    route = {"cluster": GATEWAYS, "timeout": "0s", "idle_timeout": "0s", "retry_policy": retry}
    # This Envoy adds the header, which is none of an application's business.
    return {"match": match, "route": route, "request_headers_to_remove": ["x-forwarded-proto"]}


def _retry(retry_on: str, reasons: Sequence[str], gateways: int) -> Config:
    """Try at the next gateway what a vanished gateway left unanswered, or a gateway refused for one of `reasons`.

    Envoy takes a flow that its application resets for a fault of the gateway, and passes that gateway over. When no
    gateway is left, Envoy draws any gateway by lot: a draw that was tried already is drawn again.
    """
    next_gateway = typed(
        "previous_priorities",
        "retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
        update_frequency=1,
    )
    another = typed("previous_hosts", "retry.host.previous_hosts.v3.PreviousHostsPredicate")
    return {
        "retry_on": f"connect-failure,refused-stream,retriable-headers,{retry_on}",
        "retriable_headers": [
            {"name": parts.REASON_HEADER, "string_match": {"exact": reason}} for reason in reasons
        ],
        "num_retries": max(2, gateways - 1),
        "retry_priority": next_gateway,
        "retry_host_predicate": [another],
        "host_selection_retry_max_attempts": _DRAWS,
    }


def _refusals() -> Config:
    """Log a line for every error answer; its reader tells a gateway's refusals from applications' own errors."""
    threshold = {"default_value": 400, "runtime_key": "causeway.refusals"}
    return {
        **_log(
            status="%RESPONSE_CODE%",
            reason=f"%RESP({parts.REASON_HEADER})%",
            part=f"%RESP({PART_HEADER})%",
            host="%REQ(:AUTHORITY)%",
        ),
        "filter": {"status_code_filter": {"comparison": {"op": "GE", "value": threshold}}},
    }


def _log(**fields: str) -> Config:
    line = fields | {"flags": "%RESPONSE_FLAGS%", "gateway": "%UPSTREAM_HOST%"}
    message = "access_loggers.file.v3.FileAccessLog"
    return typed("file", message, path=REFUSALS_FILE, log_format={"json_format": line})


# -- Port forwards ----------------------------------------------------------------------------------------------------

# Pauses between tries, up to these and the later ones longer, let Envoy's threads learn which gateway to pass over.
_TRIES, _PAUSES = 6, {"base_interval": "0.1s", "max_interval": "0.8s"}


def _forward(forward: Forward, *, exact: bool) -> Config:
    """Listener that sends bytes straight into a stream to the gateway: each side may end its sending alone, as in TCP.

    An attempt that a gateway refused counts as a failed connection to that gateway: the next attempt goes to the next
    gateway, and so do new flows for a few seconds. Forwards therefore have a cluster of their own beside the proxy's.
    """
    host = f"[{forward.host}]" if ":" in forward.host else forward.host
    target = f"{host}:{forward.target}"
    value = {"key": "proxy-authorization", "value": f"%FILTER_STATE({_TOKEN}:PLAIN)%"}
    refused = {"response_flag_filter": {"flags": ["UF", "UH", "URX", "UT", "UC", "NC"]}}
    tunnel = typed(
        "tcp",
        "filters.network.tcp_proxy.v3.TcpProxy",
        stat_prefix="forward",
        cluster=FORWARDS,
        idle_timeout="0s",
        max_connect_attempts=_TRIES,
        backoff_options=_PAUSES,
        tunneling_config={
            "hostname": target,
            "headers_to_add": [{"header": value}],
            "propagate_response_headers": True,
        },
        access_log=[_log(host=target, answer=f"%FILTER_STATE({_ANSWER}:TYPED)%") | {"filter": refused}],
    )
    return {
        "name": f"forward-{forward.address}-{forward.port}",
        "address": parts.address(forward.address, forward.port),
        "filter_chains": [
            {
                "filters": [
                    *([halfclose.forward()] if exact else []),
                    taken("token", TOKEN_FILE, _TOKEN),
                    tunnel,
                ]
            }
        ],
    }


# -- Gateways ---------------------------------------------------------------------------------------------------------


def _place(url: str) -> tuple[str, int]:
    return urlsplit(url).hostname or "", urlsplit(url).port or 443


def _gateways(name: str, gateways: Sequence[str], listeners: Mapping[str, str]) -> Config:
    """Cluster of all gateways. `listeners`: gateway → key of the listener by which a proxy leads there."""
    hosts = [_place(url) for url in gateways]
    dialled = [
        proxied.place(listeners[url]) if url in listeners else host
        for url, host in zip(gateways, hosts, strict=True)
    ]
    sans = [
        {"san_type": "IP_ADDRESS" if _is_address(host) else "DNS", "matcher": {"exact": host}}
        for host, _ in hosts
    ]
    validation = {
        "default_validation_context": {"match_typed_subject_alt_names": sans},
        "validation_context_sds_secret_config": {"name": "ca", "sds_config": watched(CA_FILE)},
    }
    tls = typed(
        "envoy.transport_sockets.tls",
        "transport_sockets.tls.v3.UpstreamTlsContext",
        auto_host_sni=True,
        common_tls_context={
            "alpn_protocols": ["h2"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "combined_validation_context": validation,
        },
    )
    cluster = parts.static_cluster(name, [])
    # One priority for each gateway: all flows go by the first gateway that is up, and share its connection.
    cluster["load_assignment"]["endpoints"] = [
        {"priority": place, "lb_endpoints": [{"endpoint": _endpoint(host, to)}]}
        for place, ((host, _), to) in enumerate(zip(hosts, dialled, strict=True))
    ]
    return {
        **cluster,
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "typed_extension_protocol_options": parts.http_protocol_options(
            {"http2_protocol_options": {**parts.http2_options(), "connection_keepalive": _KEEPALIVE}},
            common_http_protocol_options=answer_options(Hop.CLIENT),
        ),
        "transport_socket": tls,
        "outlier_detection": _OUTLIERS,
        # A gateway is passed over at once; by default Envoy collects such news for a second.
        "common_lb_config": {"update_merge_window": "0s"},
        "health_checks": [_HEALTH_CHECK],
    }


# A gateway that hangs is noticed by pings on the connection in use, at the latest when something is wanted of it.
_KEEPALIVE = {"interval": "5s", "timeout": "4s", "connection_idle_interval": "4s"}
# A gateway that cannot be connected to is passed over at once and tried again after a while.
_OUTLIERS = {
    "split_external_local_origin_errors": True,
    "consecutive_local_origin_failure": 1,
    "enforcing_consecutive_local_origin_failure": 100,
    "enforcing_local_origin_success_rate": 0,
    "enforcing_success_rate": 0,
    "enforcing_consecutive_5xx": 0,
    "enforcing_consecutive_gateway_failure": 0,
    "interval": "1s",
    "base_ejection_time": "5s",
    "max_ejection_time": "30s",
    "max_ejection_percent": 100,
}
# The check is a TCP handshake, seldom while all is well, for there are many clients.
_HEALTH_CHECK = {
    "timeout": "3s",
    "interval": "60s",
    "interval_jitter_percent": 30,
    "no_traffic_interval": "60s",
    "unhealthy_interval": "5s",
    "no_traffic_healthy_interval": "60s",
    "unhealthy_threshold": 1,
    "healthy_threshold": 1,
    "tcp_health_check": {},
}


def _endpoint(host: str, dialled: tuple[str, int]) -> Config:
    return {"address": parts.address(*dialled), "hostname": "" if _is_address(host) else host}


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
