"""What the gateway asks its console, and what it makes of the answers. The network ends at httpx's transport."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from envoy.data.accesslog.v3 import accesslog_pb2

from edge import version
from edge.access.decision import Destination
from edge.access.hosts import parse_host
from edge.gateway import reports
from edge.gateway.accesslog import FlowLog
from edge.gateway.configuration import ConfigurationRefused
from edge.gateway.flow import Flow
from edge.gateway.flows import Flows
from edge.gateway.reports import FlowSender
from edge.machine.api import ApiError
from edge.machine.spool import Spool
from edge.machine.status import Report
from edge.machine.upgrade_watch import _problem
from edge.protocol.identity import BasicCredentials, BearerToken, SessionIdentity
from tests.edge.console_lab import grant
from tests.edge.gateway_lab import ACCOUNT, INSTANCE, SESSION
from tests.edge.gateway_network import ALICE, Answer, Network, refusal, told
from tests.edge.gateway_pki import TokenSigner


async def test_fifty_connections_are_one_log_on(network: Network) -> None:
    network.configured().answer = lambda name, body: network.grants()

    identities = await asyncio.gather(*(network.sessions.identify(ALICE, "192.0.2.1") for _ in range(50)))
    assert {identity.session for identity in identities} == {SESSION}
    assert network.names() == ["login"]
    sent = network.calls[0][1]
    assert sent == {
        "instance": INSTANCE, "username": "alice", "password": "correct horse", "public_address": "192.0.2.1",
        "kind": "proxy",
    }  # fmt: skip


@pytest.mark.parametrize("code", ["TryAgainLater", "LeaseExhausted", "OfALaterRelease"])
async def test_what_the_console_cannot_do_now_is_said_in_its_words(network: Network, code: str) -> None:
    network.configured().answer = lambda name, body: refusal(503, code, **{"Retry-After": "7"})
    failed = await network.failure()
    assert (failed.status, failed.code, str(failed), failed.retry_after) == (503, code, "A sentence.", 7)


async def test_a_503_that_is_not_the_consoles_means_that_the_console_cannot_be_reached(
    network: Network,
) -> None:
    network.configured().answer = lambda name, body: (503, {"message": "Upstream down"}, {})
    failed = await network.failure()
    assert (failed.status, failed.code) == (503, "ConsoleUnreachable")


async def test_another_password_asks_again(network: Network) -> None:
    network.configured().answer = lambda name, body: (
        network.grants() if body["password"] == "correct horse" else refusal(401, "LogonRefused")
    )
    await network.sessions.identify(ALICE, "")
    wrong = await network.failure(BasicCredentials("alice", INSTANCE, "wrong"))
    assert (wrong.status, wrong.code) == (407, "LogonRefused")
    assert network.names() == ["login", "login"]


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (refusal(401, "LogonRefused"), 407, "LogonRefused"),
        (refusal(403, "AccountDisabled"), 403, "AccountDisabled"),
        (refusal(403, "InstanceInactive"), 403, "InstanceInactive"),
        (refusal(401, "MachineUnknown"), 503, "ConsoleRefused"),
        ((500, {}, {}), 503, "ConsoleUnreachable"),
        ((200, grant("nonsense"), {}), 503, "ConsoleUnreachable"),
        ((200, {}, {}), 503, "ConsoleUnreachable"),
    ],
)
async def test_refused_log_ons(network: Network, answer: Answer, status: int, code: str) -> None:
    network.configured().answer = lambda name, body: answer
    failed = await network.failure()
    assert (failed.status, failed.code) == (status, code)
    await network.failure()
    assert len(network.calls) == 2  # refusals are not remembered


async def test_a_lock_out_is_not_asked_again_until_it_is_over(network: Network) -> None:
    network.configured().answer = lambda name, body: refusal(429, "LockedOut", **{"Retry-After": "60"})
    assert (await network.failure()).retry_after == 60
    network.now += 20
    failed = await network.failure()
    assert (failed.code, failed.retry_after) == ("LockedOut", 40)
    assert len(network.calls) == 1
    network.now += 41
    network.answer = lambda name, body: network.grants()
    assert (await network.sessions.identify(ALICE, "")).session == SESSION


async def test_a_cut_off_session_is_forgotten_at_once(network: Network) -> None:
    network.configured().answer = lambda name, body: network.grants()
    await network.sessions.identify(ALICE, "")
    await network.configuration.apply(
        network.document | {"version": 2, "ended_sessions": {SESSION: "kicked"}}
    )
    await network.sessions.identify(ALICE, "")
    assert network.names() == ["login", "login"]


async def test_a_session_is_renewed_after_half_of_its_life_and_only_while_it_is_used(
    network: Network,
) -> None:
    network.configured().answer = lambda name, body: network.grants()
    first = await network.sessions.identify(ALICE, "")
    network.now += 400
    await network.sessions.renew([SESSION])
    network.now += 200
    await network.sessions.renew([])
    assert network.names() == ["login"]
    await network.sessions.renew([SESSION])
    again = await network.sessions.identify(ALICE, "")
    assert network.sessions.latest(first) == again
    assert network.names() == ["login", "session/renew"]
    assert again.expires_at == pytest.approx(first.expires_at + 600, abs=2)


async def test_a_session_that_the_console_does_not_renew_is_logged_on_anew(network: Network) -> None:
    answers = iter([network.grants(), refusal(401, "SessionEnded"), network.grants("session-2")])
    network.configured().answer = lambda name, body: next(answers)
    await network.sessions.identify(ALICE, "")
    network.now += 600
    await network.sessions.renew([SESSION])
    assert (await network.sessions.identify(ALICE, "")).session == "session-2"


async def test_a_token_of_another_console_is_refused(network: Network) -> None:
    foreign = TokenSigner().token(SESSION, ACCOUNT, INSTANCE)
    failed = await network.configured().failure(BearerToken(foreign))
    assert (failed.status, failed.code) == (407, "TokenRefused")


# -- Configuration --


async def test_a_poll_confirms_what_is_in_force(network: Network) -> None:
    answers: list[dict[str, Any]] = [
        network.document,
        network.document | {"version": 5},
        {"unchanged": True, "version": 5},
    ]
    network.answer = lambda name, body: (200, answers.pop(0), {})
    for _ in range(3):
        await network.configuration.poll()
    assert [body["applied_version"] for _, body in network.calls] == [0, 1, 5]
    assert [body["wait"] for _, body in network.calls] == [0, 25, 25]
    assert network.state.heard_at == network.now
    assert json.loads(network.home.file("snapshot.json").read_text())["version"] == 5


async def test_a_configuration_of_another_epoch_is_taken_whatever_its_number(network: Network) -> None:
    """The console was restored: its numbers are lower than the gateway's, and say nothing any more."""
    answers: list[dict[str, Any]] = [
        network.document | {"version": 40, "epoch": "e0", "seal": "aa"},
        network.document | {"version": 21, "epoch": "e1", "seal": "bb"},
        {"unchanged": True, "version": 21},
    ]
    network.answer = lambda name, body: (200, answers.pop(0), {})
    for _ in range(3):
        await network.configuration.poll()
    told = [(body["epoch"], body["applied_version"], body["seal"]) for _, body in network.calls]
    assert told == [("", 0, ""), ("e0", 40, "aa"), ("e1", 21, "bb")]
    assert network.state.edition == ("e1", 21)
    network.answer = lambda name, body: (200, network.document | {"version": 20, "epoch": "e1"}, {})
    with pytest.raises(ConfigurationRefused, match="older than 21"):
        await network.configuration.poll()


