"""Answers in place of Envoy's own when something fails: each with a reason and the part that failed.

docs/architecture.md lists the answers under "Status codes". What the agent refuses, and what an application answers,
passes as it is.
"""

from edge.envoy.pace import pace_reply
from edge.envoy.parts import REASON_HEADER, ROUTE_HEADER, Config, typed
from edge.envoy.plain import MAX_HEADERS, MAX_HEADERS_KB
from edge.protocol.codes import Code

PART_HEADER = "x-causeway-part"  # which part of the way failed
OWN_HEADERS = (REASON_HEADER, PART_HEADER)  # taken off applications' answers: only Causeway speaks by them
NO_DECISION = 511  # status that Envoy gives itself when the agent does not answer
_CONNECTION_FLAGS = ["UF", "UC", "UR", "URX", "LR", "UT", "UPE", "UO"]


def _reply(when: Config, reason: Code, part: str, sentence: str) -> Config:
    return {
        "filter": when,
        "status_code": reason.status,
        "body": {"inline_string": sentence + "\n"},
        "headers_to_add": [
            {
                "header": {"key": name, "value": value},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
            for name, value in ((REASON_HEADER, reason), (PART_HEADER, part))
        ],
    }


def _flags(*flags: str) -> Config:
    return {"response_flag_filter": {"flags": list(flags)}}


def _details(*texts: str) -> Config:
    """Filter for answers whose details, as Envoy notes them, hold one of `texts`."""
    expression = " || ".join(f"response.code_details.contains('{text}')" for text in texts)
    kind = "access_loggers.filters.cel.v3.ExpressionFilter"
    return {
        "extension_filter": typed("envoy.access_loggers.extension_filters.cel", kind, expression=expression)
    }


def _both(*filters: Config) -> Config:
    return {"and_filter": {"filters": list(filters)}}


def _status(code: int) -> Config:
    comparison = {
        "op": "EQ",
        "value": {"default_value": code, "runtime_key": f"causeway.status_{code}"},
    }
    return {"status_code_filter": {"comparison": comparison}}


def client_failures() -> Config:
    """``local_reply_config`` of the Envoy of ``causeway connect``."""
    away = (
        "No gateway of the area answered: the gateways are down, the connection was lost, or a firewall blocks the "
        "way."
    )
    return {
        "mappers": [
            *_invalid_requests(),
            _reply(_flags("UH", *_CONNECTION_FLAGS), Code.GATEWAY_UNREACHABLE, "gateway", away),
        ]
    }


def gateway_failures() -> Config:
    """``local_reply_config`` of a gateway: failures of its own, of tunnels, and of what it dials itself."""
    by_tunnel = {"header_filter": {"header": {"name": ROUTE_HEADER, "present_match": True}}}
    agent_away = "This gateway cannot decide on new connections now. Try again in a moment."
    offline = "The connector has no live tunnel to this gateway."
    lost = "The tunnel to the connector's server was lost before an answer came."
    return {
        "mappers": [
            pace_reply(),
            _reply(_status(NO_DECISION), Code.GATEWAY_AGENT_DOWN, "gateway", agent_away),
            *_invalid_requests(),
            _reply(_flags("UH"), Code.CONNECTOR_OFFLINE, "tunnel", offline),
            _reply(_both(by_tunnel, _flags(*_CONNECTION_FLAGS)), Code.TUNNEL_LOST, "tunnel", lost),
            *_dialling_failures("the gateway"),
        ]
    }


def server_failures() -> Config:
    """``local_reply_config`` of a connector's server."""
    own = (
        "The destination is the connector's server itself or an address beside the server. Only an application "
        "whose origin names this address may lead there."
    )
    return {
        "mappers": [
            _reply(_details("rbac_access_denied"), Code.DESTINATION_FORBIDDEN, "server", own),
            *_invalid_requests(),
            *_dialling_failures("the connector's server"),
        ]
    }


def _invalid_requests() -> list[Config]:
    """Answers to requests that Envoy refuses to read."""
    most = f"The request has more than {MAX_HEADERS} headers, or more than {MAX_HEADERS_KB} KiB of them."
    host = "The address is no host and port."
    secure = "This is a proxy: for https:// send CONNECT host:port, not the whole address."
    itself = "This is a proxy: send CONNECT host:port, or a request for an absolute http:// address."
    return [
        _reply(
            _details("headers_too_large", "too_many_headers", "headers_size_exceeded"),
            Code.HEADERS_TOO_LARGE,
            "request",
            most,
        ),
        _reply(_details("invalid_url", "invalid_authority"), Code.DESTINATION_INVALID, "request", host),
        _reply(_details("https_url_on_plaintext"), Code.NOT_A_PROXY_REQUEST, "request", secure),
        _reply(_details("absolute_path_rejected"), Code.NOT_A_PROXY_REQUEST, "request", itself),  # OPTIONS *
        _reply(
            _details("http1.", "http2.", "missing_", "invalid_", "low_version"),
            Code.REQUEST_INVALID,
            "request",
            "The request is not valid HTTP.",
        ),
        _reply(
            _details("request_header_timeout", "request_overall_timeout"),
            Code.REQUEST_TIMED_OUT,
            "request",
            "The request did not arrive in time.",
        ),
    ]


def _dialling_failures(who: str) -> list[Config]:
    """Answers to failures of the destinations that this Envoy dials.

    A CONNECT is answered as soon as its destination has taken the connection. Where a server dials by its internal
    listener (edge.envoy.halfclose), a connection that is not taken in time ends before that, without another sign.
    """
    is_connect = {"header_filter": {"header": {"name": ":method", "string_match": {"exact": "CONNECT"}}}}
    timed_out = {
        "or_filter": {
            "filters": [_both(_flags("UF", "URX"), _details("timeout")), _both(is_connect, _flags("UC"))]
        }
    }
    reason = Code.DESTINATION_UNREACHABLE
    answer = (
        "The destination's answer cannot be passed on: the answer is not valid HTTP, or its head has more than "
        f"{MAX_HEADERS} headers or {MAX_HEADERS_KB} KiB."
    )
    crowded = f"Too many connections or requests are open at {who}. Try again in a moment."
    return [
        _reply(_details("dns_"), reason, "name", f"The destination's name does not resolve at {who}."),
        _reply(
            timed_out, reason, "time-out", f"The destination did not take the connection of {who} in time."
        ),
        _reply(_flags("UF", "URX"), reason, "refused", f"The destination refused the connection of {who}."),
        _reply(_flags("UPE"), Code.ANSWER_INVALID, "answer", answer),
        _reply(
            _flags("UC", "UR", "LR", "UT"),
            reason,
            "ended",
            f"The destination ended the connection of {who} before it answered.",
        ),
        _reply(_flags("UO", "UH"), Code.INTERNAL_ERROR, "gateway", crowded),
    ]
