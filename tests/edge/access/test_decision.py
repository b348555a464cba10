"""``decide``: by tables of cases, and against an oracle that is slow but plain to read."""

import copy
import ipaddress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.access.decision import Decision, Destination, decide
from edge.access.hosts import HostInvalid
from edge.access.snapshot import Snapshot
from edge.protocol.configuration import GatewayConfiguration
from edge.protocol.identity import SessionIdentity
from tests.edge.gateway_lab import (
    ACCOUNT,
    INSTANCE,
    SESSION,
    application,
    connector,
    policy,
    snapshot_document,
)
from tests.edge.gateway_pki import TokenSigner

NOW = 1_000_000.0
SIGNER = TokenSigner()
ALICE = SessionIdentity(SESSION, ACCOUNT, INSTANCE, "alice", "10.0.0.2", NOW + 100)


def world(**changes: Any) -> dict[str, Any]:
    document = snapshot_document(SIGNER, 1, 2)
    document["instances"][INSTANCE]["cloud_networks"] = ["10.1.0.0/16"]
    return document | {
        "connectors": {"c1": connector(), "c2": connector(), "off": connector(enabled=False)},
        "applications": {
            "wiki": application("wiki.corp.example"),
            "net": application("10.0.0.0/8", ports=((1, 65535),)),
        },
        "policies": [policy("first", "c1")],
    } | changes  # fmt: skip


def ask(
    document: dict[str, Any], target: str, *, online: str = "c1 c2 off", who: SessionIdentity = ALICE
) -> Decision:
    snapshot = Snapshot.compile(GatewayConfiguration.decode(document)).with_online(frozenset(online.split()))
    return decide(who, Destination.parse(target), snapshot, now=NOW)


@pytest.mark.parametrize(
    ("target", "code", "path"),
    [
        ("wiki.corp.example:80", "PolicyMatched", "connector"),
        ("WIKI.Corp.Example.:80", "PolicyMatched", "connector"),
        ("wiki.corp.example:81", "NoMatch", None),
        ("x.wiki.corp.example:80", "NoMatch", None),
        ("corp.example:80", "NoMatch", None),
        ("10.1.2.3:22", "CloudNetwork", "cloud"),
        ("[::ffff:10.1.2.3]:22", "CloudNetwork", "cloud"),
        ("10.2.2.3:22", "PolicyMatched", "connector"),
        ("11.0.0.1:22", "NoMatch", None),
        ("0x0a010203:22", "NoMatch", None),  # a name, not an address written oddly
    ],
)
def test_destinations(target: str, code: str, path: str | None) -> None:
    decision = ask(world(), target)
    assert (decision.code, decision.path) == (code, path)
    assert decision.allowed == (path is not None) == (decision.status == 200)


@pytest.mark.parametrize(
    ("address", "target", "matches"),
    [
        ("*.corp.example", "a.corp.example:80", True),
        ("*.corp.example", "a.b.c.corp.example:80", True),
        ("*.corp.example", "corp.example:80", False),
        ("*.corp.example", "evilcorp.example:80", False),
        ("*.CORP.example.", "A.corp.EXAMPLE:80", True),
        ("bücher.example", "xn--bcher-kva.example:80", True),
        ("xn--bcher-kva.example", "BÜCHER.example:80", True),
        ("2001:db8::/32", "[2001:db8::7]:80", True),
        ("2001:db8::7", "[2001:0db8:0:0::7]:80", True),
        ("10.0.0.1", "10.0.0.2:80", False),
        ("0.0.0.0/0", "8.8.8.8:80", True),
        ("0.0.0.0/0", "127.0.0.1:80", False),
        ("0.0.0.0/0", "169.254.169.254:80", False),
        ("0.0.0.0/0", "0.0.0.0:80", False),
        ("::/0", "[::1]:80", False),
        ("::/0", "[fe80::1]:80", False),
        ("::/0", "[::ffff:127.0.0.1]:80", False),
        ("0.0.0.0/0", "[::ffff:127.0.0.1]:80", False),
        ("127.0.0.0/8", "127.0.0.1:80", True),
        ("127.0.0.1", "127.0.0.1:80", True),
        ("169.254.169.254", "169.254.169.254:80", True),
        ("fe80::/10", "[fe80::1]:80", True),
    ],
)
def test_addresses_of_applications(address: str, target: str, matches: bool) -> None:
    assert ask(world(applications={"a": application(address)}), target).allowed == matches


def test_a_cloud_network_that_holds_loopback_by_the_way_does_not_open_it() -> None:
    document = world(applications={})
    document["instances"][INSTANCE]["cloud_networks"] = ["0.0.0.0/0"]
    assert ask(document, "127.0.0.1:80").code == "NoMatch"
    assert ask(document, "8.8.8.8:80").code == "CloudNetwork"


