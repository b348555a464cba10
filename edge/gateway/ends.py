"""Sessions that ended since the configuration in force was made: told of ahead of the next one, and kept on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping

from edge.access.snapshot import Snapshot
from edge.home import Home
from edge.protocol.message import Message
from edge.protocol.values import Epoch, Mark, Version

FILE = "ended.json"


class Ends(Message, frozen=True, kw_only=True):
    """What ended since a configuration, of which `epoch`, `version` and `after` (its `ends`) are.

    `ended_sessions`: session → reason; `ends`: mark of the last of them, which goes out with the next poll.
    """

    epoch: Epoch
    version: Version
    after: Mark
    ends: Mark
    ended_sessions: Mapping[str, str]

    @classmethod
    def none_since(cls, snapshot: Snapshot) -> Ends:
        """Begin with a configuration, since which nothing ended yet."""
        epoch, version = snapshot.edition
        return cls(epoch=epoch, version=version, after=snapshot.ends, ends=snapshot.ends, ended_sessions={})

    @classmethod
    def on_disk(cls, home: Home, snapshot: Snapshot) -> Ends:
        """Read what ended since the configuration on disk. Raise ValueError or OSError for a damaged file."""
        nothing = cls.none_since(snapshot)
        try:
            found = cls.decode(json.loads(home.file(FILE).read_bytes()))
        except FileNotFoundError:
            return nothing
        return found if found._is_since(nothing) else nothing

    def and_then(self, ended: Mapping[str, str], ends: str) -> Ends:
        """Add sessions that ended after those known."""
        known = {**self.ended_sessions, **ended}
        return Ends(epoch=self.epoch, version=self.version, after=self.after, ends=ends, ended_sessions=known)

    def file(self) -> bytes:
        """Return what goes to the disk."""
        return json.dumps(self.encode()).encode()

    def _is_since(self, other: Ends) -> bool:
        return (self.epoch, self.version, self.after) == (other.epoch, other.version, other.after)
