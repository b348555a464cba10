"""Which open flows are cut, by which means, and when Envoy has to be restarted for it."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from envoy.data.accesslog.v3 import accesslog_pb2
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from edge.access.decision import Destination
from edge.access.snapshot import Snapshot
from edge.envoy.agent import METADATA
from edge.gateway import cutting
from edge.gateway.accesslog import FlowLog
from edge.gateway.cutting import Cutter, plan, stands
from edge.gateway.flow import CUT, FLOW_KEY, Flow
from edge.gateway.flows import Flows
from edge.gateway.state import GatewayState, Refusal
from edge.machine.spool import Spool
from edge.protocol.codes import Code
from edge.protocol.configuration import GatewayConfiguration
from edge.protocol.identity import SessionIdentity
from tests.edge.access.test_decision import ALICE, NOW, world
from tests.edge.gateway_lab import connector, policy
from tests.edge.gateway_network import told

WIKI = Destination.parse("wiki.corp.example:80")
POLICIES = [policy("first", "c1"), policy("second", "c2", priority=20)]


def adopt(state: GatewayState, **changes: Any) -> None:
    document = world(policies=POLICIES) | changes
    state.adopt(Snapshot.compile(GatewayConfiguration.decode(document)))


@pytest.fixture
def state() -> GatewayState:
    """A gateway to which ``c1`` and ``c2`` have tunnels; policies prefer ``c1``."""
    made = GatewayState(clock=lambda: NOW, ticks=lambda: NOW)
    adopt(made)
    made.set_tunnels({("c1", "server-1"): 1, ("c2", "server-1"): 1})
    return made


def admitted(state: GatewayState, name: str = "flow-1", *, cap: int | None = None) -> Flow:
    decision = state.decide(ALICE, WIKI)
    assert decision.allowed
    return Flow.allowed(name, ALICE, WIKI, decision, state, cap=cap)


class Stream:
    """Envoy's end of a flow's stream. ``reacts``: whether Envoy ends what it is told to end."""

    def __init__(self, flow: Flow, *, reacts: bool = True, broken: bool = False) -> None:
        self.flow, self._reacts, self._broken = flow, reacts, broken
        self.written: list[Any] = []
        flow.stream = self

    async def write(self, message: Any) -> None:
        if self._broken:
            raise grpc.aio.UsageError("the stream is over")
        self.written.append(message)
        if self._reacts:
            self.flow.closed.set()


# -- Judging --


def test_a_flow_stands_while_it_would_be_let_in_by_the_same_way(state: GatewayState) -> None:
    flow = admitted(state)
    assert flow.connector == "c1" and stands(flow, ALICE, state)
    adopt(state, connectors={"c1": connector(enabled=False), "c2": connector()})
    assert state.decide(ALICE, WIKI).connector == "c2" and not stands(flow, ALICE, state)


def test_what_is_online_now_is_no_reason_to_cut(state: GatewayState) -> None:
    tunnels = dict(state.tunnels)
    state.set_tunnels({("c2", "server-1"): 1})
    flow = admitted(state)
    state.set_tunnels(tunnels)
    assert state.decide(ALICE, WIKI).connector == "c1", "a new flow goes by the better policy"
    assert flow.connector == "c2" and stands(flow, ALICE, state)
    state.set_tunnels({})
    assert stands(flow, ALICE, state)


def test_an_orphan_is_judged_as_if_its_connector_were_online(state: GatewayState) -> None:
    orphan = Flow.load(admitted(state).dump())
    assert orphan.online is None
    state.set_tunnels({})
    assert stands(orphan, ALICE, state)
    adopt(state, connectors={"c1": connector(enabled=False), "c2": connector()})
    assert not stands(orphan, ALICE, state)


def test_a_flow_stands_by_the_newest_word_on_its_session(state: GatewayState) -> None:
    flow = admitted(state)
    state.clock = lambda: ALICE.expires_at + 1
    assert not stands(flow, ALICE, state)
    assert stands(flow, replace(ALICE, expires_at=ALICE.expires_at + 100), state)


@pytest.mark.parametrize(
    ("held", "cap", "expected"),
    [
        *((None, None, True), (100, None, True), (100, 100, True), (50, 100, True)),
        *((None, 100, False), (200, 100, False)),
    ],
)
def test_a_flow_in_too_wide_a_bucket_is_cut(
    state: GatewayState, held: int | None, cap: int | None, expected: bool
) -> None:
    assert stands(admitted(state, cap=held), replace(ALICE, bandwidth_kbps=cap), state) is expected


@pytest.mark.parametrize(("carries", "expected"), [("server-1", False), ("server-2", True), (None, False)])
def test_a_flow_of_a_server_that_is_disabled_is_cut(
    state: GatewayState, carries: str | None, expected: bool
) -> None:
    flow = admitted(state)
    flow.server = carries
    state.set_tunnels({("c1", "server-1"): 1, ("c1", "server-2"): 1})
    adopt(state, connectors={"c1": connector(servers={"server-1": False, "server-2": True})})
    assert stands(flow, ALICE, state) is expected


def test_nothing_stands_at_a_gateway_that_is_closed(state: GatewayState) -> None:
    flow = admitted(state)
    state.close(Refusal(Code.NOT_CONFIGURED, "Removed."))
    assert not stands(flow, ALICE, state)


# -- Looking --


class Opening:
    """A flow's stream as Envoy opens it; over once the agent has answered."""

    def __init__(self, flow: Flow) -> None:
        first = pb.ProcessingRequest(request_headers=pb.HttpHeaders())
        first.metadata_context.filter_metadata[METADATA].fields[FLOW_KEY].string_value = flow.dump()
        self._messages, self.written = [first, grpc.aio.EOF], list[Any]()

    async def read(self) -> Any:
        return self._messages.pop(0)

    async def write(self, message: Any) -> None:
        self.written.append(message)


