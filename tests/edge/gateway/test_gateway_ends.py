"""Ends of sessions that a gateway hears of ahead of its configuration. The network ends at httpx's transport."""

from pathlib import Path

import pytest

from edge.access.decision import Destination
from edge.access.hosts import parse_host
from edge.gateway.configuration import ConfigurationRefused
from edge.protocol.identity import SessionIdentity
from tests.edge.gateway_lab import ACCOUNT, INSTANCE, SESSION
from tests.edge.gateway_network import Answer, Network


def ended(network: Network) -> Answer:
    """The console's word that sessions ended, by a configuration that stays."""
    told = {"ends": f"7.{SESSION}", "ended_sessions": {SESSION: "logged_off"}}
    return 200, {"unchanged": True, "version": network.document["version"], **told}, {}


def decision(network: Network) -> str:
    identity = SessionIdentity(SESSION, ACCOUNT, INSTANCE, "alice", "10.0.0.1", int(network.now) + 900, None)
    return network.state.decide(identity, Destination(parse_host("10.1.0.5"), 80)).code


def restarted(network: Network, path: Path) -> Network:
    """The next agent of the same home, which has a key of its own in this lab."""
    again = Network(path)
    again.now = network.now
    return again


async def test_an_end_is_in_force_with_the_answer_confirmed_by_the_next_poll_and_kept(
    network: Network, tmp_path: Path
) -> None:
    await network.configuration.apply(network.document)
    assert decision(network) != "SessionEnded"
    network.answer = lambda name, body: ended(network)
    await network.configuration.poll()
    assert decision(network) == "SessionEnded"
    network.answer = lambda name, body: (200, {"unchanged": True, "version": 1}, {})
    await network.configuration.poll()
    assert [body["ends"] for _, body in network.calls] == ["", f"7.{SESSION}"]
    again = restarted(network, tmp_path)
    assert again.configuration.load() and decision(again) == "SessionEnded"
    again.answer = lambda name, body: (200, {"unchanged": True, "version": 1}, {})
    await again.configuration.poll()
    assert again.calls[-1][1]["ends"] == f"7.{SESSION}"


async def test_a_whole_configuration_takes_the_place_of_the_ends_before(
    network: Network, tmp_path: Path
) -> None:
    await network.configuration.apply(network.document)
    network.answer = lambda name, body: ended(network)
    await network.configuration.poll()
    # Of a console whose history was turned back by so little that its number is the same: there the session lives.
    await network.configuration.apply(network.document)
    assert decision(network) != "SessionEnded"
    again = restarted(network, tmp_path)
    assert again.configuration.load() and decision(again) != "SessionEnded"


async def test_damaged_ends_on_disk_let_nobody_in(network: Network, tmp_path: Path) -> None:
    await network.configuration.apply(network.document)
    network.home.file("ended.json").write_text('{"ended_sessions": ')
    again = restarted(network, tmp_path)
    assert not again.configuration.load()
    refused = again.state.refusal()
    assert refused and refused.code == "NotConfigured"


async def test_ends_that_make_no_sense_are_refused_and_what_is_in_force_stays(network: Network) -> None:
    await network.configuration.apply(network.document)
    senseless = {"unchanged": True, "version": 1, "ended_sessions": [1]}
    network.answer = lambda name, body: (200, senseless, {})
    with pytest.raises(ConfigurationRefused, match="ended_sessions must be"):
        await network.configuration.poll()
    assert decision(network) != "SessionEnded"
