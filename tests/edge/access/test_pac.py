"""PAC files, as a real browser runs them: what a gateway would let through goes by the proxy, all else straight."""

import ipaddress
import json
from collections.abc import Callable, Iterator, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page

from edge.access.decision import Destination, decide
from edge.access.pac import EVERY_PORT, pac_file, rules_of
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

PROXY = "PROXY 127.0.0.1:3128"
SIGNER = TokenSigner()
ALICE = SessionIdentity(SESSION, ACCOUNT, INSTANCE, "alice", "10.0.0.2", 2e9)
NAMES = [
    "a.example",
    "x.a.example",
    "my_host.example",
    "__proto__",
    "constructor",
    "intranet",
    "xn--bcher-kva.example",
]
HOSTS = [
    *NAMES, "127.0.0.1", "10.1.2.3", "10.200.0.1", "169.254.1.1", "0.0.0.0", "8.8.8.8", "::1", "fe80::1", "2001:db8::7",
    "2001:db8:77::1:0", "fd00::", "::ffff:a01:203",
]  # fmt: skip
ADDRESSES = [
    *NAMES, "*.example", "*.a.example", "10.0.0.0/8", "10.1.0.0/17", "0.0.0.0/0", "127.0.0.0/8", "10.1.2.3",
    "169.254.0.0/16", "::/0", "2001:db8::/32", "2001:db8:77::/49", "fe80::/10", "::1", "2001:db8::7",
]  # fmt: skip
PORTS = [((80, 80),), ((443, 443), (8000, 8010)), ((1, 65535),)]

Engine = Callable[[str, list[tuple[str, str]]], list[str]]


@pytest.fixture
def engine(page: Page) -> Iterator[Engine]:
    """Run a PAC file for many (URL, host) in Chromium."""

    def run(pac: str, asked: list[tuple[str, str]]) -> list[str]:
        script = "asked => asked.map(each => FindProxyForURL(...each))"
        own = "function isPlainHostName(host) { return !/[.:]/.test(host); }\n"
        found: list[str] = page.evaluate(
            f"(() => {{ {own}{pac}\nreturn ({script})({json.dumps(asked)}); }})()"
        )
        return found

    yield run


def compiled(applications: Mapping[str, object], **changes: object) -> Snapshot:
    document = snapshot_document(SIGNER, 1, 2) | {
        "connectors": {"c1": connector()},
        "policies": [policy("1", "c1")],
    }
    document["instances"][INSTANCE]["cloud_networks"] = []
    document |= {"applications": applications, **changes}
    return Snapshot.compile(GatewayConfiguration.decode(document)).with_online(frozenset({"c1"}))


