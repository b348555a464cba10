"""Calls of a gateway's Envoy to the agent beside it: whether a flow may pass, how it is cut, what it carried."""

from edge.envoy.failures import NO_DECISION
from edge.envoy.parts import Config, http_protocol_options, static_cluster, typed

AGENT = "agent"
METADATA = "envoy.filters.http.ext_authz"  # where Envoy keeps what the decision said about the flow
FLOW_METADATA = "flow"  # the one field of that metadata
SERVER_TAG = "server"


def agent_service(timeout: str) -> Config:
    """Name the agent as a gRPC service that answers within `timeout`, such as ``10s``."""
    return {"envoy_grpc": {"cluster_name": AGENT}, "timeout": timeout}


def agent_cluster() -> Config:
    """Cluster that leads to the agent's socket."""
    options = http_protocol_options({"http2_protocol_options": {}})
    pipe = {"pipe": {"path": "agent.sock"}}
    return static_cluster(AGENT, [pipe], connect_timeout="1s", typed_extension_protocol_options=options)


def authorization() -> Config:
    """HTTP filter that asks the agent whether a flow may pass; without an answer no flow does."""
    return typed(
        METADATA,
        "filters.http.ext_authz.v3.ExtAuthz",
        transport_api_version="V3",
        failure_mode_allow=False,
        status_on_error={"code": NO_DECISION},
        clear_route_cache=True,
        grpc_service=agent_service("10s"),  # a log-on waits for the console and its password hash
    )


def flow_control() -> Config:
    """HTTP filter by which the agent holds one stream for each flow, to cut it by; without the agent flows go on."""
    skip = {"request_body_mode": "NONE", "response_body_mode": "NONE", "request_trailer_mode": "SKIP"}
    return typed(
        "envoy.filters.http.ext_proc",
        "filters.http.ext_proc.v3.ExternalProcessor",
        failure_mode_allow=True,
        grpc_service=agent_service("10s"),
        message_timeout="2s",
        # Response trailers are never looked at: asking for them is what keeps the stream open for the life of the flow.
        processing_mode={
            **skip,
            "request_header_mode": "SEND",
            "response_header_mode": "SKIP",
            "response_trailer_mode": "SEND",
        },
        metadata_options={"forwarding_namespaces": {"untyped": [METADATA]}},
        forward_rules={"allowed_headers": {"patterns": [{"exact": ":authority"}]}},
    )


def access_log() -> Config:
    """Log that tells the agent of flows; a request that the agent refused, or never saw, is no flow."""
    let_in = {"filter": METADATA, "path": [{"key": FLOW_METADATA}], "value": {"present_match": True}}
    log = typed(
        "envoy.access_loggers.http_grpc",
        "access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
        common_config={
            "log_name": "flows",
            "transport_api_version": "V3",
            "buffer_flush_interval": "0.05s",
            "grpc_service": agent_service("10s"),
            # Which server carries the flow: "connector:server", known when the tunnel took the flow
            "custom_tags": [{"tag": SERVER_TAG, "value": "%UPSTREAM_HOST_NAME%"}],
        },
    )
    return log | {"filter": {"metadata_filter": {"matcher": let_in, "match_if_key_not_found": False}}}
