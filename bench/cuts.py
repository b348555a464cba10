"""Time from the click to the end of an open flow: a connector is switched off through the console, a hundred times.

The time runs, all on one clock, from the moment the POST of the switch is sent until the client's socket reports the
end of the flow. The time includes the console's work up to the commit, so the time is an upper bound of "from commit
to the last byte". A second time, from the console's answer to the end, is what somebody who sees the switch flip
still waits.
"""

import threading
import time
from contextlib import closing
from dataclasses import dataclass

import httpx
from rich.table import Table

from tests.demo import Demo, Tunnel, post, wait_until

READY_SECONDS = 30
CUT_SECONDS = 30


@dataclass
class Cut:
    """Seconds from the POST sent, and from its answer, to the end of the flow (negative: before the answer)."""

    from_sent: float
    from_answer: float


class OpenFlow:
    """Flow to ``echo`` that answered once, and the moment at which its socket ended."""

    def __init__(self, tunnel: Tunnel) -> None:
        self._tunnel = tunnel
        tunnel.socket.settimeout(CUT_SECONDS)
        tunnel.socket.sendall(b"?")
        if tunnel.socket.recv(1) != b"?":
            raise RuntimeError("echo did not answer")
        self.ended_at = 0.0
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def _watch(self) -> None:
        try:
            while self._tunnel.socket.recv(4096):
                pass
        except TimeoutError:
            return
        except OSError:
            pass  # a reset is an end as well
        self.ended_at = time.monotonic()

    def wait(self) -> float:
        self._watcher.join(CUT_SECONDS + 1)
        self._tunnel.close()
        if not self.ended_at:
            raise RuntimeError(f"the flow was not cut within {CUT_SECONDS} s")
        return self.ended_at


def _switch(client: httpx.Client, connector: str, action: str) -> None:
    answer = post(client, f"/sase/connectors/{connector}/{action}/", follow_redirects=False)
    if answer.status_code not in (200, 204, 302, 303):
        raise RuntimeError(f"{action} of {connector} was answered with {answer.status_code}")


def _open_flow(demo: Demo, host: str, port: int) -> OpenFlow:
    """Open a flow, as soon as the gateway lets one through again."""

    def attempt() -> Tunnel | None:
        tunnel = demo.connect(host, port)
        if tunnel.status == 200:
            return tunnel
        tunnel.close()
        return None

    return OpenFlow(wait_until(attempt, READY_SECONDS, what="a flow to echo"))


def measure_cuts(demo: Demo, count: int) -> list[Cut]:
    """Open a flow, switch its connector off, see the flow end, switch the connector on again; ``count`` times."""
    echo, connector = demo.application("echo"), demo.connector()["id"]
    cuts = []
    with closing(demo.admin_client()) as client:
        for _ in range(count):
            flow = _open_flow(demo, echo["host"], echo["port"])
            try:
                sent = time.monotonic()
                _switch(client, connector, "disable")
                answered = time.monotonic()
                ended = flow.wait()
            finally:
                _switch(client, connector, "enable")
            cuts.append(Cut(ended - sent, ended - answered))
    return cuts


def percentile(values: list[float], percent: float) -> float:
    """Return the smallest value that at least ``percent`` per cent of the values do not exceed."""
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]


def cuts_table(demo: Demo, count: int) -> Table:
    cuts = measure_cuts(demo, count)
    table = Table(
        "from … to the end of the flow", "p50", "p95", "p99", "longest", title=f"Time to cut, {count} cuts"
    )
    for name, values in (
        ("the click's POST sent (upper bound of: its commit)", [cut.from_sent for cut in cuts]),
        ("the console's answer (negative: before it)", [cut.from_answer for cut in cuts]),
    ):
        table.add_row(name, *(f"{percentile(values, part) * 1000:.0f} ms" for part in (50, 95, 99, 100)))
    return table
