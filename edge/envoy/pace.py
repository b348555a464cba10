"""Pace of one address at a gateway: flows are counted before the agent is asked, so that a flood costs little.

Each new flow costs the agent a decision, whether its client waits for it or resets it at once. A gateway can do some
600 a second, so that an honest crowd, which waits for its answers, does not come to the limit.
"""

from edge.envoy.parts import REASON_HEADER, Config, typed
from edge.protocol.codes import Code

ADDRESS_FLOWS = 1000  # flows a second of one address, and twice as many at once
# Each address has a bucket of some 200 bytes; beyond so many, the bucket that was used least recently begins anew.
ADDRESSES = 100_000


def pace_filter(flows: int) -> Config:
    """Refuse what an address (IPv6: a /64 network) opens beyond so many a second; `pace_reply` says why."""
    address = {"masked_remote_address": {"v4_prefix_mask_len": 32, "v6_prefix_mask_len": 64}}
    always = {"default_value": {"numerator": 100}}
    bucket = {"max_tokens": 2 * flows, "tokens_per_fill": flows // 20, "fill_interval": "0.05s"}
    # The bucket of requests without an address stays unused: each request has an address.
    unlimited = {"max_tokens": 4_294_967_295, "tokens_per_fill": 4_294_967_295, "fill_interval": "1s"}
    return typed(
        "pace",
        "filters.http.local_ratelimit.v3.LocalRateLimit",
        stat_prefix="pace",
        filter_enabled=always,
        filter_enforced=always,
        token_bucket=unlimited,
        rate_limits=[{"actions": [address]}],
        descriptors=[{"entries": [{"key": "masked_remote_address"}], "token_bucket": bucket}],
        max_dynamic_descriptors=ADDRESSES,
        response_headers_to_add=[{"header": {"key": "retry-after", "value": "1"}}],
    )


def pace_reply() -> Config:
    """Answer for a client that opens flows too fast."""
    return {
        "filter": {"response_flag_filter": {"flags": ["RL"]}},
        "body": {
            "inline_string": "This address opens connections faster than the gateway allows a single address. "
            "Try again in a moment.\n"
        },
        "headers_to_add": [{"header": {"key": REASON_HEADER, "value": Code.TOO_MANY_FLOWS}}],
    }
