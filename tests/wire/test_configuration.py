"""The two configurations on the wire: out and back, from the release before, and told in sentences when broken."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.access.snapshot import Snapshot
from edge.machine.enrollment import kept
from edge.protocol.configuration import (
    DialledGateway,
    Gateway,
    GatewayConfiguration,
    OwnConnector,
    Server,
    ServerConfiguration,
)
from edge.protocol.message import Message, MessageInvalid
from edge.server.agent import ConnectorAgent, Given
from tests.edge.connector_lab import enrolled_server
from tests.edge.gateway_pki import Authority
from tests.wire.strategies import messages, on_the_wire

# As the console of release 0.1 wrote them, before they had types.
RELEASED: dict[type[Message], Any] = {
    kind: json.loads((Path(__file__).parent / "release_0_1" / f"{name}.json").read_text())
    for kind, name in ((GatewayConfiguration, "gateway"), (ServerConfiguration, "server"))
}
ORDER = {
    "order": "upgrade-1",
    "version": "9.9.9",
    "wheel": "causeway-9.9.9-py3-none-any.whl",
    "sha256": "0" * 64,
    "health_seconds": 90.0,
}
# Objects that take any key.
TABLES = (
    *("session_keys", "instances", "ended_sessions", "bandwidth", "connectors", "applications", "groups"),
    "connectors/connector-dae3ac25124ec932/servers",
)
BOTH = pytest.mark.parametrize("kind", RELEASED)
# Any JSON, with the lone surrogates that Python's reader lets through.
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=3)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.just(10**400),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(ANY_TEXT, inner, max_size=2),
    max_leaves=4,
)


def last(document: Any, path: str) -> tuple[Any, Any]:
    """The object or list that holds a place, and the place's name there."""
    *parents, name = [int(part) if part.isdigit() else part for part in path.split("/")]
    for parent in parents:
        document = document[parent]
    return document, name