async def test_a_gateway_started_anew_polls_by_the_epoch_on_its_disk(network: Network) -> None:
    network.home.write_json("snapshot.json", network.document | {"version": 40, "epoch": "e0", "seal": "aa"})
    assert network.configuration.load()
    network.answer = lambda name, body: (200, network.document | {"version": 3, "epoch": "e1"}, {})
    await network.configuration.poll()
    assert (network.calls[-1][1]["epoch"], network.calls[-1][1]["seal"]) == ("e0", "aa")
    assert json.loads(network.home.file("snapshot.json").read_text())["epoch"] == "e1"


@pytest.mark.parametrize(
    ("change", "words"),
    [({"version": 0}, "older than 1"), ({"instances": 3}, "instances"), ({"gateway": None}, "gateway")],
)
async def test_a_refused_configuration_leaves_memory_and_disk_alone(
    network: Network, change: dict[str, Any], words: str
) -> None:
    await network.configuration.apply(network.document)
    kept = network.home.file("snapshot.json").read_bytes()
    network.answer = lambda name, body: (200, network.document | change, {})
    with pytest.raises(ConfigurationRefused, match=words):
        await network.configuration.poll()
    assert network.state.edition.version == 1
    assert network.home.file("snapshot.json").read_bytes() == kept


async def test_the_file_keeps_what_only_a_newer_release_knows(network: Network) -> None:
    document = network.document | {"of_a_newer_release": {"more": [1]}}
    await network.configuration.apply(document)
    assert network.home.read_json("snapshot.json") == document


