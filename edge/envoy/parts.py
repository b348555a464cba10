"""Pieces of Envoy configuration that gateway, connector and client share.

Paths are relative to Envoy's working directory, because the path of a unix socket may have no more than 108 characters.
"""

import json
import socket
from collections.abc import Iterable
from typing import Any

from edge.protocol.codes import Code

Config = dict[str, Any]

GATEWAY_NAME = "gateway.causeway.internal"
PKI = "../pki"  # a home's keys and certificates, seen from Envoy's folder beside it
# A tunnel belongs to one of a gateway's worker threads, and a flow can only use a tunnel of the worker that its
# client's connection fell to: seen with one tunnel and two workers, every second flow got 503. Envoy spreads a
# server's tunnels evenly over the workers, so a server keeps at least one a worker; with two, the loss of one is
# not felt.
GATEWAY_WORKERS = 2
# A connection that never begins TLS would otherwise stay for as long as its client likes.
HANDSHAKE_TIMEOUT = "10s"
MANY = 1_000_000  # in place of Envoy's default limits of 1,024 connections and requests a cluster

REASON_HEADER = "x-causeway-reason"
ROUTE_HEADER = "x-causeway-connector"  # which connector (or which one of its servers) carries the flow
# Whose certificate must be at the other end of the tunnel: the connector's id
NAME_HEADER = "x-causeway-inner"
# Headers by which a server refuses what is not among its applications; the gateway tries again after so many seconds.
NOT_SERVED = ((REASON_HEADER, Code.NOT_SERVED), ("retry-after", "1"))

TYPES = "type.googleapis.com/"
_EXTENSIONS = f"{TYPES}envoy.extensions."


def typed(name: str, message: str, **fields: Any) -> Config:
    """Extension of Envoy: its `name`, and its `message` below ``envoy.extensions.`` with `fields`."""
    return {"name": name, "typed_config": {"@type": _EXTENSIONS + message, **fields}}


def admin() -> Config:
    return {"address": {"pipe": {"path": "admin.sock", "mode": 0o600}}}


def runtime(**more: Any) -> Config:
    """Fixed layer of ``layered_runtime``: a crowd of short flows must never cost a connection that others share.

    A flow that its client ends first is a reset stream. nghttp2 closes a connection after 1,000 resets and 33 a second
    beyond, and Envoy one on which half of 500 streams were reset before their answer, tunnels included. An address or
    account that opens too many flows is held back before that (edge.envoy.gateway, edge.gateway.pace).
    """
    values = {
        "envoy.reloadable_features.http2_use_oghttp2": True,
        "overload.premature_reset_total_stream_count": 1_000_000_000,
    }
    return {"name": "own", "static_layer": values | more}


def http2_options() -> Config:
    """Options of HTTP/2 in the data plane: CONNECT, windows for fast long lines, and no limit that would stop a tunnel.

    A reverse tunnel cannot be multiplied by dialling again, so one connection must be allowed any number of streams.
    Nor may slow streams hold up the others: what a flow that is held to its bandwidth has not taken yet counts against
    the connection's window, so that this window must be out of reach. Each stream's own window bounds its memory.

    A limit of frames ends the whole connection when it is reached. As many resets as flows may wait to be sent, when an
    application or a cut ends all flows at once, and as many other frames as fit into the connection's buffer, when
    small pieces are sent to a client that sleeps.
    """
    return {
        "allow_connect": True,
        "max_outbound_frames": MANY,
        "max_outbound_control_frames": MANY,
        "max_inbound_window_update_frames_per_data_frame_sent": 100,  # for clients that report each small read
        "max_consecutive_inbound_frames_with_empty_payload": 100,  # for clients that write nothing at times
        "max_concurrent_streams": 2_147_483_647,
        "initial_stream_window_size": 1_048_576,
        "initial_connection_window_size": 2_147_483_647,
    }


def http_protocol_options(explicit: Config, **fields: Any) -> Config:
    """``typed_extension_protocol_options`` of a cluster."""
    name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    return {name: {"@type": TYPES + name, "explicit_http_config": explicit, **fields}}


def address(host: str, port: int) -> Config:
    return {"socket_address": {"address": host, "port_value": port}}


