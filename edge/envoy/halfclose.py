"""Ends of a CONNECT that are exact to the byte: whether Envoy can load the module (edge/envoy/module), and its use.

A flow that this Envoy dials goes on, once its destination was resolved and let through, to an internal listener, where
a connection ends as exactly as TCP does; a flow over HTTP/1 is given an end of its own.
"""

import base64
import json
import socket
import struct
import subprocess
from functools import cache

from edge.envoy.module import NAME, is_built, library
from edge.envoy.parts import TYPES, Config, static_cluster, typed
from edge.envoy.process import EnvoyError, environment, envoy_binary, preloads

TRIAL_SECONDS = 30.0
CONSEQUENCE = (
    "Without the module, the last bytes of an application may be lost "
    "when the application closes the connection."
)
_LOAD = {"name": NAME, "do_not_close": True}


@cache
def hindrance() -> str:
    """Return why Envoy cannot use the module here, as a sentence; empty when it can. Envoy itself is asked, once."""
    if not is_built():
        return f"The module for byte-exact ends was not built for this machine ({library().parent.name})."
    # Envoy looks at a cluster's part of the module with the first flow only; a listener's part loads the same file.
    echo = typed("envoy.filters.network.echo", "filters.network.echo.v3.Echo")
    listener = {"name": "trial", "internal_listener": {}, "filter_chains": [{"filters": [_end(), echo]}]}
    trial = {"bootstrap_extensions": [internal_listeners()], "static_resources": {"listeners": [listener]}}
    command = [
        str(envoy_binary()),
        "--mode",
        "validate",
        "--log-level",
        "error",
        "--config-yaml",
        json.dumps(trial),
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TRIAL_SECONDS, env=environment()
        )
    except (OSError, subprocess.TimeoutExpired, EnvoyError) as error:
        return f"Envoy could not be asked whether it loads the module for byte-exact ends: {error}."
    if done.returncode == 0:
        return ""
    said = (done.stderr or done.stdout).strip()
    words = said.rpartition("configuration '': ")[2] or "Envoy gives no reason"
    return f"Envoy does not load the module for byte-exact ends: {words[-300:].rstrip('.')}."


def usable() -> bool:
    """Tell whether Envoy works with the module; without the module, Envoy may cut the end of a transfer."""
    return not hindrance()


# Types of the module's network and HTTP filters; each filter is chosen by its name in the module.
_NETWORK = "filters.network.dynamic_modules.v3.DynamicModuleNetworkFilter"
_HTTP = "filters.http.dynamic_modules.v3.DynamicModuleFilter"
# An answer may end before its request, and what ends by a reset on one side ends by a reset on the other.
RESETS = dict.fromkeys(
    (
        "envoy.reloadable_features.propagate_upstream_rst_through_tunneled_tcp_proxy",
        "envoy.reloadable_features.map_http_stream_reset_to_tcp_rst",
        "envoy.reloadable_features.propagate_downstream_rst_to_upstream",
    ),
    True,
)
RUNTIME = {"envoy.reloadable_features.allow_multiplexed_upstream_half_close": True, **RESETS}


def internal_listeners() -> Config:
    """Bootstrap extension that an Envoy with internal listeners needs."""
    return typed("envoy.bootstrap.internal_listener", "bootstrap.internal_listener.v3.InternalListener")


def forward() -> Config:
    """Network filter of a port forward: a connection that breaks off ends by a reset."""
    kind = "envoy.filters.network.dynamic_modules"
    return typed(kind, _NETWORK, dynamic_module_config=_LOAD, filter_name="forward")


def callers(most: int) -> Config:
    """Network filter that hangs up on an address with so many connections open, one number for a whole Envoy."""
    kind = "envoy.filters.network.dynamic_modules"
    number = {"@type": TYPES + "google.protobuf.StringValue", "value": str(most)}
    return typed(kind, _NETWORK, dynamic_module_config=_LOAD, filter_name="callers", filter_config=number)


