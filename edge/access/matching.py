"""Applications that name a host and a port: look-ups whose cost does not grow with applications that cannot match."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from edge.access.hosts import Host, Network, Pattern, mask, parse_pattern


@dataclass(frozen=True, slots=True)
class Application:
    id: str
    name: str
    ports: tuple[tuple[int, int], ...]


class PrefixTable:
    """Networks by prefix length: looking an address up costs one dictionary access for each length in use."""

    def __init__(self) -> None:
        self._lengths: dict[int, dict[int, dict[int, Any]]] = {4: {}, 6: {}}

    def slot(self, network: Network, default: Any) -> Any:
        lengths = self._lengths[network.family]
        if network.prefix not in lengths:
            lengths[network.prefix] = {}
            self._lengths[network.family] = dict(
                sorted(lengths.items(), reverse=True)
            )  # the most specific first
        return self._lengths[network.family][network.prefix].setdefault(network.value, default)

    def entries(self) -> Iterator[tuple[Network, Any]]:
        """Yield every network with what is in its slot."""
        for family, lengths in self._lengths.items():
            for prefix, table in lengths.items():
                for value, held in table.items():
                    yield Network(family, value, prefix), held

    def find(self, host: Host) -> Iterator[Any]:
        for prefix, table in self._lengths[host.family].items():
            if prefix >= host.least_prefix:
                found = table.get(mask(host.family, host.value, prefix))
                if found is not None:
                    yield found


class PortTable:
    """Applications on one address, by port."""

    def __init__(self) -> None:
        self.single: dict[int, list[Application]] = {}
        self.ranges: list[tuple[int, int, Application]] = []
        self.applications: list[Application] = []

    def add(self, application: Application) -> None:
        if application in self.applications[-1:]:  # the same address given twice
            return
        self.applications.append(application)
        for low, high in application.ports:
            if low == high:
                self.single.setdefault(low, []).append(application)
            else:
                self.ranges.append((low, high, application))

    def find(self, port: int) -> Iterable[Application]:
        if not self.ranges:
            return self.single.get(port, ())
        return [*self.single.get(port, ()), *(a for low, high, a in self.ranges if low <= port <= high)]


class ApplicationIndex:
    """Index of applications by the hosts that they name."""

    def __init__(self) -> None:
        self.names: dict[str, PortTable] = {}
        self.suffixes: dict[str, PortTable] = {}
        self.networks = PrefixTable()

    def add(self, application: Application, addresses: Iterable[str]) -> None:
        for address in addresses:
            pattern = parse_pattern(address)
            if pattern.name is not None:
                table = self.names.setdefault(pattern.name, PortTable())
            elif pattern.suffix is not None:
                table = self.suffixes.setdefault(pattern.suffix, PortTable())
            elif pattern.network is not None:
                table = self.networks.slot(pattern.network, PortTable())
            table.add(application)

    def entries(self) -> Iterator[tuple[Pattern, Application]]:
        """Yield every address with each application that names the address."""
        for name, table in self.names.items():
            yield from ((Pattern(name=name), application) for application in table.applications)
        for suffix, table in self.suffixes.items():
            yield from ((Pattern(suffix=suffix), application) for application in table.applications)
        for network, table in self.networks.entries():
            yield from ((Pattern(network=network), application) for application in table.applications)

    def tables(self, host: Host) -> Iterator[PortTable]:
        if host.family:
            yield from self.networks.find(host)
            return
        exact = self.names.get(host.text)
        if exact is not None:
            yield exact
        rest = host.text
        while "." in rest:
            rest = rest.partition(".")[2]
            wildcard = self.suffixes.get(rest)
            if wildcard is not None:
                yield wildcard
