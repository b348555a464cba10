"""Edition of a configuration: by it console and machines know whether a machine works by what the console has now."""

from __future__ import annotations

from typing import NamedTuple


class Edition(NamedTuple):
    """Place in a console's history: the epoch of its configuration, and the version in that epoch.

    Within an epoch versions rise. A console whose history was turned back begins another epoch, so that no number of
    before says anything any more. Release 0.1 knows no epochs: where either is empty, numbers decide.
    """

    epoch: str
    version: int

    def follows(self, other: Edition) -> bool:
        """Tell whether who works by `other` has to take this one: of another epoch, or newer in the same."""
        return self._is_elsewhere(other) or self.version > other.version

    def is_older_than(self, other: Edition) -> bool:
        """Tell whether this one must not take the place of `other`: of the same epoch, and before it."""
        return not self._is_elsewhere(other) and self.version < other.version

    def _is_elsewhere(self, other: Edition) -> bool:
        return "" not in (self.epoch, other.epoch) and self.epoch != other.epoch


NONE = Edition("", 0)
