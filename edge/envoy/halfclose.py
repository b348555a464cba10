"""Whether this machine's Envoy can load the module by which CONNECT ends byte for byte (edge/envoy/module)."""

from __future__ import annotations

import json
import subprocess
from functools import cache

from edge.envoy.module import NAME, library
from edge.envoy.parts import Config, typed
from edge.envoy.process import EnvoyError, environment, envoy_binary

TRIAL_SECONDS = 30.0
CONSEQUENCE = "Without it, what an application sends last may be lost when it closes the connection itself."
_LOAD = {"name": NAME, "do_not_close": True}


@cache
def hindrance() -> str:
    """Return why Envoy cannot use the module here, as a sentence; empty when it can. Envoy itself is asked, once."""
    if not library().is_file():
        return f"The module for byte-exact ends was not built for this machine ({library().parent.name})."
    # A cluster's part is looked at with the first flow only; the listener's loads the same file.
    echo = typed("envoy.filters.network.echo", "filters.network.echo.v3.Echo")
    listener = {"name": "trial", "internal_listener": {}, "filter_chains": [{"filters": [end(), echo]}]}
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
    words = (done.stderr or done.stdout).strip().rpartition("configuration '': ")[2] or "it does not say why"
    return f"Envoy does not load the module for byte-exact ends: {words[-300:].rstrip('.')}."


def usable() -> bool:
    """Whether a server works with the module; it works without as well, but may cut the end of a transfer."""
    return not hindrance()


def internal_listeners() -> Config:
    """Bootstrap extension that an Envoy with internal listeners needs."""
    return typed("envoy.bootstrap.internal_listener", "bootstrap.internal_listener.v3.InternalListener")


def bridge() -> Config:
    """``upstream_config`` of the cluster that leads to the internal listener."""
    kind = "envoy.upstreams.http.dynamic_modules"
    return typed(
        kind, "upstreams.http.dynamic_modules.v3.Config", dynamic_module_config=_LOAD, bridge_name="bridge"
    )


def end() -> Config:
    """Network filter of the internal listener, before tcp_proxy."""
    kind = "envoy.filters.network.dynamic_modules"
    message = "filters.network.dynamic_modules.v3.DynamicModuleNetworkFilter"
    return typed(kind, message, dynamic_module_config=_LOAD, filter_name="end")