async def test_a_configuration_for_another_gateway_is_refused(network: Network) -> None:
    network.document["gateway"]["id"] = "gateway-of-somebody-else"
    with pytest.raises(ConfigurationRefused, match="not for this gateway"):
        await network.configuration.apply(network.document)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"version": 1}'])
def test_a_damaged_file_is_no_configuration(network: Network, content: bytes) -> None:
    network.home.write_atomic("snapshot.json", content)
    assert network.configuration.load() is False
    assert network.state.refusal() is not None


async def test_a_removed_gateway_lets_nobody_in_until_the_console_knows_it_again(network: Network) -> None:
    network.configured().state.heard_console()
    network.home.write_json("snapshot.json", network.document)
    network.answer = lambda name, body: refusal(401, "MachineUnknown")
    async with network.polling():
        while not (network.home.read_json("status.json") or {}).get("problem"):
            await asyncio.sleep(0.01)
    refused = network.state.refusal()
    assert refused and "removed from its console" in refused.message
    assert not network.home.file("snapshot.json").exists()
    network.answer = lambda name, body: (200, network.document, {})
    await network.configuration.poll()
    assert network.calls[-1][1]["applied_version"] == 0, "it needs the whole of it"
    assert network.state.refusal() is None
    assert network.home.file("snapshot.json").exists()
    assert network.home.read_json("status.json") == {"version": version(), "problem": ""}


def test_who_watches_an_upgrade_reads_which_version_runs(network: Network) -> None:
    network.configuration.load()
    seen = Report("gateway-1", "gateway", "", "", None, [])
    assert _problem(network.home, seen, [], version()) == ""
    assert "not 9.9.9" in _problem(network.home, seen, [], "9.9.9")


async def test_an_upgrade_is_ordered_by_the_newest_configuration_alone(network: Network) -> None:
    order = {"order": "upgrade-1", "version": "9", "wheel": "causeway-9-py3-none-any.whl", "sha256": "0" * 64}
    network.home.write_json("snapshot.json", network.document | {"upgrade": order | {"health_seconds": 90}})
    assert network.configuration.load()
    assert network.state.snapshot and network.state.snapshot.upgrade
    assert network.state.snapshot.upgrade.order == "upgrade-1"
    assert not network.configuration.is_newest, "the console may have taken the order back"

    async def asked_until(newest: bool) -> None:
        async with network.polling():
            while network.configuration.is_newest is not newest:
                await asyncio.sleep(0.01)

    network.answer = lambda name, body: (200, network.document, {})
    await asked_until(True)
    assert network.state.snapshot.upgrade is None
    network.answer = lambda name, body: refusal(503, "TryAgainLater")
    await asked_until(False)