def test_a_udp_application_is_no_reason_to_let_a_connection_pass() -> None:
    document = world(applications={"a": application("dns.example", protocol="UDP")})
    assert ask(document, "dns.example:80").code == "NoMatch"


def test_the_cloud_path_is_for_gateways_of_the_instances_area() -> None:
    document = world(applications={})
    document["instances"][INSTANCE]["area"] = "singapore"
    decision = ask(document, "10.1.2.3:22")
    assert decision.code == "NoMatch"
    assert [step.outcome for step in decision.trace if step.subject == "cloud"] == ["passed_over"]


@pytest.mark.parametrize(
    ("reason", "status", "code"),
    [
        ("kicked", 407, "SessionEnded"),
        ("password_reset", 407, "SessionEnded"),
        ("something_new", 407, "SessionEnded"),
        ("account_disabled", 403, "AccountDisabled"),
        ("instance_inactive", 403, "InstanceInactive"),
    ],
)
def test_an_ended_session(reason: str, status: int, code: str) -> None:
    decision = ask(world(ended_sessions={SESSION: reason}), "wiki.corp.example:80")
    assert (decision.allowed, decision.status, decision.code) == (False, status, code)


def test_a_session_ends_with_its_time_and_with_its_instance() -> None:
    late = SessionIdentity(SESSION, ACCOUNT, INSTANCE, "alice", "", NOW)
    assert ask(world(), "wiki.corp.example:80", who=late).code == "SessionEnded"
    document = world()
    document["instances"][INSTANCE]["active"] = False
    assert ask(document, "wiki.corp.example:80").code == "InstanceInactive"
    assert ask(world(instances={}), "10.1.2.3:22").code == "InstanceInactive"


@pytest.mark.parametrize(
    ("policies", "online", "code", "connector_id"),
    [
        (["c1", "c2"], "c1 c2", "PolicyMatched", "c1"),
        (["c1", "c2"], "c2", "PolicyMatched", "c2"),
        (["off", "c2"], "off c2", "PolicyMatched", "c2"),
        (["off"], "off", "ConnectorDisabled", "off"),
        (["missing"], "missing", "ConnectorDisabled", "missing"),
        (["c1"], "", "ConnectorOffline", "c1"),
        (["off", "c1"], "", "ConnectorOffline", "c1"),
        ([], "c1", "NoMatch", None),
    ],
)
def test_the_first_policy_with_a_usable_connector_wins(
    policies: list[str], online: str, code: str, connector_id: str | None
) -> None:
    listed = [policy(f"p{place}", name) for place, name in enumerate(policies)]
    decision = ask(world(policies=listed), "wiki.corp.example:80", online=online)
    assert (decision.code, decision.connector) == (code, connector_id)
    assert decision.status == {"PolicyMatched": 200, "ConnectorOffline": 503}.get(code, 403)


def test_policies_that_were_passed_over_are_in_the_trace() -> None:
    listed = [policy("a", "off"), policy("b", "c1"), policy("c", "c2"), policy("d", "c2")]
    decision = ask(world(policies=listed), "wiki.corp.example:80", online="c2")
    steps = [(s.outcome, s.ids.get("policy")) for s in decision.trace if s.subject == "policy"]
    assert steps == [("passed_over", "fs-a"), ("passed_over", "fs-b"), ("chosen", "fs-c")]
    assert "switched off" in decision.trace[3].message
    assert "no live tunnel" in decision.trace[4].message


@pytest.mark.parametrize(
    "target",
    ["", ":80", "host", "host:", "host:0", "host:65536", "host:+80", "host:８０", "a b:80", "[::1]", "::1:80",
     "[host]:80", "a..b:80", "-a.example:80", "\x00:80", "x" * 300 + ":80", "[fe80::1%eth0]:80"],
)  # fmt: skip
def test_what_is_no_destination(target: str) -> None:
    with pytest.raises(HostInvalid):
        Destination.parse(target)


# -- Against an oracle --

NAMES = ["a.example", "b.example", "x.a.example", "10.0.0.1", "10.1.0.1", "10.1.1.1", "127.0.0.1"]
NETWORKS = ["10.0.0.0/8", "10.1.0.0/16", "10.1.0.1", "127.0.0.0/8"]
ADDRESSES = ["a.example", "*.example", "*.a.example", "b.example", *NETWORKS]
PORTS = [[80, 80], [1, 100], [443, 443]]
ACCOUNTS, GROUPS = ["u1", "u2"], ["g1", "g2"]
CONNECTORS, APPLICATIONS = ["c1", "c2", "c3"], ["a1", "a2", "a3"]