async def test_a_flow_let_in_before_a_configuration_is_looked_at_again_when_its_stream_opens(
    state: GatewayState,
) -> None:
    flows, kept, cut = Flows(state), admitted(state, "a"), admitted(state, "b", cap=200)
    for flow in (kept, cut):
        flows.admit(flow)
    kept.cap = 100
    adopt(state, bandwidth={ALICE.account: 100})
    assert not list(flows), "no list of open flows has them yet"
    streams = [Opening(flow) for flow in (kept, cut)]
    for stream in streams:
        await flows.Process(None, stream)  # type: ignore[arg-type]
    assert streams[1].written == [CUT] != streams[0].written
    assert (kept.cut, kept.closed.is_set()) == (False, False), "only the log tells of its end"
    assert (cut.cut, cut.closed.is_set()) == (True, True)


async def test_the_log_calls_for_a_look_when_it_tells_of_an_orphan_that_may_not_go_on(
    state: GatewayState, tmp_path: Path
) -> None:
    flow, spool = admitted(state), Spool(tmp_path / "flows.sqlite3")
    log = FlowLog(Flows(state), state, spool)

    await told(log, flow, 1, accesslog_pb2.DownstreamPeriodic)
    assert not log.strangers.is_set()
    adopt(state, policies=[])
    await told(log, flow, 1, accesslog_pb2.DownstreamPeriodic)
    spool.close()
    assert log.strangers.is_set()


# -- Planning --


def test_a_plan_names_the_doomed_flows_that_are_open_by_means(state: GatewayState) -> None:
    streaming, orphan, over, other = (admitted(state, name) for name in ("a", "b", "c", "d"))
    Stream(streaming)
    over.closed.set()
    made = plan([streaming, orphan, over, other], lambda flow: flow is not other)
    assert made.by_stream == [streaming] and made.without_stream == [orphan]
    assert made.left == [streaming, orphan] and made.gone == 0
    streaming.cut = True
    streaming.closed.set()
    assert made.left == [orphan] and made.gone == 1
    orphan.closed.set()
    assert not made.left and made.gone == 1, "what ended by itself was not cut"


