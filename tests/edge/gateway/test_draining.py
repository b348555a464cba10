"""A draining server keeps its flows and tunnels and is given no new flow; an expired license stops a connector."""

import pytest

from edge.access.decision import Destination
from edge.access.snapshot import Snapshot
from edge.gateway.flow import Flow
from edge.gateway.flows import Flows
from edge.gateway.state import GatewayState
from edge.protocol.configuration import GatewayConfiguration
from tests.edge.access.test_decision import ALICE, NOW, ask, world
from tests.edge.gateway_lab import connector

DESTINATION = Destination.parse("wiki.corp.example:80")


def state(**servers: str) -> GatewayState:
    """A gateway with a tunnel of each server of connector ``c1``, in these states."""
    made = GatewayState(clock=lambda: NOW)
    adopt(made, **servers)
    made.set_tunnels({("c1", server): 2 for server in servers})
    return made


def adopt(made: GatewayState, **servers: str) -> None:
    document = world(connectors={"c1": connector(servers=servers)})
    made.adopt(Snapshot.compile(GatewayConfiguration.decode(document)))


def admitted(made: GatewayState) -> Flow:
    decision = made.decide(ALICE, DESTINATION)
    assert decision.allowed
    flow = Flow.allowed("flow-1", ALICE, DESTINATION, decision, made)
    flow.server = made.appoint("c1")
    return flow


def test_new_flows_go_to_the_servers_that_do_not_drain() -> None:
    both = state(one="enabled", two="enabled")
    assert both.appoint("c1") is None, "Envoy may take either"
    adopt(both, one="draining", two="enabled")
    assert {both.appoint("c1") for _ in range(20)} == {"two"}


@pytest.mark.parametrize("before", ["one", None])
def test_open_flows_of_a_draining_server_stand(before: str | None) -> None:
    made = state(one="enabled", two="enabled")
    flow = admitted(made)
    flow.server = before
    adopt(made, one="draining", two="enabled")
    assert Flows(made).stands(flow)
    assert made.current.server_allowed("one", "c1"), "its tunnels may be dialled anew"
    adopt(made, one="disabled", two="enabled")
    assert not Flows(made).stands(flow)


def test_with_no_other_server_new_flows_are_refused_and_open_ones_stand() -> None:
    made = state(one="enabled")
    flow = admitted(made)
    adopt(made, one="draining")
    decision = made.decide(ALICE, DESTINATION)
    assert (decision.status, decision.code) == (503, "ConnectorOffline")
    assert any("no server that takes new flows" in step.message for step in decision.trace)
    assert Flows(made).stands(flow)


def test_states_written_by_older_consoles_are_read() -> None:
    made = state(one=True, two=False)  # type: ignore[arg-type]
    assert made.current.server_open("one", "c1") and not made.current.server_allowed("two", "c1")
    assert made.current.connectors["c1"].has_open_server
    adopt(made, two=False)  # type: ignore[arg-type]
    assert not made.current.connectors["c1"].has_open_server


def test_an_expired_license_is_named_as_the_reason() -> None:
    decision = ask(world(connectors={"c1": connector(licensed=False)}), "wiki.corp.example:80")
    assert (decision.status, decision.code) == (403, "ConnectorNotLicensed")
    assert "license" in decision.message
    assert any("not licensed" in step.message for step in decision.trace)
