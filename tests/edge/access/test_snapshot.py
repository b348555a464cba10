"""What a snapshot document must be, told in sentences."""

from typing import Any

import pytest

from edge.access.snapshot import Snapshot
from edge.protocol.configuration import GatewayConfiguration
from edge.protocol.message import MessageInvalid
from tests.edge.access.test_decision import world
from tests.edge.gateway_lab import application, policy, snapshot_document
from tests.edge.gateway_pki import TokenSigner

SIGNER = TokenSigner()


def broken(path: str, value: Any) -> Any:
    """A good document with one place changed; ``del`` removes it."""
    document: Any = world(groups={"g": ["u"]})
    *parents, last = path.split("/")
    place = document
    for name in parents:
        place = place[int(name) if isinstance(place, list) else name]
    if value == "del":
        del place[last]
    else:
        place[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("version", "del", "version must be a whole number"),
        ("version", True, "version must be a whole number"),
        ("version", -1, "version must be a whole number, 0 or more"),
        ("gateway/client_port", 0, "gateway.client_port must be a whole number from 1 to 65535"),
        ("gateway/area", None, "gateway.area must be a text"),
        ("session_keys", {"k": "no key"}, "session_keys.k must be an Ed25519 public key"),
        ("session_keys", {"k": 7}, "session_keys.k must be an Ed25519 public key"),
        ("offline_seconds", "x", "offline_seconds must be a number"),
        ("instances", {"sag-1": []}, "instances.sag-1 must be an object"),
        ("ended_sessions", {"session-1": 4}, "ended_sessions.session-1 must be a text"),
        ("connectors/c1/enabled", 1, "connectors.c1.enabled must be true or false"),
        ("connectors/c1/servers", {"s": "yes"}, "c1.servers.s must be enabled, draining or disabled"),
        ("applications/wiki/addresses", ["a b"], "applications.wiki.addresses: 'a b' is neither"),
        ("applications/wiki/addresses", ["10.0.0.1/8"], "applications.wiki.addresses: '10.0.0.1/8' is not"),
        ("applications/wiki/addresses", ["*"], "applications.wiki.addresses"),
        ("applications/wiki/ports", [[80]], "applications.wiki.ports[0] must be a pair [first, last]"),
        ("applications/wiki/ports", [[90, 80]], "applications.wiki.ports[0] must be a pair [first, last]"),
        ("groups/g", "u", "groups.g must be a list"),
        ("groups/g", [1], "groups.g[0] must be a text"),
        ("policies/0/users", "some", "policies[0].users must be all or selected"),
        ("policies/0/connector", "del", "policies[0].connector must be a text"),
    ],
)
def test_a_broken_document_is_refused_by_a_sentence(path: str, value: Any, words: str) -> None:
    with pytest.raises(MessageInvalid) as caught:
        Snapshot.compile(GatewayConfiguration.decode(broken(path, value)))
    assert words in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("document", [None, [], "x", 7, {}])
def test_what_is_no_document_at_all_is_refused(document: Any) -> None:
    with pytest.raises(MessageInvalid):
        Snapshot.compile(GatewayConfiguration.decode(document))


def test_what_a_policy_names_but_nobody_has_is_harmless() -> None:
    """Disabled applications and emptied groups are left out of a snapshot, while policies may still name them."""
    chosen = {
        "users": "selected",
        "groups": ["gone"],
        "applications": "selected",
        "application_ids": ["gone"],
    }
    gone = policy("p", "gone", **chosen)
    assert Snapshot.compile(GatewayConfiguration.decode(world(policies=[gone]))).version == 1


def test_who_is_online_changes_a_copy_only() -> None:
    document = world(applications={"a": application("a.example")})
    before = Snapshot.compile(GatewayConfiguration.decode(document))
    after = before.with_online(frozenset({"c1"}))
    assert before.usable_mask == 0
    assert after.usable_mask == 1
    assert after.applications is before.applications


def test_a_server_belongs_to_one_connector() -> None:
    document = snapshot_document(SIGNER, 1, 2)
    servers = {"server-1": True, "server-2": False}
    document["connectors"] = {"c1": {"name": "c", "enabled": False, "licensed": True, "servers": servers}}
    snapshot = Snapshot.compile(GatewayConfiguration.decode(document))
    assert snapshot.server_allowed("server-1", "c1")  # switched off, but its tunnels may stand by
    assert not snapshot.server_allowed("server-2", "c1")
    assert not snapshot.server_allowed("server-1", "c2")
