"""Proxy that a connection goes by, told by the environment in the words that other programs know.

``HTTP_PROXY`` is for ``http://``; ``HTTPS_PROXY`` for ``https://`` and for tunnels to gateways; ``ALL_PROXY`` for all
that has no variable of its own, mail among it. Lower case goes first. `edge.outbound.exempt` says what goes directly.
"""

import base64
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from edge.outbound.errors import OutboundError
from edge.outbound.exempt import is_listed, is_own

VARIABLES = {"http": ("http_proxy", "HTTP_PROXY"), "https": ("https_proxy", "HTTPS_PROXY")}
ALL = ("all_proxy", "ALL_PROXY")
NONE = ("no_proxy", "NO_PROXY")
PORTS = {"http": 80, "https": 443, "socks5": 1080}
# Desktops write socks://; what follows is SOCKS 5. Names are looked up by the proxy in any case.
SPELLINGS = {"http": "http", "https": "https", "socks5": "socks5", "socks5h": "socks5", "socks": "socks5"}


@dataclass(frozen=True)
class Proxy:
    """Proxy that `variable` of the environment names. `scheme`: ``http``, ``https`` or ``socks5``."""

    variable: str
    scheme: str
    host: str
    port: int
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def read(cls, variable: str, value: str) -> "Proxy":
        """Read the variable's value. Raises `OutboundError`, which never repeats the value: it may hold a password."""
        text = value if "://" in value else f"http://{value}"
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            host, port = "", None
        if not host or any(not character.isprintable() or character == " " for character in text):
            raise OutboundError(f"{variable} must be an address such as http://proxy.example.com:3128.")
        scheme = SPELLINGS.get(parts.scheme)
        if scheme is None:
            raise OutboundError(
                f"{variable} names a proxy by {parts.scheme}://; http://, https:// and socks5:// can be used."
            )
        words = (unquote(parts.username or ""), unquote(parts.password or ""))
        return cls(variable, scheme, host, PORTS[scheme] if port is None else port, *words)

    @property
    def shown(self) -> str:
        """Address without user name and password."""
        return f"{self.scheme}://{joined(self.host, self.port)}"

    @property
    def authorization(self) -> str:
        """Value of ``Proxy-Authorization``; empty without a user name."""
        if not self.username:
            return ""
        pair = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode()


def joined(host: str, port: int) -> str:
    """Return ``host:port``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def proxy_for(scheme: str, host: str, port: int, environ: Mapping[str, str] | None = None) -> Proxy | None:
    """Return the proxy for a connection; None for a direct one. Raises `OutboundError` that names the variable.

    `scheme`: ``http``, ``https``, or another word, for which only ``ALL_PROXY`` counts.
    """
    environ = _variables(host) if environ is None else environ
    variable = _set(environ, *VARIABLES.get(scheme, ()), *ALL)
    if variable is None or is_own(host):
        return None
    exempt = _set(environ, *NONE)
    if exempt is not None and is_listed(host, port, environ[exempt], exempt):
        return None
    return Proxy.read(variable, environ[variable].strip())


def tunnel_proxy(host: str, port: int, environ: Mapping[str, str] | None = None) -> Proxy | None:
    """Return the proxy for connections of Envoy to a gateway. Raises `OutboundError` for one that Envoy cannot use."""
    proxy = proxy_for("https", host, port, environ)
    if proxy is not None and proxy.scheme != "http":
        raise OutboundError(
            f"{proxy.variable} names {proxy.shown}, but gateways can be reached by a proxy of the kind http:// alone. "
            f"Name such a proxy in HTTPS_PROXY, or {host} in NO_PROXY."
        )
    return proxy


def _variables(host: str) -> Mapping[str, str]:
    """Return the environment; on macOS, where the environment says nothing, what the system's settings say."""
    if sys.platform != "darwin" or _set(os.environ, *VARIABLES["http"], *VARIABLES["https"], *ALL):
        return os.environ
    from urllib.request import getproxies, proxy_bypass

    found = {} if proxy_bypass(host) else getproxies()
    return {f"{scheme}_proxy": url for scheme, url in found.items() if scheme in VARIABLES}


def _set(environ: Mapping[str, str], *names: str) -> str | None:
    """Return the first of the variables that says something."""
    return next((name for name in names if environ.get(name, "").strip()), None)
