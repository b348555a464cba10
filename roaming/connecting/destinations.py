"""Hosts and ports by which commands are shown: what an account, or some account of an instance, may ask for.

The app above that knows applications registers a function in ``AppConfig.ready()``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from roaming.accounts.models import ClientAccount

Ports = Sequence[tuple[int, int]]
Named = tuple[str, Ports]
"""Host name, and the ports that go with it; none for all."""
Finder = Callable[[ClientAccount | None], Sequence[Named]]
_finders: list[Finder] = []


@dataclass(frozen=True)
class Destination:
    """Host of a command. ``is_real``: an application has it; else somebody puts a host of his own there."""

    host: str
    is_real: bool


def contribute(finder: Finder) -> None:
    """Register ``finder``, which returns hosts of an account, or of all applications for None, in few queries."""
    _finders.append(finder)


def named(account: ClientAccount | None) -> list[Named]:
    """Return hosts with their ports."""
    return [each for finder in _finders for each in finder(account)]


def choose(hosts: Sequence[Named], word: str, *ports: int) -> Destination:
    """Return the host for a kind of program: one with the first port that any has, whose name begins with ``word``."""
    for port in ports:
        fitting = [host for host, ranges in hosts if _has(ranges, port)]
        if fitting:
            return Destination(min(fitting, key=lambda host: (not host.startswith(word), host)), True)
    return Destination(f"{word}.example.com", False)


def _has(ranges: Ports, port: int) -> bool:
    return not ranges or any(first <= port <= last for first, last in ranges)
