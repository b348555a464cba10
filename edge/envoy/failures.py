"""Answers in Envoy's place when something fails: each with a reason and the part that failed.

docs/architecture.md lists them under "Status codes". What the agent refuses, and what an application answers, passes
as it is.
"""

from __future__ import annotations

from edge.envoy.pace import pace_reply
from edge.envoy.parts import REASON_HEADER, ROUTE_HEADER, Config, typed
from edge.envoy.plain import MAX_HEADERS, MAX_HEADERS_KB

PART_HEADER = "x-causeway-part"  # which part of the way failed
OWN_HEADERS = (REASON_HEADER, PART_HEADER)  # an application must not be able to say them
GATEWAY_UNREACHABLE = "GatewayUnreachable"  # said by the Envoy of causeway connect
NO_DECISION = 511  # what Envoy says to itself when the agent does not answer
_CONNECTION_FLAGS = ["UF", "UC", "UR", "URX", "LR", "UT", "UPE", "UO"]


def _reply(when: Config, reason: str, part: str, sentence: str, status: int | None = None) -> Config:
    return {
        "filter": when,
        **({"status_code": status} if status is not None else {}),
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
    """Where Envoy's details of the answer hold one of these texts."""
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
    away = "No gateway answered: those of the area are down or were lost, or a firewall is in the way."
    return {
        "mappers": [
            *_invalid_requests(),
            _reply(_flags("UH", *_CONNECTION_FLAGS), GATEWAY_UNREACHABLE, "gateway", away, 503),
        ]
    }


def gateway_failures() -> Config:
    """``local_reply_config`` of a gateway: its own failures, those of tunnels, and of what it dials itself."""
    by_tunnel = {"header_filter": {"header": {"name": ROUTE_HEADER, "present_match": True}}}
    agent_away = "This gateway cannot decide on new connections now. Try again in a moment."
    offline = "The connector has no live tunnel to this gateway."
    lost = "The tunnel to the connector's server was lost before an answer came."
    return {
        "mappers": [
            pace_reply(),
            _reply(_status(NO_DECISION), "GatewayAgentDown", "gateway", agent_away, 503),
            *_invalid_requests(),
            _reply(_flags("UH"), "ConnectorOffline", "tunnel", offline),
            _reply(_both(by_tunnel, _flags(*_CONNECTION_FLAGS)), "TunnelLost", "tunnel", lost, 503),
            *_dialling_failures("the gateway"),
        ]
    }


def server_failures() -> Config:
    """``local_reply_config`` of a connector's server."""
    own = "The destination is the connector's server itself or a neighbour of it, and no application's origin says so."
    return {
        "mappers": [
            _reply(_details("rbac_access_denied"), "DestinationForbidden", "server", own, 403),
            *_invalid_requests(),
            *_dialling_failures("the connector's server"),
        ]
    }


def _invalid_requests() -> list[Config]:
    """What Envoy refuses to read."""
    most = f"The request has more than {MAX_HEADERS} headers, or more than {MAX_HEADERS_KB} KiB of them."
    host = (
        "The address is no host and port. (A plain request over HTTP/1.1 takes no host name with an underscore; "
        "CONNECT and HTTP/2 do.)"
    )
    secure = "This is a proxy: for https:// send CONNECT host:port, not the whole address."
    itself = "This is a proxy: send CONNECT host:port, or a request for an absolute http:// address."
    return [
        _reply(
            _details("headers_too_large", "too_many_headers", "headers_size_exceeded"),
            "HeadersTooLarge",
            "request",
            most,
            431,
        ),
        _reply(_details("invalid_url", "invalid_authority"), "DestinationInvalid", "request", host, 400),
        _reply(_details("https_url_on_plaintext"), "NotAProxyRequest", "request", secure, 400),
        _reply(_details("absolute_path_rejected"), "NotAProxyRequest", "request", itself, 400),  # OPTIONS *
        _reply(
            _details("http1.", "http2.", "missing_", "invalid_", "low_version"),
            "RequestInvalid",
            "request",
            "The request is not valid HTTP.",
            400,
        ),
        _reply(
            _details("request_header_timeout", "request_overall_timeout"),
            "RequestTimedOut",
            "request",
            "The request did not arrive in time.",
            408,
        ),
    ]


def _dialling_failures(who: str) -> list[Config]:
    """Failures of what this Envoy dials.

    A CONNECT is answered as soon as its destination has taken the connection. Where a server dials by its internal
    listener (edge.envoy.halfclose), a connection that is not taken in time ends before that, without another sign.
    """
    is_connect = {"header_filter": {"header": {"name": ":method", "string_match": {"exact": "CONNECT"}}}}
    timed_out = {
        "or_filter": {
            "filters": [_both(_flags("UF", "URX"), _details("timeout")), _both(is_connect, _flags("UC"))]
        }
    }
    reason = "DestinationUnreachable"
    answer = (
        "The destination's answer is no HTTP that can be passed on: it is malformed, or its head has more than "
        f"{MAX_HEADERS} headers or {MAX_HEADERS_KB} KiB."
    )
    return [
        _reply(_details("dns_"), reason, "name", f"The destination's name does not resolve at {who}.", 503),
        _reply(
            timed_out,
            reason,
            "time-out",
            f"The destination did not take the connection of {who} in time.",
            503,
        ),
        _reply(
            _flags("UF", "URX"),
            reason,
            "refused",
            f"The destination refused the connection of {who}.",
            503,
        ),
        _reply(_flags("UPE"), "AnswerInvalid", "answer", answer, 502),
        _reply(
            _flags("UC", "UR", "LR", "UT"),
            reason,
            "ended",
            f"The destination ended the connection of {who} before it answered.",
            503,
        ),
        _reply(_flags("UO", "UH"), "InternalError", "gateway", f"Too much is under way at {who}.", 503),
    ]
