"""Answers of the gateway itself about an account's way: a PAC file for browsers, addresses for ``causeway connect``.

Both need the account, so both need its credentials: the names in a PAC file are nobody else's business. They are asked
for through the proxy (``http://proxy.causeway.invalid/proxy.pac``), or straight (``https://gateway/proxy.pac``).
"""

from typing import Any
from urllib.parse import urlsplit

from edge.access.matching import ApplicationIndex
from edge.access.pac import MEDIA_TYPE, Rule, pac_file, policies_of, rules_of
from edge.access.pac import PATH as PAC_PATH
from edge.access.snapshot import Snapshot
from edge.protocol import reach
from edge.protocol.configuration import Gateway
from edge.protocol.identity import SessionIdentity

# No page of a browser may run the file as a script, and so learn the names that are in it.
HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
}
MOST_KEPT = 200
_HOSTS = (reach.HOST, f"{reach.HOST}:80")


def is_straight(http: Any) -> bool:
    """Tell whether a request asks the gateway as a web server, and not as a proxy, for the PAC file."""
    return http.method in ("GET", "HEAD") and http.scheme != "http" and _path(http) == PAC_PATH


def is_asked(http: Any) -> bool:
    """Tell whether a request is for the gateway itself."""
    through = http.method in ("GET", "HEAD") and http.scheme == "http" and http.host.lower() in _HOSTS
    return is_straight(http) or (through and _path(http) in (PAC_PATH, reach.PATH))


class Answers:
    """Answers to accounts: of the same policies and instance the same answer, made once for each configuration."""

    def __init__(self) -> None:
        self._of: ApplicationIndex | None = None
        self._kept: dict[tuple[str, int, str], str] = {}

    def give(self, http: Any, identity: SessionIdentity, snapshot: Snapshot) -> tuple[str, str]:
        """Return media type and body."""
        path, policies = _path(http), policies_of(identity.account, snapshot)
        if self._of is not snapshot.applications or len(self._kept) >= MOST_KEPT:
            self._of, self._kept = snapshot.applications, {}
        key = (path, policies, identity.instance)
        if key not in self._kept:
            rules = rules_of(identity.account, identity.instance, snapshot)
            self._kept[key] = (
                _reach(rules) if path == reach.PATH else pac_file(rules, _proxy(snapshot.gateway))
            )
        return "application/json" if path == reach.PATH else MEDIA_TYPE, self._kept[key]


def _path(http: Any) -> str:
    return urlsplit(http.path).path if http.path.startswith("/") else ""


def _reach(rules: list[Rule]) -> str:
    found = reach.Reach([reach.ReachedAddress(address, ports) for address, ports in rules])
    return found.json().decode()


def _proxy(gateway: Gateway) -> str:
    host = f"[{gateway.public_host}]" if ":" in gateway.public_host else gateway.public_host
    return f"HTTPS {host}:{gateway.client_port}"