def static_cluster(
    name: str, addresses: Iterable[Config], *, connect_timeout: str = "5s", **fields: Any
) -> Config:
    endpoints = [{"endpoint": {"address": each}} for each in addresses]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": connect_timeout,
        "circuit_breakers": circuit_breakers(),
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
        **fields,
    }


def circuit_breakers() -> Config:
    limits = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    return {"thresholds": [dict.fromkeys(limits, MANY)]}


def keepalive_options() -> list[Config]:
    """Socket options by which a vanished peer of an idle connection is noticed by the operating system."""
    return [
        {"level": socket.SOL_SOCKET, "name": socket.SO_KEEPALIVE, "int_value": 1, "state": "STATE_PREBIND"}
    ]


# -- TLS --------------------------------------------------------------------------------------------------------------


def secret_files(certificates: Iterable[str]) -> dict[str, bytes]:
    """Files that lie in Envoy's folder before Envoy starts: where each certificate is, read again when it changes.

    ``certificates`` are names of pairs ``pki/{name}.key`` and ``.pem``; ``ca`` is added. Envoy watches the folder for
    renames, so a renewal (write beside, rename over) needs no restart. A pair that does not fit together, as in the
    moment between two renames, is refused by Envoy, which keeps the one it has until the next rename.
    """
    watched = {"watched_directory": {"path": PKI}}
    resources: dict[str, Config] = {
        name: {
            "tls_certificate": {
                "certificate_chain": {"filename": f"{PKI}/{name}.pem"},
                "private_key": {"filename": f"{PKI}/{name}.key"},
                **watched,
            }
        }
        for name in certificates
    }
    resources["ca"] = {"validation_context": {"trusted_ca": {"filename": f"{PKI}/ca.pem"}, **watched}}
    kind = _EXTENSIONS + "transport_sockets.tls.v3.Secret"
    return {
        f"secret-{name}.json": json.dumps({"resources": [{"@type": kind, "name": name, **body}]}).encode()
        for name, body in resources.items()
    }


def _secret(name: str) -> Config:
    source = {"path_config_source": {"path": f"./secret-{name}.json"}, "resource_api_version": "V3"}
    return {"name": name, "sds_config": source}


def _common_tls(
    certificate: str | None, alpn: list[str] | None, *, validate: bool, names: Iterable[str]
) -> Config:
    common: Config = {"tls_params": {"tls_minimum_protocol_version": "TLSv1_2"}}
    if alpn:
        common["alpn_protocols"] = alpn
    if certificate:
        common["tls_certificate_sds_secret_configs"] = [_secret(certificate)]
    matchers = [{"san_type": "DNS", "matcher": {"exact": name}} for name in names]
    if validate:
        common["combined_validation_context"] = {
            "default_validation_context": {"match_typed_subject_alt_names": matchers} if matchers else {},
            "validation_context_sds_secret_config": _secret("ca"),
        }
    return common


def server_tls(
    certificate: str, *, alpn: list[str] | None = None, clients: bool = False, names: Iterable[str] = ()
) -> Config:
    """TLS of the accepting side. ``clients``: demand a certificate of our CA, ``names``: with one of these names."""
    return typed(
        "envoy.transport_sockets.tls",
        "transport_sockets.tls.v3.DownstreamTlsContext",
        require_client_certificate=clients,
        common_tls_context=_common_tls(certificate, alpn, validate=clients, names=names),
    )


def secured(transport: Config) -> Config:
    """Return a filter chain's part for TLS; a connection that does not finish the handshake in time is closed."""
    return {"transport_socket": transport, "transport_socket_connect_timeout": HANDSHAKE_TIMEOUT}


def client_tls(
    certificate: str | None, *, alpn: list[str] | None = None, sni: str = "", names: Iterable[str] = ()
) -> Config:
    """TLS of the dialling side: the other end must be of our CA, and carry one of the DNS ``names`` when given."""
    return typed(
        "envoy.transport_sockets.tls",
        "transport_sockets.tls.v3.UpstreamTlsContext",
        **({"sni": sni} if sni else {}),
        common_tls_context=_common_tls(certificate, alpn, validate=True, names=names),
    )
