"""An address means one thing: what the form takes, gateways decide by and the access check says; else it is refused."""

from html import unescape

import pytest
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.models import Application, Connector, Server
from console.machines import snapshot as console_snapshot
from console.models import Gateway
from edge.access.decision import Destination, decide
from edge.access.snapshot import Snapshot
from edge.protocol.identity import SessionIdentity
from roaming.models import ClientAccount
from tests import addresses
from tests.connectors import factories
from tests.roaming.factories import AccountFactory

pytestmark = pytest.mark.django_db
PORT = 8443


class World:
    """An application that everybody reaches, whose address changes; a gateway's decision, and the access check's."""

    def __init__(self, client: Client, connector: Connector, server: Server, gateway: Gateway) -> None:
        factories.tunnel(gateway, server)
        self.client, self.gateway, self.connector = client, gateway, connector
        self.account: ClientAccount = AccountFactory()
        self.application: Application = factories.application("app", origin="127.0.0.1:1")
        factories.policy(connector)

    def type(self, text: str) -> str:
        """Type an address into the form; return the sentence by which it is refused, or nothing."""
        form = {
            "name": "app",
            "protocol": "TCP",
            "addresses": text,
            "ports": str(PORT),
            "origin": "127.0.0.1:1",
        }
        answer = self.client.post(f"/sase/applications/{self.application.pk}/", form | {"enabled": "on"})
        if answer.status_code == 302:
            return ""
        assert answer.status_code == 422, answer.status_code
        return unescape(answer.text)

    def snapshot(self) -> Snapshot:
        compiled = Snapshot.compile(console_snapshot.build(self.gateway))
        return compiled.with_online(frozenset({self.connector.pk}))

    def decides(self, authority: str) -> bool:
        session = SessionIdentity("session-1", self.account.pk, self.account.instance_id, "anna", "", 2e9)
        return decide(session, Destination.parse(authority), self.snapshot(), now=0).allowed

    def checked(self, host: str, port: int) -> bool:
        query = {"account": self.account.pk, "host": host, "port": str(port)}
        answer = self.client.get("/sase/access-check/", query)
        assert answer.status_code == 200, answer.text
        return "PolicyMatched" in answer.text


@pytest.fixture
def world(operator_client: Client, connector: Connector, server: Server, gateway: Gateway) -> World:
    return World(operator_client, connector, server, gateway)


def test_what_is_typed_is_what_gateways_and_the_access_check_mean(world: World) -> None:
    @settings(max_examples=20)
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        typed = data.draw(addresses.written())
        refusal = world.type(typed)
        if refusal:
            assert "Line 1: “" in refusal or "Give at least one address." in refusal, typed
            return
        (stored,) = world.application.addresses.values_list("address", flat=True)
        host = data.draw(addresses.meant_by(stored))
        expected = addresses.is_meant(stored, host)
        assert world.decides(f"{host}:{PORT}") == expected, (typed, stored, host)
        assert world.checked(host, PORT) == expected, (typed, stored, host)
        assert not world.decides(f"{host}:{PORT + 1}")
        assert not world.decides(f"other.invalid:{PORT}")

    holds()


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("https://Wiki.corp.example:8443/a", "is a URL; write its host name alone: wiki.corp.example."),
        (".corp.example", "begins with a dot; all names below are *.corp.example."),
        ("wiki.corp.example:443", "has a port; the address is wiki.corp.example alone."),
        ("[2001:db8::1]:443", "has a port; the address is [2001:db8::1] alone."),
        ("wiki.corp.example/a", "has a path; the address is wiki.corp.example alone."),
        ("fe80::1%eth0", "has a zone, which counts on one machine only; write the IPv6 address without it."),
        ("010.0.0.1", "is not an IPv4 address: four numbers from 0 to 255."),
        ("0x7f.1", "is not an IPv4 address: four numbers from 0 to 255."),
        ("１０.0.0.1", "is not an IPv4 address: four numbers from 0 to 255."),
        ("2001:db8::1/32", "has bits beyond its prefix; 2001:db8::/32 would be the block."),
        ("10.0.0.0/40", "is not a CIDR block such as 10.0.0.0/8."),
        ("corp.*", "is not a host name, a wildcard such as *.example.com, an IP address or a CIDR block."),
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_is_typed_with_what_is_legal(
    world: World, typed: str, sentence: str
) -> None:
    assert f"Line 1: “{typed}” {sentence}" in world.type(typed)


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("my_host.Corp.Example.", "my_host.corp.example"),
        ("my_host.bücher.example", "my_host.xn--bcher-kva.example"),
        ("*.bücher.example", "*.xn--bcher-kva.example"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("10.0.0.1/32", "10.0.0.1"),
    ],
)
def test_each_spelling_is_kept_in_one_form(world: World, typed: str, stored: str) -> None:
    assert world.type(typed) == ""
    assert list(world.application.addresses.values_list("address", flat=True)) == [stored]