# -- Over HTTP/1 ------------------------------------------------------------------------------------------------------


def front() -> Config:
    """Network filter before a connection manager that takes HTTP/1, whose first HTTP filter is `connect`."""
    kind = "envoy.filters.network.dynamic_modules"
    return typed(kind, _NETWORK, dynamic_module_config=_LOAD, filter_name="front")


def connect() -> Config:
    """HTTP filter that turns what `front` made of a CONNECT back into a CONNECT."""
    return typed("connect", _HTTP, dynamic_module_config=_LOAD, filter_name="connect")


def upload() -> Config:
    """HTTP filter that holds what a client sends to its account's bandwidth (edge.envoy.bandwidth)."""
    return typed("upload", _HTTP, dynamic_module_config=_LOAD, filter_name="upload")


def answer(name: str = "answer") -> Config:
    """HTTP filter, the last but the router, that breaks off an answer that the application broke off (`tells_resets`).

    The filter's name in the module is ``only_answer`` where no other HTTP filter of the module is.
    """
    return typed("answer", _HTTP, dynamic_module_config=_LOAD, filter_name=name)


def streams() -> Config:
    """Network filter before a connection manager that takes HTTP/2 alone; `front` does the same where it stands."""
    kind = "envoy.filters.network.dynamic_modules"
    return typed(kind, _NETWORK, dynamic_module_config=_LOAD, filter_name="streams")


def tells_resets() -> Config:
    """Fields of a cluster of applications, by which `answer` knows a reset from the end of an answer without a length.

    A CONNECT that ends byte for byte has a cluster of its own, `DIAL`, and Envoy's own socket.
    """
    kind = "transport_sockets.dynamic_modules.v3.DynamicModuleTransportSocket"
    name = "envoy.transport_sockets.dynamic_modules"
    socket = typed(name, kind, dynamic_module_config=_LOAD, transport_socket_name="answers")
    return {"transport_socket": socket}


# -- At a TCP connection ----------------------------------------------------------------------------------------------

# Places where the connection manager keeps the host and the port that were asked for.
HOST = {"metadata_namespace": "causeway", "key": "host"}
PORT = {"metadata_namespace": "causeway", "key": "port"}
# GO_ON: the filter, after all that may refuse, by which a CONNECT goes on to the internal listener, where it ends byte
# for byte. CHECKED: the mark that the filter puts on the flow.
GO_ON, CHECKED = "go_on", "causeway.checked"
ENDS = "ends"  # the cluster that leads to the internal listener
DIAL = "dial"  # the cluster that the internal listener dials by
# Time in which the application may take what is left of a flow after both sides have ended. A connection stays as long,
# or ten minutes by default, where the client was behind the application at its end: Envoy stops reading such a
# connection, and does not see that the other side has gone.
EMPTIED_WITHIN: Config = {"idle_timeout": "60s"}
DYNAMIC_HOST, DYNAMIC_PORT = "envoy.upstream.dynamic_host", "envoy.upstream.dynamic_port"
# Bytes that a connection may keep on each side, so that a flow whose reader sleeps costs little; long lines are filled
# from the systems' own buffers.
BUFFER: Config = {"per_connection_buffer_limit_bytes": 524_288}


def state(key: str, value: str, factory: str = "") -> Config:
    """Keep `value` with the flow under `key`, in the kind that the key has in Envoy, or that `factory` makes."""
    named = {"factory_key": factory} if factory else {}
    return {"object_key": key, **named, "format_string": {"text_format_source": {"inline_string": value}}}


def shared(states: list[Config]) -> list[Config]:
    """Keep `states` for the internal listener to see as well."""
    return [{**each, "shared_with_upstream": "ONCE"} for each in states]


def metadata(place: dict[str, str]) -> str:
    """Return the format string for what the connection manager keeps at `place`."""
    return f"%DYNAMIC_METADATA({place['metadata_namespace']}:{place['key']})%"