def some(values: list[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(values), max_size=3, unique_by=str)


policies_strategy = st.lists(
    st.fixed_dictionaries(
        {
            "users": st.sampled_from(["all", "selected"]), "groups": some(GROUPS), "accounts": some(ACCOUNTS),
            "applications": st.sampled_from(["all", "selected"]), "application_ids": some(APPLICATIONS),
            "connector": st.sampled_from(CONNECTORS),
        }
    ),
    max_size=5,
)  # fmt: skip
worlds = st.fixed_dictionaries(
    {
        "applications": st.dictionaries(
            st.sampled_from(APPLICATIONS), st.tuples(some(ADDRESSES), some(PORTS)), min_size=1, max_size=3
        ),
        "policies": policies_strategy,
        "groups": st.dictionaries(st.sampled_from(GROUPS), some(ACCOUNTS)),
        "enabled": some(CONNECTORS),
        "online": some(CONNECTORS),
        "cloud": st.sampled_from([[], ["10.1.0.0/16"], ["0.0.0.0/0"]]),
    }
)


def matches(address: str, host: str) -> bool:
    try:
        network, ip = ipaddress.ip_network(address), ipaddress.ip_address(host)
    except ValueError:
        return host.endswith(address[1:]) if address.startswith("*.") else host == address
    return ip in network and not (ip.is_loopback and not network.is_loopback)


def oracle(shape: dict[str, Any], account: str, host: str, port: int) -> tuple[str, str | None, str | None]:
    if any(matches(network, host) for network in shape["cloud"] if host[0].isdigit()):
        return "CloudNetwork", None, None
    apps = {
        key for key, (addresses, ports) in shape["applications"].items()
        if any(matches(a, host) for a in addresses) and any(low <= port <= high for low, high in ports)
    }  # fmt: skip
    passed = []
    for place, p in enumerate(shape["policies"]):
        named = account in p["accounts"] or any(account in shape["groups"].get(g, []) for g in p["groups"])
        if (p["users"] == "all" or named) and (
            apps if p["applications"] == "all" else apps & set(p["application_ids"])
        ):
            if p["connector"] in shape["enabled"] and p["connector"] in shape["online"]:
                return "PolicyMatched", f"fs-p{place}", p["connector"]
            passed.append(p["connector"])
    if not passed:
        return "NoMatch", None, None
    offline = [c for c in passed if c in shape["enabled"]]
    return ("ConnectorOffline", "", offline[0]) if offline else ("ConnectorDisabled", "", passed[0])


def document_of(shape: dict[str, Any]) -> dict[str, Any]:
    document = copy.deepcopy(snapshot_document(SIGNER, 1, 2))
    document["instances"][INSTANCE]["cloud_networks"] = shape["cloud"]
    return document | {
        "connectors": {name: connector(enabled=name in shape["enabled"]) for name in CONNECTORS},
        "applications": {
            key: {"name": key, "addresses": addresses, "ports": ports, "protocol": "TCP"}
            for key, (addresses, ports) in shape["applications"].items()
        },
        "groups": shape["groups"],
        "policies": [policy(f"p{place}", "") | p for place, p in enumerate(shape["policies"])],
    }


@settings(max_examples=400)
@given(worlds, st.sampled_from(ACCOUNTS), st.sampled_from(NAMES), st.sampled_from([80, 90, 443]))
def test_decide_agrees_with_the_oracle(shape: dict[str, Any], account: str, host: str, port: int) -> None:
    who = SessionIdentity(SESSION, account, INSTANCE, "x", "", NOW + 1)
    decision = ask(document_of(shape), f"{host}:{port}", online=" ".join(shape["online"]), who=who)
    code, chosen, expected_connector = oracle(shape, account, host, port)
    assert (decision.code, decision.connector) == (code, expected_connector)
    if chosen is not None and decision.allowed:
        assert decision.policy == chosen
    assert decision.trace


CAPS = st.none() | st.integers(1, 20_000_000)


@settings(max_examples=200)
@given(worlds, st.sampled_from(ACCOUNTS), st.sampled_from(NAMES), CAPS, CAPS)
def test_bandwidth_has_no_part_in_a_decision(
    shape: dict[str, Any], account: str, host: str, token: int | None, told: int | None
) -> None:
    document, online = document_of(shape), " ".join(shape["online"])
    plain = SessionIdentity(SESSION, account, INSTANCE, "x", "", NOW + 1)
    capped = SessionIdentity(SESSION, account, INSTANCE, "x", "", NOW + 1, token)
    without = ask(document, f"{host}:80", online=online, who=plain)
    bandwidth = {} if told is None else {account: told}
    with_cap = ask(document | {"bandwidth": bandwidth}, f"{host}:80", online=online, who=capped)
    assert with_cap == without
    assert with_cap.trace == without.trace
