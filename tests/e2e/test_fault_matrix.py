"""Every fault on every part of a running world: each cell of the matrix is one line of a table, with what is promised.

Promised are open flows, new flows and the console's pages while the fault lasts; afterwards everything is as before,
a change that was made meanwhile has reached every machine, and the bytes on record are those that were sent.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.demo import Tunnel, in_time, post, read_exactly
from tests.e2e import wrong_clock
from tests.e2e.breaking import FAULTS
from tests.e2e.fault_world import World, missing, world

pytestmark = [pytest.mark.processes, pytest.mark.faults]

BACK_SECONDS = 60
PATIENCE = 20
CHUNK = 20_000
# Flows of a cell: each goes to either server, and both servers carry one but for chances of 1 in 8,000.
FLOWS = 14

# Promises for flows that were open before …
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

# Signs of a kept promise: of the open flows whether each lives, of new ones whether each is let in, of the pages
# one of these statuses.
KEPT: dict[str, Callable[[list[bool]], bool]] = {ALL: all, OTHERS: any, ANY: lambda _: True}
LET_IN = {OPEN: [True] * 4, SOON: [True] * 6, CLOSED: [False], UNKNOWN: []}
STATUSES = {UP: (200,), SAYS: (0, 503), SILENT: (0,), UNKNOWN: (None,)}


@dataclass(frozen=True)
class Promise:
    """Promise of a cell. ``exact``: every byte of all flows is counted; else the newest may be lost with Envoy."""

    flows: str
    new: str
    console: str = UP
    exact: bool = True
    why: str = ""


NOTHING = Promise(ALL, OPEN)
ALONE = Promise(ALL, OPEN, SILENT, why="going on alone")
NO_DATABASE = Promise(ALL, OPEN, SAYS, why="the console says so, everybody else goes on alone")

SETTINGS = ("clock an hour ahead", "clock an hour behind", "wrong time zone")
# Faults beside which every machine learns of a change while they last.
FOLLOWED = (*SETTINGS, "restored from yesterday", "one hostile client")

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
    # An Envoy's agent is told to end, which ends Envoy, and has to start Envoy without room.
    ("started on a full disk", "gateway agent"): Promise(ALL, SOON, why="it adopts its Envoy"),
    ("started on a full disk", "gateway Envoy"): Promise(ANY, SOON, exact=False, why="started anew"),
    ("started on a full disk", "server agent"): NOTHING,
    ("started on a full disk", "server Envoy"): Promise(OTHERS, OPEN, why="started anew"),
    #
    # With the console: while its database is put back, it is not there; then it has forgotten what machines know.
    ("restored from yesterday", "database"): Promise(
        ALL, OPEN, why="a new epoch: every machine takes the present truth at once"
    ),
    #
    # Slow bodies, silence and wrong log-ons from many addresses (tests/hostile.py).
    ("one hostile client", "console"): Promise(ALL, OPEN, why="the front bounds what a stranger can hold"),
    #
    # A part is started anew to set its clock or zone; the promise is that everything runs on with the wrong one.
    **{
        (fault, part): promise
        for fault in SETTINGS
        for part, promise in {
            "console": NOTHING,
            "database": NOTHING,
            # Killed and started twice: Envoy does not send again what it sent to the agent that was gone.
            "gateway agent": Promise(ALL, SOON, exact=False, why="started anew for its clock"),
            "gateway Envoy": Promise(ANY, SOON, exact=False, why="started anew for its clock"),
            "server agent": NOTHING,
            "server Envoy": Promise(OTHERS, OPEN, why="started anew for its clock"),
        }.items()
    },
}


# -- What is seen ---------------------------------------------------------------------------------------------


@dataclass
class Watch:
    """Watch from outside: over flows, pages, and the console's records."""

    world: World
    browser: httpx.Client
    exact: bool = True
    # Bytes of a cell's exact flows: given to them, and come back from the echo service; and those on record before
    sent: int = 0
    echoed: int = 0
    earlier: tuple[int, int] = (0, 0)
    renamed: int = 0

    def connect(self, seconds: float = 10) -> Tunnel:
        """Open a flow to the echo service: exact flows belong to one account, others to another."""
        account = self.world.demo.world["accounts"][0 if self.exact else 1]
        return self.world.demo.connect("echo.corp.example", 7, account=account, timeout=seconds)

    def echoes(self, flow: Tunnel, count: int = 100, seconds: float = 3) -> bool:
        """Tell whether so many bytes come back in time; a busy machine needs more time for a flow that should go on."""
        try:
            flow.socket.settimeout(seconds)
            self.sent += count * self.exact
            flow.socket.sendall(b"x" * count)
            received = len(read_exactly(flow.socket, count))
            self.echoed += received * self.exact
        except OSError:
            return False
        return received == count

    def new_flow(self, seconds: float = 3) -> bool:
        """Tell whether a flow is let in and carries bytes both ways, within this time."""
        try:
            with self.connect(seconds) as flow:
                return flow.status == 200 and self.echoes(flow, seconds=seconds)
        except (OSError, AssertionError):
            return False

    def recorded(self) -> tuple[int, int, int]:
        """Return of the exact account's flows how many are open, and bytes up and bytes down of this cell."""
        username = self.world.demo.world["accounts"][0]["username"]
        (found,) = self.world.rows(
            "SELECT count(*) FILTER (WHERE ended_at IS NULL), coalesce(sum(bytes_up), 0)::bigint,"
            " coalesce(sum(bytes_down), 0)::bigint FROM roaming_flow WHERE host = 'echo.corp.example'"
            " AND account = (SELECT id FROM roaming_clientaccount WHERE username = %s)",
            username,
        )
        return int(found[0]), int(found[1]) - self.earlier[0], int(found[2]) - self.earlier[1]

    def uncounted(self) -> tuple[int, int]:
        """Return how many flows have no end on record, and how many bytes that came back are not on record."""
        flows, _, down = self.recorded()
        return flows, max(0, self.echoed - down)

    def settle(self) -> None:
        """Wait until the world is in good health. No program may have died, of a full disk for example."""
        assert in_time(self.page, 200, BACK_SECONDS) == 200, "the console answers"
        usual = LET_IN[OPEN]
        assert in_time(lambda: self.new_flows(OPEN), usual, BACK_SECONDS) == usual, "new flows as usual"
        assert in_time(self.behind, [], BACK_SECONDS) == [], "every machine works by the newest configuration"
        assert self.world.dead() == [], "every program runs"
        # After a full disk, the file that names the process is written some seconds late.
        assert in_time(self.world.unrecorded, [], BACK_SECONDS) == [], "every Envoy is on record"
        assert in_time(self.world.without_tunnels, [], BACK_SECONDS) == [], "flows go by every server"

    def begin(self, *, exact: bool) -> None:
        """Begin a cell: in a world in good health, with counts that begin at nothing."""
        self.exact = False  # flows tried here are not counted
        self.settle()
        assert in_time(lambda: self.recorded()[0], 0, BACK_SECONDS) == 0, (
            "no flow is left open by an earlier cell"
        )
        self.exact, self.sent, self.echoed, self.earlier = exact, 0, 0, (0, 0)
        _, up, down = self.recorded()
        self.earlier = up, down

    @contextlib.contextmanager
    def flows(self) -> Iterator[list[Tunnel]]:
        """Open flows, and close them whatever happens."""
        with contextlib.ExitStack() as stack:
            flows = [stack.enter_context(self.connect(PATIENCE)) for _ in range(FLOWS)]
            assert [self.echoes(flow, CHUNK, PATIENCE) for flow in flows] == [True] * FLOWS
            yield flows

    def page(self, seconds: float = 3) -> int:
        """Return the status of a page; 0 without an answer in time."""
        try:
            return httpx.get(f"{self.world.demo.console}/healthz", timeout=seconds).status_code
        except httpx.HTTPError:
            return 0

    def change(self) -> None:
        """Make a change that every gateway and server must learn of."""
        self.renamed += 1
        connector = self.world.demo.connector()["id"]
        name = {"name": f"head-office-{self.renamed}"}
        post(self.browser, f"/sase/connectors/{connector}/rename/", name).raise_for_status()

    def behind(self) -> list[str]:
        """Return the machines that do not work by the newest configuration, and by which they do."""
        now = "SELECT epoch, version, servers_version FROM console_configversion"
        ((epoch, version, servers),) = self.world.rows(now)
        works_by = "SELECT id, applied_epoch, applied_version"
        other = "(applied_epoch, applied_version) IS DISTINCT FROM (%s, %s)"
        older = "(applied_epoch <> %s OR coalesce(applied_version, 0) < %s)"
        gateways = f"{works_by} FROM console_gateway WHERE {other}"
        others = f"{works_by} FROM connectors_server WHERE {older}"
        return [
            f"{machine} works by {applied} of {of}, not {wanted} of {epoch}"
            for query, wanted in ((gateways, version), (others, servers))
            for machine, of, applied in self.world.rows(query, epoch, wanted)
        ]

    def new_flows(self, promise: str) -> list[bool]:
        """Tell of new flows whether each is let in and carries bytes; as many as show whether the promise is kept."""
        if promise == SOON:
            return list(in_time(lambda: [self.new_flow() for _ in range(6)], LET_IN[SOON], 30))
        return [self.new_flow(PATIENCE if promise == OPEN else 2) for _ in LET_IN[promise]]

    def pages(self, promise: str) -> int | None:
        """Return the status of a page, 0 without an answer; None when no page is looked at."""
        if promise == UNKNOWN:
            return None
        if promise == UP:
            return int(in_time(self.page, 200, 20))
        return self.page(2 if promise == SILENT else 12)


