"""Every fault on every part of a running world: each cell of the matrix is one line of a table, with what is promised.

Design §10: open flows, new flows and the console's pages while the fault lasts; afterwards everything is as before,
a change that was made meanwhile has reached every machine, and the bytes on record are those that were sent.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from tests.demo import Tunnel, post, read_exactly, wait_until
from tests.e2e.fault_world import FAKETIME, World, missing, world

pytestmark = [pytest.mark.processes, pytest.mark.faults]

BACK_SECONDS = 60
CHUNK = 20_000

# What may be promised of flows that were open before …
ALL, OTHERS, ANY = "all live", "some live: those that go another way", "they may break"
# … of new flows of known sessions …
OPEN, SOON, CLOSED, UNKNOWN = (
    "let in",
    "let in as soon as the fault is noticed",
    "not let in",
    "not looked at",
)
# … and of the console's pages.
UP, SAYS, SILENT = "answer", "503 with a sentence, or no answer in time", "no answer"


@dataclass(frozen=True)
class Promise:
    """``exact``: the bytes of all flows are counted to the last one; else the newest ones may be lost with Envoy."""

    flows: str
    new: str
    console: str = UP
    exact: bool = True
    why: str = ""


NOTHING = Promise(ALL, OPEN)
ALONE = Promise(ALL, OPEN, SILENT, why="going on alone")
NO_DATABASE = Promise(ALL, OPEN, SAYS, why="the console says so, everybody else goes on alone")

MATRIX: dict[tuple[str, str], Promise] = {
    ("kill", "console"): ALONE,
    ("kill", "database"): NO_DATABASE,
    ("kill", "gateway agent"): Promise(ALL, CLOSED, why="fail closed"),
    ("kill", "gateway Envoy"): Promise(ANY, UNKNOWN, exact=False, why="its agent starts it at once"),
    ("kill", "server agent"): Promise(ALL, OPEN, why="Envoy goes on without its agent"),
    ("kill", "server Envoy"): Promise(OTHERS, OPEN, why="the other server, at once"),
    #
    ("stop", "console"): ALONE,
    ("stop", "database"): NO_DATABASE,
    ("stop", "gateway agent"): Promise(ALL, CLOSED, why="fail closed"),
    ("stop", "gateway Envoy"): Promise(ANY, CLOSED, why="users have one gateway in their area"),
    ("stop", "server agent"): NOTHING,
    ("stop", "server Envoy"): Promise(OTHERS, SOON, why="told from a slow one when a ping is overdue"),
    #
    ("restart", "console"): ALONE,
    ("restart", "database"): NO_DATABASE,
    ("restart", "gateway agent"): Promise(ANY, CLOSED, exact=False, why="told to end, it ends its Envoy"),
    ("restart", "gateway Envoy"): Promise(ANY, UNKNOWN, exact=False, why="its agent starts it at once"),
    ("restart", "server agent"): Promise(OTHERS, OPEN, why="told to end, an agent ends its Envoy"),
    ("restart", "server Envoy"): Promise(OTHERS, OPEN, why="the other server, at once"),
    #
    ("cut network", "console"): ALONE,
    ("cut network", "database"): NO_DATABASE,
    ("cut network", "gateway agent"): Promise(ALL, OPEN, why="of an agent: its way to the console"),
    ("cut network", "gateway Envoy"): Promise(
        ANY, CLOSED, why="of an Envoy: its ways to servers and clients"
    ),
    ("cut network", "server agent"): NOTHING,
    ("cut network", "server Envoy"): Promise(OTHERS, SOON, why="noticed when a ping is overdue"),
    #
    ("full disk", "console"): NOTHING,
    ("full disk", "database"): Promise(ALL, OPEN, UNKNOWN, why="what was written can be read; records wait"),
    ("full disk", "gateway agent"): NOTHING,
    ("full disk", "gateway Envoy"): NOTHING,
    ("full disk", "server agent"): NOTHING,
    ("full disk", "server Envoy"): NOTHING,
    #
    # To set its clock or zone a part is started anew; that everything runs on with it is what is promised.
    **{
        (fault, part): promise
        for fault in ("clock an hour ahead", "clock an hour behind", "wrong time zone")
        for part, promise in {
            "console": NOTHING,
            "database": NOTHING,
            # Killed and started twice: what Envoy sent to the one that was gone is not sent again.
            "gateway agent": Promise(ALL, SOON, exact=False, why="started anew for its clock"),
            "gateway Envoy": Promise(ANY, SOON, exact=False, why="started anew for its clock"),
            "server agent": NOTHING,
            "server Envoy": Promise(OTHERS, OPEN, why="started anew for its clock"),
        }.items()
    },
}

# Cells that cannot be looked at, and why.
LEFT_OUT = {
    (
        f"clock an hour {way}",
        part,
    ): "Envoy does not start under libfaketime; what a clock that is behind would break"
    " are certificates, and they are valid from two hours before they are made: tests/console/test_enrollment.py"
    for way in ("ahead", "behind")
    for part in ("gateway Envoy", "server Envoy")
}


# -- Before, while, after ---------------------------------------------------------------------------------------------


@dataclass
class Watch:
    """What is seen from outside: flows, pages, and the console's records."""

    world: World
    browser: httpx.Client
    exact: bool = True
    open: list[Tunnel] = field(default_factory=list)
    # Bytes of a cell's exact flows: given to them, and come back from the echo service; and those on record before
    sent: int = 0
    echoed: int = 0
    earlier: tuple[int, int] = (0, 0)
    renamed: int = 0

    def connect(self, seconds: float = 10) -> Tunnel:
        """A flow to the echo service: exact ones belong to one account, the others to another."""
        account = self.world.demo.world["accounts"][0 if self.exact else 1]
        return self.world.demo.connect("echo.corp.example", 7, account=account, timeout=seconds)

    def echoes(self, flow: Tunnel, count: int = 100) -> bool:
        """Whether so many bytes come back, within a few seconds."""
        try:
            flow.socket.settimeout(3)
            self.sent += count * self.exact
            flow.socket.sendall(b"x" * count)
            received = len(read_exactly(flow.socket, count))
            self.echoed += received * self.exact
        except OSError:
            return False
        return received == count

    def new_flow(self, seconds: float = 3) -> bool:
        """Whether a flow is let in and carries bytes both ways, within this time."""
        try:
            with self.connect(seconds) as flow:
                return flow.status == 200 and self.echoes(flow)
        except (OSError, AssertionError):
            return False

    def recorded(self) -> tuple[int, int, int]:
        """Of the flows of the exact account: how many are open, bytes up and bytes down of this cell."""
        username = self.world.demo.world["accounts"][0]["username"]
        (found,) = self.world.rows(
            "SELECT count(*) FILTER (WHERE ended_at IS NULL), coalesce(sum(bytes_up), 0)::bigint,"
            " coalesce(sum(bytes_down), 0)::bigint FROM roaming_flow WHERE host = 'echo.corp.example'"
            " AND account = (SELECT id FROM roaming_clientaccount WHERE username = %s)",
            username,
        )
        return int(found[0]), int(found[1]) - self.earlier[0], int(found[2]) - self.earlier[1]

    def is_counted(self) -> bool:
        """Whether the ends of all flows, and what came back to us, are on record."""
        flows, _, down = self.recorded()
        return not flows and down >= self.echoed

    def begin(self, *, exact: bool) -> None:
        """A cell: what is counted begins at nothing, so that one that fails fails alone."""
        self.exact, self.sent, self.echoed, self.earlier = exact, 0, 0, (0, 0)
        _, up, down = self.recorded()
        self.earlier = up, down

    def page(self, seconds: float = 3) -> tuple[int, str]:
        """Status and text of a page; 0 without an answer in time."""
        try:
            answer = httpx.get(f"{self.world.demo.console}/healthz", timeout=seconds)
        except httpx.HTTPError:
            return 0, ""
        return answer.status_code, answer.text

    def change(self) -> None:
        """Make a change that every gateway and server must learn of."""
        self.renamed += 1
        connector = self.world.demo.connector()["id"]
        name = {"name": f"head-office-{self.renamed}"}
        post(self.browser, f"/sase/connectors/{connector}/rename/", name).raise_for_status()

    def all_follow(self) -> bool:
        """Whether every machine works by the newest configuration."""
        ((version, servers),) = self.world.rows("SELECT version, servers_version FROM console_configversion")
        gateways = {found for (found,) in self.world.rows("SELECT applied_version FROM console_gateway")}
        behind = self.world.rows("SELECT id FROM connectors_server WHERE applied_version < %s", servers)
        return gateways == {version} and not behind


