"""Pace of one account: how fast it may open flows, from whatever addresses, while a gateway is too busy."""

from collections import OrderedDict
from collections.abc import Callable

# Decisions wait for milliseconds while the gateway keeps up; Envoy gives up after 10 s.
BUSY_SECONDS = 1.0
ACCOUNTS = 10_000


class Pace:
    """Bucket for each account: ``flows`` a second, five times as many at once; ``ticks`` never jump."""

    def __init__(self, ticks: Callable[[], float], flows: float) -> None:
        self._ticks, self._flows, self._burst = ticks, flows, 5.0 * flows
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, account: str, waited: float) -> bool:
        """Count a flow that waited so many seconds for its decision; False when the flow should not begin now.

        No account is held back while the gateway keeps up.
        """
        now = self._ticks()
        left, since = self._left.get(account, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._flows)
        within = left >= 1.0
        self._left[account] = (left - within, now)
        self._left.move_to_end(account)
        if len(self._left) > ACCOUNTS:
            self._left.popitem(last=False)
        return within or waited < BUSY_SECONDS
