"""Secrets in files of their own, which Envoy watches: neither its configuration nor a dump of that holds them."""

import json

from edge.envoy.parts import Config, typed

_KIND = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"


def generic_secret(name: str, value: str) -> bytes:
    """Return the file from which Envoy takes a text, such as the value of a header."""
    return secret(name, {"generic_secret": {"secret": {"inline_string": value}}})


def secret(name: str, content: Config) -> bytes:
    """Return the file of a secret of any kind."""
    return json.dumps({"resources": [{"@type": _KIND, "name": name, **content}]}).encode()


def watched(file: str) -> Config:
    """Source of a secret: a file of Envoy's folder, read again when it changes."""
    return {"path_config_source": {"path": f"./{file}"}, "resource_api_version": "V3"}


def taken(name: str, file: str, key: str) -> Config:
    """Network filter that keeps a secret of `file` under `key`, as the secret is when the connection begins."""
    formatter = typed(
        "envoy.formatter.generic_secret",
        "formatter.generic_secret.v3.GenericSecret",
        secret_configs={name: {"name": name, "sds_config": watched(file)}},
    )
    text = {"text_format_source": {"inline_string": f"%SECRET({name})%"}, "formatters": [formatter]}
    return typed(
        "token",
        "filters.network.set_filter_state.v3.Config",
        on_new_connection=[{"object_key": key, "factory_key": "envoy.string", "format_string": text}],
    )
