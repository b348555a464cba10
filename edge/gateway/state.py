"""State that the parts of a gateway's agent share: the configuration in force, the live tunnels, the counters."""

import gc
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from edge.access.decision import Decision, Destination, decide
from edge.access.snapshot import Snapshot, Tunnels
from edge.protocol.codes import Code
from edge.protocol.edition import NONE, Edition
from edge.protocol.identity import SessionIdentity

# From this cap on an account has no bucket, which would cost the throughput that it allows.
UNCAPPED_KBPS = 1_000_001


@dataclass(slots=True)
class Metrics:
    """Counters since the agent started."""

    decisions: Counter[str] = field(default_factory=Counter)  # by code
    cuts: int = 0
    flows_closed: int = 0
    tunnels_refused: int = 0
    envoy_restarts_for_cuts: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Reason why no flow at all is let in now."""

    code: Code
    message: str


class GatewayState:
    """State of a gateway, changed from one event loop only. ``snapshot`` always carries the connectors online now.

    ``clock`` is the console's time (epoch s), for what the console dates: ``clock`` jumps when the gateway's clock or
    the console's is put right. ``ticks`` (s) never jump, and measure how long something lasts.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.time, ticks: Callable[[], float] = time.monotonic
    ) -> None:
        self.clock = clock
        self.ticks = ticks
        self.metrics = Metrics()
        self.snapshot: Snapshot | None = None
        self.tunnels: Tunnels = {}
        self.heard_at = 0.0
        self._closed: Refusal | None = None
        self._views: dict[frozenset[str], Snapshot] = {}

    @property
    def current(self) -> Snapshot:
        """Configuration in force, for callers that are reached only when there is one; else raises RuntimeError."""
        if self.snapshot is None:
            raise RuntimeError("There is no configuration yet.")
        return self.snapshot

    @property
    def edition(self) -> Edition:
        """Edition of the configuration in force; that of none before the first."""
        return self.snapshot.edition if self.snapshot else NONE

    def adopt(self, snapshot: Snapshot) -> None:
        """Put a configuration in force."""
        self._closed = None
        self._views.clear()
        # The collector need not look through a large configuration again and again; counting references frees a
        # configuration that is replaced.
        gc.freeze()
        self.snapshot = snapshot.with_online(snapshot.online_by(self.tunnels))

    def close(self, refusal: Refusal) -> None:
        """Let no flow stand and none in, for this reason, until a configuration comes into force."""
        self._closed = refusal
        self.snapshot = None
        self._views.clear()

    def set_tunnels(self, tunnels: Tunnels) -> bool:
        """Take over Envoy's list of live tunnels; True when the list changed."""
        if tunnels == self.tunnels:
            return False
        self.tunnels = dict(tunnels)
        if self.snapshot is not None:
            self.snapshot = self.view(self.snapshot.online_by(self.tunnels))
        return True

    def view(self, online: frozenset[str]) -> Snapshot:
        """Return the configuration in force as if these connectors were online."""
        found = self._views.get(online)
        if found is None:
            if len(self._views) > 256:
                self._views.clear()
            found = self._views[online] = self.current.with_online(online)
        return found

    def heard_console(self) -> None:
        self.heard_at = self.clock()

    def refusal(self) -> Refusal | None:
        """Return why the gateway fails closed: without a configuration, or with its console silent for too long."""
        if self.snapshot is None:
            return self._closed or Refusal(Code.NOT_CONFIGURED, "This gateway has no configuration yet.")
        if self.clock() - self.heard_at > self.snapshot.offline_seconds:
            return Refusal(
                Code.CONSOLE_LOST,
                "This gateway has not heard from its console for too long to let anyone in.",
            )
        return None

    def cap(self, identity: SessionIdentity) -> int | None:
        """Return kbit/s, each way, for all flows of the session's account together; None without a cap."""
        kbps = self.current.bandwidth.get(identity.account, identity.bandwidth_kbps)
        return None if kbps is None or kbps >= UNCAPPED_KBPS else kbps

    def decide(self, identity: SessionIdentity, destination: Destination) -> Decision:
        return decide(identity, destination, self.current, now=self.clock())

    def appoint(self, connector: str) -> str | None:
        """Return the server that has to carry a flow, or None when Envoy may take any live server of the connector.

        A server must be named while one that may carry no new flows (disabled, draining) still holds a tunnel.
        """
        live = sum(1 for (owner, _), count in self.tunnels.items() if owner == connector and count > 0)
        open_ = self.current.open_servers(connector, self.tunnels)
        return random.choice(open_) if open_ and len(open_) < live else None  # noqa: S311