def before(watch: Watch) -> None:
    wait_until(lambda: all(watch.new_flow() for _ in range(3)), BACK_SECONDS, what="a world in good health")
    # With so many, both servers carry one but for chances of 1 in 32.
    watch.open = [watch.connect() for _ in range(6)]
    assert all(watch.echoes(flow, CHUNK) for flow in watch.open)


def while_it_lasts(watch: Watch, promise: Promise) -> None:
    lives = [watch.echoes(flow) for flow in watch.open] if promise.flows != ANY else []
    assert all(lives) if promise.flows == ALL else any(lives) or promise.flows == ANY, lives
    if promise.new == OPEN:
        assert [watch.new_flow(8) for _ in range(4)] == [True] * 4, "new flows of known sessions"
    elif promise.new == SOON:
        wait_until(lambda: all(watch.new_flow() for _ in range(6)), 30, what="six new flows in a row")
    elif promise.new == CLOSED:
        assert not watch.new_flow(2)
    if promise.console == UP:
        wait_until(lambda: watch.page()[0] == 200, 20, what="the console")
        watch.change()
    elif promise.console != UNKNOWN:
        status, text = watch.page(2 if promise.console == SILENT else 12)
        assert status in ((0,) if promise.console == SILENT else (0, 503)), (status, text)


def after(watch: Watch, promise: Promise) -> None:
    wait_until(lambda: watch.page()[0] == 200, BACK_SECONDS, what="the console")
    wait_until(lambda: all(watch.new_flow() for _ in range(4)), BACK_SECONDS, what="new flows as before")
    if promise.console != UP:
        watch.change()
    wait_until(watch.all_follow, BACK_SECONDS, what="every machine at the newest configuration")
    for flow in watch.open:
        flow.close()
    # Of a gateway's Envoy that died, the last seconds are lost with it.
    wait_until(watch.is_counted, BACK_SECONDS, what="every byte on record")
    _, up, down = watch.recorded()
    assert watch.echoed <= down <= up <= watch.sent, "every byte once"


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    if reason := missing():
        pytest.skip(reason)
    with (
        world(tmp_path_factory.mktemp("faults")) as made,
        contextlib.closing(made.demo.admin_client()) as browser,
    ):
        yield Watch(made, browser)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("fault", "part"), MATRIX)
def test_a_fault_breaks_no_more_than_is_promised(watch: Watch, fault: str, part: str) -> None:
    promise = MATRIX[fault, part]
    if reason := LEFT_OUT.get((fault, part)):
        pytest.skip(reason)
    if fault.startswith("clock") and FAKETIME is None:
        pytest.skip("needs libfaketime (Debian: faketime)")
    watch.begin(exact=promise.exact)
    before(watch)
    with watch.world.fault(fault, part):
        while_it_lasts(watch, promise)
    after(watch, promise)
