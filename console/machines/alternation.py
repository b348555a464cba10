"""Judgement of whether two machines live by one identity, from nothing but which start of an agent called, and when.

An agent that is started anew, upgraded, renamed or moved to another host has another start, and its former start never
calls again. So a start that comes back after a later one was heard belongs to a second machine that lives.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

# Returns of each of two starts after which they count as two machines. One return may be a call that was overtaken on
# its way, or a virtual machine that was set back with its memory.
ENOUGH = 2
# Seconds without a call after which returns are counted anew.
QUIET = 300
# Seconds from the first return to the last: an agent that ends while its successor has begun is no second machine.
LASTING = 30
# Seconds between two notes of a start that goes on calling.
STEP = 5


@dataclass(frozen=True)
class Start:
    """Start of an agent. ``since``, ``seen``: when its first and last call were signed, in seconds of the epoch.

    ``returns``: how often the start came back after another one, the first time at ``returned``.
    """

    since: float
    seen: float
    returns: int = 0
    returned: float = 0.0

    def back(self, signed: float) -> "Start":
        """Return the start after it came back; a return after a long silence is the first of others."""
        if not self.returns or signed - self.seen > QUIET:
            return replace(self, seen=signed, returns=1, returned=signed)
        return replace(self, seen=signed, returns=self.returns + 1)

    def lives_beside_another(self, now: float) -> bool:
        lasted = self.returns >= ENOUGH and self.seen - self.returned >= LASTING
        return lasted and now - self.seen <= QUIET


@dataclass(frozen=True)
class Course:
    """Starts heard of one identity; ``current`` is the one that called last."""

    current: str = ""
    starts: Mapping[str, Start] = field(default_factory=dict)

    def heard(self, start: str, signed: float) -> "Course":
        """Return the course after a call that ``start`` signed at a moment."""
        known, last = self.starts.get(start), self.starts.get(self.current)
        if known is None:
            return Course(start, {**self.starts, start: Start(signed, signed)})
        if start == self.current and signed - known.seen < STEP:
            return self
        if start == self.current or last is None:
            now = replace(known, seen=max(signed, known.seen))
        elif signed <= last.since:  # signed before the other one began: the call was overtaken
            return self
        else:
            now = known.back(signed)
        return Course(start, {**self.starts, start: now})

    def copies(self, now: float) -> frozenset[str]:
        """Return the starts that are two machines or more at ``now``; none while all calls may be of one machine."""
        found = [name for name, start in self.starts.items() if start.lives_beside_another(now)]
        return frozenset(found) if len(found) > 1 else frozenset()