class Worlds:
    """World for all cells; a world in which a cell failed is ended, and the next cell has a new one."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders, self._stack = folders, contextlib.ExitStack()
        self._watch: Watch | None = None

    def _made(self) -> Watch:
        made = self._stack.enter_context(world(self._folders.mktemp("faults")))
        browser = self._stack.enter_context(contextlib.closing(made.demo.admin_client()))
        return Watch(made, browser)

    @contextlib.contextmanager
    def cell(self, *, exact: bool) -> Iterator[Watch]:
        try:
            self._watch = self._watch or self._made()
            self._watch.begin(exact=exact)
            yield self._watch
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        self._watch = None
        self._stack.close()


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    if reason := missing():
        pytest.skip(reason)
    made = Worlds(tmp_path_factory)
    yield made
    made.end()


@pytest.mark.timeout(500)  # the first cell, and a cell after a failed one, makes the world
@pytest.mark.parametrize(("fault", "part"), MATRIX)
def test_a_fault_breaks_no_more_than_is_promised(worlds: Worlds, fault: str, part: str) -> None:
    promise = MATRIX[fault, part]
    if fault.startswith("clock") and (reason := wrong_clock.missing()):
        pytest.skip(reason)
    with worlds.cell(exact=promise.exact) as watch:
        with watch.flows() as flows:
            with FAULTS[fault](watch.world, part):
                promise_is_kept(watch, promise, flows)
                if fault in FOLLOWED:
                    assert in_time(watch.behind, [], BACK_SECONDS) == [], (
                        "a machine follows whatever its clock says, and whatever it knew"
                    )
            assert in_time(watch.page, 200, BACK_SECONDS) == 200, "the console is back"
            if promise.console != UP:
                watch.change()
            watch.settle()
        # The last seconds are lost with a gateway's Envoy that died.
        assert in_time(watch.uncounted, (0, 0), BACK_SECONDS) == (0, 0), (
            "open flows and bytes that are not on record"
        )
        _, up, down = watch.recorded()
        assert watch.echoed <= down <= up <= watch.sent, "every byte once"


def promise_is_kept(watch: Watch, promise: Promise, flows: list[Tunnel]) -> None:
    """Look while the fault lasts; and where the console can take one, make a change that all must learn of."""
    patience = PATIENCE if promise.flows == ALL else 3
    lives = [watch.echoes(flow, seconds=patience) for flow in flows] if promise.flows != ANY else []
    assert KEPT[promise.flows](lives), f"open flows: {promise.flows}; seen: {lives}"
    assert watch.new_flows(promise.new) == LET_IN[promise.new], f"new flows: {promise.new}"
    assert watch.pages(promise.console) in STATUSES[promise.console], f"pages: {promise.console}"
    if promise.console == UP:
        watch.change()