def keep_authority() -> Config:
    """HTTP filter that keeps the authority's host and port where format strings can take them from."""

    def keep(place: Config, part: str) -> Config:
        rewrite = {"pattern": {"regex": "(.+):([0-9]+)"}, "substitution": part}
        return {"header": ":authority", "on_header_present": {**place, "regex_value_rewrite": rewrite}}

    rules = [keep(HOST, "\\1"), keep(PORT, "\\2")]
    return typed("port", "filters.http.header_to_metadata.v3.Config", request_rules=rules)


def go_on() -> Config:
    """HTTP filter that says what the internal listener dials, and has the flow choose its route a second time.

    Each flow has a pool of its own: a connection that is still being emptied after both sides have ended would
    otherwise be closed, or be given to the next flow.
    """
    flow = state("causeway.flow", "%STREAM_ID% %START_TIME(%s.%9f)%", "envoy.hashable_string")
    states = [
        *shared([state(DYNAMIC_HOST, metadata(HOST)), state(DYNAMIC_PORT, metadata(PORT)), flow]),
        state(CHECKED, CHECKED, "envoy.string"),
    ]
    kind = "filters.http.set_filter_state.v3.Config"
    return typed(GO_ON, kind, on_request_headers=states, clear_route_cache=True)


def is_checked() -> Config:
    """Part of a route's match by which the route is chosen the second time only."""
    return {"filter_state": [{"key": CHECKED, "string_match": {"exact": CHECKED}}]}


def ends() -> Config:
    """Cluster from the connection manager to the internal listener, which is told whom to dial."""
    kind = "envoy.extensions.upstreams.tcp.v3.TcpProtocolOptions"
    options = {kind: {"@type": f"type.googleapis.com/{kind}", **EMPTIED_WITHIN}}
    return static_cluster(
        ENDS,
        [{"envoy_internal_address": {"server_listener_name": ENDS}}],
        **BUFFER,
        upstream_config=_bridge(),
        typed_extension_protocol_options=options,
        transport_socket=typed(
            "envoy.transport_sockets.internal_upstream",
            "transport_sockets.internal_upstream.v3.InternalUpstreamTransport",
            transport_socket=typed(
                "envoy.transport_sockets.raw_buffer", "transport_sockets.raw_buffer.v3.RawBuffer"
            ),
        ),
    )


_DEATH_ONLY = 2  # for module/linger.c; as l_onoff, any value but 0 means the same to the system


def dialled() -> Config:
    """Fields of the cluster `DIAL`: an application whose Envoy dies sees no end that its client never sent."""
    if not preloads():
        return {}
    linger = base64.b64encode(struct.pack("ii", _DEATH_ONLY, 0)).decode()
    option = {"level": socket.SOL_SOCKET, "name": socket.SO_LINGER, "buf_value": linger}
    return {"upstream_bind_config": {"socket_options": [option]}}


def ends_listener() -> Config:
    """Listener that dials what was resolved and let through: the flow's state names the destination, whose addresses
    are in the cache of the cluster `DIAL`, a dynamic forward proxy."""
    dial = typed(
        "tcp", "filters.network.tcp_proxy.v3.TcpProxy", stat_prefix=ENDS, cluster=DIAL, idle_timeout="0s"
    )
    return {
        "name": ENDS,
        "internal_listener": {},
        **BUFFER,
        "filter_chains": [{"filters": [_end(), dial]}],
    }


def _bridge() -> Config:
    kind = "envoy.upstreams.http.dynamic_modules"
    return typed(
        kind, "upstreams.http.dynamic_modules.v3.Config", dynamic_module_config=_LOAD, bridge_name="bridge"
    )


def _end() -> Config:
    kind = "envoy.filters.network.dynamic_modules"
    return typed(kind, _NETWORK, dynamic_module_config=_LOAD, filter_name="end")