# -- Carrying out --


class Cutting:
    """A cutter over some flows, with an Envoy that ends all of them when it is restarted."""

    def __init__(self, state: GatewayState, *flows: Flow, latest: SessionIdentity = ALICE) -> None:
        self.state, self.flows, self.restarts = state, list(flows), 0
        self.cutter = Cutter(state, self.flows, lambda _: latest, self._restart)

    async def _restart(self) -> None:
        self.restarts += 1
        for flow in self.flows:
            flow.closed.set()

    @property
    def counts(self) -> tuple[int, int, int]:
        """Cut under this configuration, cut since the beginning, restarts."""
        return self.cutter.count, self.state.metrics.cuts, self.state.metrics.envoy_restarts_for_cuts


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "CUT_SECONDS", 0.01)
    monkeypatch.setattr(cutting, "LOGGED_SECONDS", 0.01)


async def test_flows_are_cut_on_their_streams_and_envoy_goes_on(state: GatewayState) -> None:
    standing, doomed = admitted(state, "a"), admitted(state, "b", cap=200)
    kept, told = Stream(standing), Stream(doomed)
    adopt(state, bandwidth={ALICE.account: 100})
    standing.cap = 100
    made = Cutting(state, standing, doomed)
    await made.cutter.enforce()
    assert (kept.written, told.written) == ([], [CUT])
    assert (standing.cut, doomed.cut, made.restarts, made.counts) == (False, True, 0, (1, 1, 0))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("how", ["orphan", "silent", "broken"])
async def test_what_cannot_be_cut_singly_is_cut_by_one_restart(state: GatewayState, how: str) -> None:
    easy, hard = admitted(state, "a"), admitted(state, "b")
    Stream(easy)
    if how != "orphan":
        Stream(hard, reacts=False, broken=how == "broken")
    adopt(state, policies=[])
    made = Cutting(state, easy, hard)
    await made.cutter.enforce()
    assert (easy.cut, hard.cut, made.restarts, made.counts) == (True, True, 1, (2, 2, 1))
    await made.cutter.enforce()
    assert made.counts == (2, 2, 1), "nothing is open any more"


async def test_a_flow_that_ends_by_itself_is_not_counted(state: GatewayState) -> None:
    ending = admitted(state)
    adopt(state, policies=[])
    made = Cutting(state, ending)

    cut = asyncio.create_task(made.cutter.enforce())
    await asyncio.sleep(0)
    ending.closed.set()  # the log says so
    await cut
    assert (ending.cut, made.restarts, made.counts) == (False, 0, (0, 0, 0))


async def test_flows_of_sessions_that_are_over_are_cut(state: GatewayState) -> None:
    flow = admitted(state)
    Stream(flow)
    made = Cutting(state, flow)
    await made.cutter.end_expired()
    assert made.counts == (0, 0, 0)
    over = Cutting(state, flow, latest=replace(ALICE, expires_at=NOW))
    await over.cutter.end_expired()
    assert flow.cut and over.counts == (1, 1, 0)


@pytest.mark.usefixtures("impatient")
async def test_at_the_end_all_flows_are_cut_and_envoy_is_not_restarted(state: GatewayState) -> None:
    streaming, orphan = admitted(state, "a"), admitted(state, "b")
    Stream(streaming)
    made = Cutting(state, streaming, orphan)

    ending = asyncio.create_task(made.cutter.end_all())
    while not streaming.closed.is_set():
        await asyncio.sleep(0)
    made.flows.remove(streaming)  # its end was logged
    await ending
    assert streaming.cut and orphan.cut, "the orphan ends with Envoy, and its record says that it was cut"
    assert (made.restarts, made.counts) == (0, (0, 1, 0))
