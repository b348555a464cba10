"""Routes of a server's Envoy, made from its applications: what may be dialled, on which ports, and what instead."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edge.access.hosts import HostInvalid, Network, Pattern, mask, parse_host, parse_pattern
from edge.envoy.failures import OWN_HEADERS
from edge.envoy.halfclose import (
    DYNAMIC_HOST,
    DYNAMIC_PORT,
    ENDS,
    GO_ON,
    PORT,
    is_checked,
    metadata,
    shared,
    state,
)
from edge.envoy.parts import NAME_HEADER, NOT_SERVED, ROUTE_HEADER, Config
from edge.envoy.patterns import network_pattern, ports_pattern
from edge.protocol.configuration import ServedApplication

logger = logging.getLogger(__name__)

NAME = "applications"
TYPE = "type.googleapis.com/"
REFUSAL = (
    "No application of this connector server has this address and port, or the server has not heard of the "
    "application yet. Try again in a moment.\n"
)
SET_FILTER_STATE = "set_filter_state"
RBAC = "rbac"
UNCHECKED = {"@type": TYPE + "envoy.extensions.filters.http.rbac.v3.RBACPerRoute"}


@dataclass(frozen=True)
class Entry:
    """Address of an application. `origin`: what is dialled instead, ``host`` or ``host:port``, or empty."""

    pattern: Pattern
    ports: tuple[tuple[int, int], ...]
    origin: str

    @property
    def network(self) -> Network:
        """Network that the address names. Raises `TypeError` for a name."""
        if self.pattern.network is None:
            raise TypeError("this address is a name")
        return self.pattern.network

    @property
    def domain(self) -> str:
        """Virtual host that Envoy finds by hash for the address; ``*`` where only a regular expression helps."""
        if self.pattern.name is not None:
            return self.pattern.name
        if self.pattern.suffix is not None:
            return f"*.{self.pattern.suffix}"
        if self.network.family == 4 and self.network.prefix == 32:
            return str(parse_host(".".join(str(octet) for octet in self.network.value.to_bytes(4))).text)
        return "*"


def route_configuration(applications: Iterable[ServedApplication], *, exact: bool) -> Config:
    """Return the RouteConfiguration for `applications`; everything else gets 403.

    `exact`: Envoy has the module by which CONNECT ends byte for byte (edge.envoy.halfclose).

    Envoy chooses a virtual host by name alone, so each also holds the routes of every wider pattern that covers
    it, nearest first: ``wiki.corp.example`` on port 22 may be meant by ``*.corp.example``.
    """
    by_domain: dict[str, list[Entry]] = defaultdict(list)
    for application in applications:
        for entry in _entries(application):
            by_domain[entry.domain].append(entry)
    networks = sorted(by_domain.pop("*", []), key=lambda entry: -entry.network.prefix)
    hosts = [
        _virtual_host(domain, _covering(domain, by_domain, networks), exact=exact)
        for domain in sorted(by_domain)
    ]
    return {
        "@type": TYPE + "envoy.config.route.v3.RouteConfiguration",
        "name": NAME,
        "ignore_port_in_host_matching": True,
        # The gateway chose this server by these headers, which are no application's business.
        "request_headers_to_remove": [ROUTE_HEADER, NAME_HEADER],
        "virtual_hosts": [*hosts, _virtual_host("*", networks, exact=exact)],
    }


def _entries(application: ServedApplication) -> Iterator[Entry]:
    for address in application.addresses:
        try:
            yield Entry(parse_pattern(address), tuple(application.ports), application.origin or "")
        except HostInvalid as error:
            # One bad address must not take the others off the air; the console refuses bad ones in the first place.
            logger.error("Application %s: %s It is left out.", application.name, error)


def _covering(domain: str, by_domain: dict[str, list[Entry]], networks: list[Entry]) -> Iterator[Entry]:
    """Return the entries that speak about `domain`, nearest first."""
    yield from by_domain[domain]
    host = parse_host(domain.removeprefix("*."))
    if host.family:
        yield from (
            entry
            for entry in networks
            if entry.network.family == host.family
            and mask(host.family, host.value, entry.network.prefix) == entry.network.value
        )
        return
    rest = domain.removeprefix("*.")
    while "." in rest:
        rest = rest.partition(".")[2]
        yield from by_domain.get(f"*.{rest}", [])


def _virtual_host(domain: str, entries: Iterable[Entry], *, exact: bool) -> Config:
    routes = [
        route
        for entry in dict.fromkeys(entries)
        for route in _routes(entry, by_name=domain != "*", exact=exact)
    ]
    if exact and routes:
        routes.insert(0, _checked())
    everything: list[Config] = [{"connect_matcher": {}}, {"prefix": "/"}]
    refusals = [
        {
            "match": match,
            "direct_response": {"status": 403, "body": {"inline_string": REFUSAL}},
            "response_headers_to_add": [_header(*each) for each in NOT_SERVED],
            "typed_per_filter_config": {RBAC: UNCHECKED},
        }
        for match in everything
    ]
    return {"name": domain, "domains": [domain], "routes": [*routes, *refusals]}


def _header(name: str, value: str) -> Config:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _checked() -> Config:
    """Route that a CONNECT chooses the second time, once it was found on a list, resolved and not refused."""
    return {"match": {"connect_matcher": {}, **is_checked()}, **_to_application(_TUNNEL, ENDS)}


def _routes(entry: Entry, *, by_name: bool, exact: bool) -> Iterator[Config]:
    """Yield a route for CONNECT and one for plain HTTP, where no port means port 80."""
    host = "[^:]+" if by_name else network_pattern(entry.network)
    port = f":{ports_pattern(entry.ports)}"
    plain_port = f"(?:{port})?" if any(first <= 80 <= last for first, last in entry.ports) else port
    origin = _origin(entry)
    filters = _instead(origin)
    yield {
        "match": {"connect_matcher": {}, "headers": [_authority(host + port)]},
        **_to_application(_TUNNEL),
        # The filter is off by default: a route that names it switches it on.
        "typed_per_filter_config": {
            **filters,
            **({GO_ON: set_filter_state(shared(origin))} if exact else {}),
        },
    }
    yield {
        "match": {"prefix": "/", "headers": [_authority(host + plain_port)]},
        **_to_application({}),
        "typed_per_filter_config": filters,
    }


_TUNNEL = {"upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}]}


def _to_application(more: Config, cluster: str = NAME) -> Config:
    # No time limit: a flow lasts as long as its two ends want.
    return {
        "route": {"cluster": cluster, "timeout": "0s", "idle_timeout": "0s", **more},
        # By these headers a server has the gateway try again; an application must not be able to ask for that.
        "response_headers_to_remove": [*OWN_HEADERS],
    }


def _authority(pattern: str) -> Config:
    return {"name": ":authority", "string_match": {"safe_regex": {"regex": pattern}}}


def _origin(entry: Entry) -> list[Config]:
    """Dial the origin in place of the address."""
    if not entry.origin:
        return []
    host, colon, port = entry.origin.rpartition(":")
    if not colon or entry.origin.endswith("]"):  # no port; the colons of an IPv6 address stand in brackets
        host, port = entry.origin, ""
    return [state(DYNAMIC_HOST, host), state(DYNAMIC_PORT, port or metadata(PORT))]


def _instead(origin: list[Config]) -> Config:
    """Dial the origin without the check of own networks: only an origin may be this machine itself."""
    return {SET_FILTER_STATE: set_filter_state(origin), RBAC: UNCHECKED} if origin else {}


def set_filter_state(states: list[Config]) -> Config:
    """Configuration of a filter that keeps `states` with the flow."""
    return {
        "@type": TYPE + "envoy.extensions.filters.http.set_filter_state.v3.Config",
        "on_request_headers": states,
    }
