"""A cut that meets flows which end by themselves at that moment: it is made all the same, and nothing breaks by it."""

import pytest

from tests.edge.gateway_lab import SESSION, Echo, GatewayLab, echoes

pytestmark = pytest.mark.processes

ROUNDS = 25


def test_flows_that_end_while_they_are_cut_hinder_no_cut(lab: GatewayLab, echo: Echo) -> None:
    envoy = lab.envoy()
    for _ in range(ROUNDS):
        lab.apply(ended_sessions={})
        ending, lasting = [lab.tunnel(echo.target) for _ in range(4)], lab.tunnel(echo.target)
        other = lab.tunnel(echo.target, session="session-of-another")
        for flow in ending:
            flow.close()
        answer = lab.apply(ended_sessions={SESSION: "kicked"})
        assert 1 <= answer["cut"] <= 5, answer
        assert not echoes(lasting) and echoes(other)
        other.close()
    assert envoy is not None and lab.envoy() == envoy, "no cut needed a restart of Envoy"
    log = lab.log.read_text()
    assert "Traceback" not in log and "did not end when cut" not in log, log[-3000:]