def url_of(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/path?a=b:1"


def test_in_a_browser_the_file_says_what_a_gateway_decides(engine: Engine) -> None:
    addresses = st.lists(st.sampled_from(ADDRESSES), min_size=1, max_size=4, unique=True)
    worlds = st.lists(st.tuples(addresses, st.sampled_from(PORTS)), min_size=1, max_size=3)

    @settings(max_examples=40)
    @given(worlds)
    def agrees(world: list[tuple[list[str], tuple[tuple[int, int], ...]]]) -> None:
        given_world = {f"pa-{n}": application(*names, ports=ports) for n, (names, ports) in enumerate(world)}
        snapshot = compiled(given_world)
        pac = pac_file(rules_of(ACCOUNT, INSTANCE, snapshot), PROXY)
        asked = [(url_of(host, port), host) for host in HOSTS for port in (80, 443, 8005, 9)]
        for (url, _), said in zip(asked, engine(pac, asked), strict=True):
            target = Destination.parse(url.removeprefix("http://").partition("/")[0])
            allowed = decide(ALICE, target, snapshot, now=0).allowed
            assert said == (PROXY if allowed else "DIRECT"), f"{url} in {world}"

    agrees()


@pytest.mark.parametrize(
    ("url", "host", "goes"),
    [
        ("http://wiki.corp.example/", "WIKI.corp.example", True),
        ("http://wiki.corp.example./", "wiki.corp.example.", True),
        ("https://wiki.corp.example/", "wiki.corp.example", False),  # of another port
        ("https://wiki.corp.example:80/", "wiki.corp.example", True),
        ("http://me:pw@wiki.corp.example:81/", "wiki.corp.example", False),
        ("ws://wiki.corp.example/", "wiki.corp.example", True),
        ("http://x.wiki.corp.example/", "x.wiki.corp.example", False),
        ("http://[2001:DB8::0:7]/", "[2001:DB8::0:7]", True),  # as some browsers name the host
        ("http://[2001:db8::10.0.0.1]/", "2001:db8::10.0.0.1", True),
        ("http://[::ffff:10.0.0.1]/", "::ffff:10.0.0.1", True),
        ("http://10.0.0.1.corp.example/", "10.0.0.1.corp.example", False),
        ("http://300.0.0.1/", "300.0.0.1", False),
    ],
)
def test_hosts_as_browsers_write_them(engine: Engine, url: str, host: str, goes: bool) -> None:
    rules = [("wiki.corp.example", ((80, 80),)), ("10.0.0.0/8", EVERY_PORT), ("2001:db8::/32", EVERY_PORT)]
    assert engine(pac_file(rules, PROXY), [(url, host)]) == [PROXY if goes else "DIRECT"]


def test_without_addresses_every_name_with_a_dot_goes_by_the_proxy(engine: Engine) -> None:
    asked = [("http://intranet/", "intranet"), ("http://a.example/", "a.example")]
    assert engine(pac_file(None, PROXY), asked) == ["DIRECT", PROXY]
    assert engine(pac_file([], PROXY), asked) == ["DIRECT", "DIRECT"]


def test_an_accounts_file_names_its_own_applications_and_cloud_networks() -> None:
    applications = {
        "pa-1": application("wiki.example"),
        "pa-2": application("secret.example"),
        "pa-3": application("udp.example", protocol="UDP"),
    }
    only = policy(
        "1",
        "c1",
        users="selected",
        accounts=[ACCOUNT],
        applications="selected",
        application_ids=["pa-1", "pa-3"],
    )
    other = policy("2", "c1", users="selected", accounts=["user-other"])
    snapshot = compiled(applications, policies=[only, other])
    assert rules_of(ACCOUNT, INSTANCE, snapshot) == [("wiki.example", ((80, 80),))]
    assert len(rules_of("user-other", INSTANCE, snapshot)) == 2
    assert rules_of("user-nobody", INSTANCE, snapshot) == []
    home = {"area": "mainland-china", "active": True, "ccn": "ccn-1", "cloud_networks": ["10.1.0.0/16"]}
    snapshot = compiled({}, instances={INSTANCE: home})
    assert rules_of("user-nobody", INSTANCE, snapshot) == [("10.1.0.0/16", EVERY_PORT)]
    elsewhere = compiled({}, instances={INSTANCE: home | {"area": "singapore"}})
    assert rules_of("user-nobody", INSTANCE, elsewhere) == []


def test_ports_of_several_applications_come_together() -> None:
    applications = {
        "pa-1": application("a.example", ports=((80, 90),)),
        "pa-2": application("a.example", ports=((85, 100), (443, 443), (101, 101))),
    }
    assert rules_of(ACCOUNT, INSTANCE, compiled(applications)) == [("a.example", ((80, 101), (443, 443)))]


@given(st.ip_addresses())
def test_an_address_has_the_numbers_that_the_script_compares(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    network = json.loads(
        pac_file([(str(address), EVERY_PORT)], PROXY).split("var networks = ")[1].partition(";\n")[0]
    )
    mapped = getattr(address, "ipv4_mapped", None) or address
    parts = mapped.packed
    assert network == [
        [[int.from_bytes(parts[n : n + 2]) for n in range(0, len(parts), 2)], mapped.max_prefixlen, []]
    ]