def places(value: Any, path: str = "") -> Iterator[str]:
    """Every place of a document below its root."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        yield f"{path}/{name}".lstrip("/")
        yield from places(part, f"{path}/{name}")


# -- Out and back


@given(message=messages(GatewayConfiguration))
def test_every_configuration_of_a_gateway_comes_back(message: GatewayConfiguration) -> None:
    assert GatewayConfiguration.decode(on_the_wire(message)) == message


@given(message=messages(ServerConfiguration))
def test_every_configuration_of_a_server_comes_back(message: ServerConfiguration) -> None:
    assert ServerConfiguration.decode(on_the_wire(message)) == message


def test_the_least_that_either_may_hold() -> None:
    gateway = GatewayConfiguration(
        version=0,
        gateway=Gateway("gateway-1", "g", "a", "A", "r", "127.0.0.1", 1, 2, "127.0.0.1"),
        session_keys={},
        offline_seconds=0,
        instances={},
        ended_sessions={},
        connectors={},
        applications={},
        policies=(),
    )
    server = ServerConfiguration(
        version=0,
        server=Server("server-1", False),
        connector=OwnConnector("connector-1", "c", False),
        gateways=(),
        applications=(),
    )
    assert Snapshot.compile(GatewayConfiguration.decode(on_the_wire(gateway))).gateway == gateway.gateway
    assert ServerConfiguration.decode(on_the_wire(server)).encode() == on_the_wire(server)


# -- Other releases


def known(written: Any, released: Any) -> Any:
    """What is written, without the fields that the release did not know."""
    if isinstance(released, dict):
        return {name: known(written[name], value) for name, value in released.items() if name in written}
    if isinstance(released, list):
        return [known(new, old) for new, old in zip(written, released, strict=True)]
    return written


@BOTH
def test_what_the_last_release_wrote_is_read_and_written_alike(kind: type[Message]) -> None:
    assert known(on_the_wire(kind.decode(RELEASED[kind])), RELEASED[kind]) == RELEASED[kind]


@BOTH
def test_either_may_order_an_upgrade(kind: type[Message]) -> None:
    document = RELEASED[kind] | {"upgrade": ORDER}
    assert known(on_the_wire(kind.decode(document)), document) == document
    for field in ORDER:
        assert refusal(kind, document | {"upgrade": ORDER | {field: [None]}}).startswith(
            f"upgrade.{field} must be "
        )


LATER = [
    (GatewayConfiguration, "servers_version"),
    (GatewayConfiguration, "gateway/echo_key"),
    (GatewayConfiguration, "instances/sag-oko7olbjq4xewlpdqn/ccn"),
    (GatewayConfiguration, "instances/sag-uwdo0skd47xy7fhliz/ccn"),
    (GatewayConfiguration, "bandwidth"),
    (GatewayConfiguration, "groups"),
    (ServerConfiguration, "gateways/0/echo_key"),
    (ServerConfiguration, "applications/0/origin"),
    (ServerConfiguration, "applications/1/origin"),
    (ServerConfiguration, "upgrade"),
    (ServerConfiguration, "logs"),
]


@pytest.mark.parametrize(("kind", "path"), LATER)
def test_what_came_later_may_be_missing(kind: type[Message], path: str) -> None:
    document = copy.deepcopy(RELEASED[kind])
    owner, name = last(document, path)
    del owner[name]
    assert kind.decode(document)


@BOTH
def test_what_a_newer_release_adds_is_ignored(kind: type[Message]) -> None:
    document = copy.deepcopy(RELEASED[kind])
    for path in places(RELEASED[kind]):
        owner, name = last(document, path)
        if isinstance(owner[name], dict) and path not in TABLES:
            owner[name]["of_a_newer_release"] = {"more": [1]}
    assert kind.decode(document | {"of_a_newer_release": None}) == kind.decode(RELEASED[kind])


# -- Broken ones


def named(path: str) -> str:
    """The place as a sentence names it; of a pair of ports the pair."""
    text = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in path.split("/"))
    head, ports, rest = text.lstrip(".").partition(".ports")
    return head + ports + rest[: rest.find("]") + 1]


EVERY_PLACE = [(kind, path) for kind, document in RELEASED.items() for path in places(document)]


def refusal(kind: type[Message], document: Any) -> str:
    with pytest.raises(MessageInvalid) as caught:
        kind.decode(document)
    return str(caught.value)


@BOTH
def test_a_value_of_another_type_is_named(kind: type[Message]) -> None:
    for path in places(RELEASED[kind]):
        document = copy.deepcopy(RELEASED[kind])
        owner, name = last(document, path)
        owner[name] = [None]
        sentence = refusal(kind, document)
        assert sentence.startswith(named(path)) and " must be " in sentence and sentence.endswith(".")


@BOTH
def test_a_missing_field_is_named(kind: type[Message]) -> None:
    for path in places(RELEASED[kind]):
        document = copy.deepcopy(RELEASED[kind])
        owner, name = last(document, path)
        free = isinstance(owner, list) or path.rpartition("/")[0] in TABLES
        if not free and (kind, path) not in LATER:
            del owner[name]
            assert refusal(kind, document).startswith(f"{named(path)} must be ")


@BOTH
@pytest.mark.parametrize("document", [None, [], "x", 7, {}])
def test_what_is_no_document_at_all_is_refused(kind: type[Message], document: Any) -> None:
    assert refusal(kind, document).endswith(".")


@given(at=st.sampled_from(EVERY_PLACE), value=ANY_JSON)
def test_nothing_but_a_sentence_comes_of_a_damaged_document(
    at: tuple[type[Message], str], value: Any
) -> None:
    kind, path = at
    document = copy.deepcopy(RELEASED[kind])
    owner, name = last(document, path)
    owner[name] = value
    try:
        message = kind.decode(document)
        if isinstance(message, GatewayConfiguration):
            Snapshot.compile(message)
    except MessageInvalid as error:
        assert str(error).endswith(".")


@pytest.mark.processes  # Envoy is asked whether it loads the module
def test_a_servers_file_keeps_what_only_a_newer_release_knows(tmp_path: Path) -> None:
    home = enrolled_server(tmp_path, Authority(), "server-1", "connector-1")
    document = RELEASED[ServerConfiguration] | {"of_a_newer_release": {"more": [1]}}
    ConnectorAgent(home)._take_over(Given.of(document))
    assert home.read_json("config.json") == document
    assert kept(home, ServerConfiguration) == ServerConfiguration.decode(document)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 1}'])
def test_a_damaged_file_is_none(tmp_path: Path, content: bytes) -> None:
    home = enrolled_server(tmp_path, Authority(), "server-1", "connector-1")
    assert kept(home, ServerConfiguration) is None, "nothing is there yet"
    home.write_atomic("config.json", content)
    assert kept(home, ServerConfiguration) is None


def test_no_key_of_probes_is_shown_with_its_gateway() -> None:
    key = "6412"
    dialled = DialledGateway("gateway-1", "127.0.0.1", 1, key)
    listening = Gateway("gateway-1", "g", "a", "A", "r", "127.0.0.1", 1, 2, "127.0.0.1", key)
    assert key not in repr([dialled, listening])
