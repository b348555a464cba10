"""Fair shares of what one caller may have in a minute, counted in buckets that leak, by each process for itself."""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from console.core.errors import Refusal

# Keys remembered at a time. Of more, those longest without a call are forgotten, whose buckets are empty by then.
MOST_KEYS = 50_000


class TooMany(Refusal):
    """Refusal of what is beyond a caller's share. ``retry_after``: whole seconds until there is room."""

    status = 429
    code = "TooMany"

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = max(1, math.ceil(retry_after))


class Rate:
    """Share of each key: as much as it has in a minute, at once or spread. Safe to use from several threads.

    ``per_minute`` is asked each time, so that a changed setting counts. What is more than a whole share goes when the
    bucket is empty: a caller is never shut out for ever.
    """

    def __init__(self, per_minute: Callable[[], int], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._lock = threading.Lock()
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, key: str, amount: int = 1) -> float:
        """Return after how many seconds a key has room for an amount, 0 for now; count nothing."""
        share = max(1, self._per_minute())
        with self._lock:
            over = self._level(key, share) + min(amount, share) - share
        return max(0.0, over * 60 / share)

    def count(self, key: str, amount: int = 1) -> None:
        """Count an amount, whether there is room or not."""
        share = max(1, self._per_minute())
        with self._lock:
            self._levels[key] = (self._level(key, share) + min(amount, share), self._clock())
            self._levels.move_to_end(key)
            if len(self._levels) > MOST_KEYS:
                self._levels.popitem(last=False)

    def take(self, key: str, amount: int, message: str) -> None:
        """Count an amount, or raise ``TooMany`` with the message and count nothing."""
        if (seconds := self.wait(key, amount)) > 0:
            raise TooMany(message, seconds)
        self.count(key, amount)

    def forget(self) -> None:
        """Empty every bucket."""
        with self._lock:
            self._levels.clear()

    def _level(self, key: str, share: int) -> float:
        level, at = self._levels.get(key, (0.0, 0.0))
        return max(0.0, level - (self._clock() - at) * share / 60)
