"""Proxy auto-configuration for browsers."""

import json
from collections.abc import Sequence


def pac_file(listen: tuple[str, int], domains: Sequence[str]) -> str:
    """Return a proxy auto-configuration: the `domains` (all, when none are named) go through the proxy."""
    address = f"[{listen[0]}]" if ":" in listen[0] else listen[0]
    proxy = json.dumps(f"PROXY {address}:{listen[1]}")
    tests = [f"host == {json.dumps(name)} || dnsDomainIs(host, {json.dumps('.' + name)})" for name in domains]
    test = " || ".join(tests) or "!isPlainHostName(host)"
    return f'function FindProxyForURL(url, host) {{\n  return ({test}) ? {proxy} : "DIRECT";\n}}\n'
