"""Token buckets in a gateway's Envoy: the part of the HTTP filters that holds accounts to their bandwidth."""

from edge.envoy.parts import TYPES, Config, typed

BANDWIDTH_HEADER = "x-causeway-bandwidth"  # the slot that holds the account to its cap, if it has one
# For the module's own bucket of what the client sends: the slot again, and the cap in KiB/s.
UPLOAD_HEADER = "x-causeway-upload"
# How many accounts with a cap may have flows at the same time; each costs Envoy 9 kB.
SLOTS = 2048
# Runtime values: what a slot lets through each way, in KiB/s, and the account that has the slot.
CAP_KEY, OWNER_KEY = "causeway.bandwidth.cap.%s", "causeway.bandwidth.owner.%s"


def bandwidth_filter(slots: int, *, uploads: bool) -> Config:
    """HTTP filter that sends a flow through the buckets of the slot that its header names; without a header, none.

    ``uploads``: hold what the client sends as well; Envoy's bucket for uploads must not meet half-close
    (edge/envoy/module).

    The slots are part of the listener. Read from a file of their own (ECDS), slots could be added while flows run, but
    Envoy 1.40 crashes at the next flow after such a reload.
    """
    by_slot = {
        "@type": TYPES + "envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
        "header_name": BANDWIDTH_HEADER,
    }
    tree = {
        "input": {"name": "slot", "typed_config": by_slot},
        "exact_match_map": {
            "map": {str(slot): {"action": _hold(slot, uploads=uploads)} for slot in range(slots)}
        },
    }
    return typed(
        "bandwidth",
        "common.matching.v3.ExtensionWithMatcher",
        extension_config=typed("composite", "filters.http.composite.v3.Composite"),
        xds_matcher={"matcher_tree": tree},
    )


def _hold(slot: int, *, uploads: bool) -> Config:
    action = "filters.http.composite.v3.ExecuteFilterAction"
    return typed("hold", action, typed_config=_buckets(slot, uploads=uploads))


def _buckets(slot: int, *, uploads: bool) -> Config:
    def limit(direction: str) -> Config:
        # A slot without a value is nobody's and lets 1 KiB/s through; 0 would let everything through.
        return {
            "bucket_id": f"{slot}-{direction}",
            "kbps": {"default_value": 1, "runtime_key": CAP_KEY % slot},
        }

    return typed(
        "share",
        "filters.http.bandwidth_share.v3.BandwidthShare",
        response_limit=limit("down"),
        **({"request_limit": limit("up")} if uploads else {}),
    )
