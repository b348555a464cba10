"""Plain HTTP passes as it was sent: what each connection manager and cluster needs for it.

A request passes up to three Envoys (client, gateway, server), and each of them would add headers of its own, take
away such as it has a meaning for, and refuse more than 100 headers or 60 KiB of them.
"""

from enum import IntEnum

from edge.envoy.parts import Config, http_protocol_options, typed

MAX_HEADERS = 1000
MAX_HEADERS_KB = 192
# The host of a request that names none, as HTTP/1.0 allows; it leads nowhere, and the refusal says what is missing.
NO_HOST = "host-missing.invalid"
# Headers that Envoy writes or obeys. Those of a client travel under names that Envoy does not know, and get their own
# names back at the last Envoy.
_TAKEN = (
    "x-forwarded-proto",
    *(
        f"x-envoy-{name}"
        for name in (
            "attempt-count",
            "decorator-operation",
            "downstream-service-cluster",
            "downstream-service-node",
            "expected-rq-timeout-ms",
            "external-address",
            "force-trace",
            "hedge-on-per-try-timeout",
            "internal",
            "ip-tags",
            "max-retries",
            "original-path",
            "retriable-header-names",
            "retriable-status-codes",
            "retry-grpc-on",
            "retry-on",
            "upstream-alt-stat-name",
            "upstream-rq-per-try-timeout-ms",
            "upstream-rq-timeout-alt-response",
            "upstream-rq-timeout-ms",
            "upstream-stream-duration-ms",
        )
    ),
)
_KEPT = "kept-by-causeway-"


class Hop(IntEnum):
    """Envoys on a request's way, in order."""

    CLIENT = 0
    GATEWAY = 1
    SERVER = 2


def manager_options(hop: Hop) -> Config:
    """Fields of a connection manager that pass a plain request as it is."""
    return {
        # OpenBSD's nc and the proxy support of Python 3.11 speak HTTP/1.0 to a proxy.
        "http_protocol_options": {
            "accept_http_10": True,
            "default_host_for_http_10": NO_HOST,
            "allow_custom_methods": True,
            "enable_trailers": True,
            **_SPELLING,
        },
        "common_http_protocol_options": {"max_headers_count": _more(MAX_HEADERS, hop)},
        "max_request_headers_kb": _more(MAX_HEADERS_KB, hop),
        "early_header_mutation_extensions": [early_mutation("keep", _kept(hop))],
        "generate_request_id": False,
        "preserve_external_request_id": True,
        "forward_client_cert_details": "ALWAYS_FORWARD_ONLY",
        "server_header_transformation": "PASS_THROUGH",
        "proxy_100_continue": True,
    }


def early_mutation(name: str, mutations: list[Config]) -> Config:
    """Changes to a request's headers before Envoy looks at them."""
    kind = "http.early_header_mutation.header_mutation.v3.HeaderMutation"
    return typed(name, kind, mutations=mutations)


def answer_options(hop: Hop) -> Config:
    """``common_http_protocol_options`` of the cluster by which a hop sends: how long the answer's head may be."""
    seen = Hop.SERVER - hop  # the last Envoy is the first to see the answer
    return {
        "max_headers_count": _more(MAX_HEADERS, seen),
        "max_response_headers_kb": _more(MAX_HEADERS_KB, seen),
    }


def _more(limit: int, hops: int) -> int:
    """Raise a limit for later hops, which take what earlier ones let in and added: the first refuses, and says why."""
    return limit + 32 * hops


def to_application_options() -> Config:
    """``http_protocol_options`` of a cluster whose requests have come over HTTP/2, where names have no capitals.

    Applications that compare names to the letter expect them as ``Content-Type``.
    """
    return {"enable_trailers": True, "header_key_format": {"proper_case_words": {}}}


def last_hop_options() -> Config:
    """``http_protocol_options`` of a cluster whose requests may come from HTTP/1: names keep their capitals."""
    return {"enable_trailers": True, **_SPELLING}


_SPELLING: Config = {
    "header_key_format": {
        "stateful_formatter": typed(
            "preserve_case",
            "http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig",
            forward_reason_phrase=True,
            formatter_type_on_envoy_headers="PROPER_CASE",
        )
    }
}


def last_hop(hop: Hop, explicit: Config) -> Config:
    """``typed_extension_protocol_options`` of the cluster that sends to applications.

    Headers that Envoy added are taken off there, and headers that the client sent get their names back.
    """
    restored = [
        mutation
        for name in _TAKEN
        for mutation in ({"remove": name}, {"append": _copy(_KEPT + name, name)}, {"remove": _KEPT + name})
    ]
    restore = typed(
        "envoy.filters.http.header_mutation",
        "filters.http.header_mutation.v3.HeaderMutation",
        mutations={"request_mutations": restored},
    )
    codec = typed("envoy.filters.http.upstream_codec", "filters.http.upstream_codec.v3.UpstreamCodec")
    return http_protocol_options(
        explicit,
        common_http_protocol_options=answer_options(hop),
        # The cluster demands these options, though nothing is dialled by TLS.
        upstream_http_protocol_options={"auto_sni": True, "auto_san_validation": True},
        http_filters=[restore, codec],
    )


def _kept(hop: Hop) -> list[Config]:
    """Hide a client's headers from Envoy. At the server none of these names is a client's any more."""
    hide = [{"append": _copy(name, _KEPT + name)} for name in _TAKEN] if hop < Hop.SERVER else []
    return [*hide, *({"remove": name} for name in _TAKEN)]


def _copy(source: str, target: str) -> Config:
    return {
        "header": {"key": target, "value": f"%REQ({source})%"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        "keep_empty_value": False,
    }
