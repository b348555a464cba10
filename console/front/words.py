"""Answers that the front gives by itself, with the sentence for people and the code for machines."""

import json
from typing import Any

from edge.envoy.parts import Config
from edge.protocol.codes import Code

ANSWERS = {
    400: ("InvalidRequest", "The request cannot be read."),
    408: ("RequestTimeout", "The request did not arrive in time. Send it again, without pauses."),
    413: ("BodyTooLarge", "The body is larger than this address takes."),
    429: (
        Code.TRY_AGAIN_LATER,
        "More requests come from your address than the console takes. Try again later.",
    ),
    431: ("HeadersTooLarge", "The request's headers are larger than the console takes."),
    503: (Code.TRY_AGAIN_LATER, "The console has more to do than it can do now. Try again later."),
    504: (Code.TRY_AGAIN_LATER, "The console did not answer in time. Try again later."),
}
# Seconds after which to come again; `console.core.seats` spreads turns, the front cannot.
RETRY_AFTER = {429: "10", 503: "2", 504: "10"}


def local_replies() -> Config:
    """Return ``local_reply_config``: JSON for machines, a line of text for everybody else."""
    mappers = [
        _mapper(status, code, sentence, machines=machines)
        for status, (code, sentence) in ANSWERS.items()
        for machines in (True, False)
    ]
    return {"mappers": mappers}


def _mapper(status: int, code: str, sentence: str, *, machines: bool) -> Config:
    is_status = {
        "status_code_filter": {
            "comparison": {"op": "EQ", "value": {"default_value": status, "runtime_key": "front.unset"}}
        }
    }
    edge = {
        "header_filter": {
            "header": {
                "name": ":path",
                "string_match": {"prefix": "/edge/"},
                "invert_match": not machines,
                "treat_missing_header_as_empty": True,
            }
        }
    }
    answer: dict[str, Any] = {"error": {"code": str(code), "message": sentence, "field": None}}
    text = json.dumps(answer) if machines else f"{sentence}\n"
    headers = {"cache-control": "no-store"}
    if status in RETRY_AFTER:
        headers["retry-after"] = RETRY_AFTER[status]
    return {
        "filter": {"and_filter": {"filters": [is_status, edge]}},
        "headers_to_add": [
            {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for name, value in headers.items()
        ],
        "body_format_override": {
            "text_format_source": {"inline_string": text.replace("%", "%%")},
            "content_type": "application/json" if machines else "text/plain; charset=utf-8",
        },
    }