async def test_a_gateway_that_hears_nothing_for_too_long_lets_nobody_in(network: Network) -> None:
    await network.configuration.apply(network.document)
    network.state.heard_console()
    assert network.state.refusal() is None
    network.now += 3601
    refused = network.state.refusal()
    assert refused and refused.code == "ConsoleLost"


# -- Flow records --


async def test_flow_records_leave_the_spool_only_when_acknowledged(network: Network, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "flows.sqlite3")
    sender = FlowSender(network.api, spool)
    spool.put_latest("flow", "f1", {"flow": "f1", "bytes_up": 1})
    spool.put_latest("flow", "f1", {"flow": "f1", "bytes_up": 2})
    network.answer = lambda name, body: (500, {}, {})
    with pytest.raises(ApiError):
        await sender.send()
    network.answer = lambda name, body: (200, {"acknowledged": 1}, {})
    await sender.send()
    await sender.send()
    spool.close()
    assert [body["records"] for _, body in network.calls] == [[{"flow": "f1", "bytes_up": 2}]] * 2


async def test_flow_records_that_are_too_many_wait_as_long_as_the_console_says(
    network: Network, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "flows.sqlite3")
    spool.put_latest("flow", "f1", {"flow": "f1"})
    network.answer = lambda name, body: refusal(429, "TooMany", **{"Retry-After": "40"})
    with pytest.raises(ApiError) as refused:
        await FlowSender(network.api, spool).send()
    assert reports._pause(1, refused.value) >= 40
    assert spool.peek("flow", 10)[1] == [{"flow": "f1"}]
    spool.close()


def test_the_record_of_a_flow_names_the_server_that_carried_it() -> None:
    identity = SessionIdentity(SESSION, ACCOUNT, INSTANCE, "alice", "10.0.0.1", 2**31, None)
    wiki = Destination(parse_host("wiki.corp.example"), 80)
    flow = Flow("f1", identity, wiki, "connector", "connector-1", None, None, 1.0, server="server-1")
    assert flow.record().encode()["server"] == "server-1"
    flow.connector = None  # by a cloud network
    assert flow.record().encode()["server"] is None


async def test_bytes_of_a_silent_time_are_told_hour_by_hour(network: Network, tmp_path: Path) -> None:
    spool, begun = Spool(tmp_path / "flows.sqlite3"), network.now // 3600 * 3600 + 1800
    identity = SessionIdentity(SESSION, ACCOUNT, INSTANCE, "alice", "10.0.0.1", int(begun + 86400), None)
    flow = Flow("f1", identity, Destination(parse_host("10.1.0.5"), 80), "cloud", None, None, None, begun)
    await network.configuration.apply(network.document)
    log = FlowLog(Flows(network.state), network.state, spool)
    periodic, end = accesslog_pb2.DownstreamPeriodic, accesslog_pb2.DownstreamEnd
    for minute, up, kind in [(10, 1, periodic), (20, 2, periodic), (40, 3, periodic), (50, 4, end)]:
        network.now = begun + minute * 60
        await told(log, flow, up, kind)
    records = spool.peek("flow", 10)[1]
    spool.close()
    assert [((r["time"] - begun) / 60, r["bytes_up"], r["end"]) for r in records] == [
        (20, 2, None),
        (50, 4, "closed"),
    ]


async def test_one_record_that_is_never_taken_does_not_hold_up_the_others(
    network: Network, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "flows.sqlite3")
    sender = FlowSender(network.api, spool)
    taken: list[str] = []

    def answer(name: str, body: dict[str, Any]) -> Answer:
        flows = [record["flow"] for record in body["records"]]
        if "bad" in flows:
            return refusal(400, "Invalid")
        taken.extend(flows)
        return 200, {"acknowledged": len(flows)}, {}

    network.answer = answer
    names = ["a", "b", "bad", "c", "d"]
    for name in names:
        spool.put_latest("flow", name, {"flow": name})
    while await sender.send():
        pass
    spool.close()
    assert taken == ["a", "b", "c", "d"]
