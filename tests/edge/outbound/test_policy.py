"""Which proxy a connection goes by, spelling by spelling, and what is refused with the variable's name."""

import pytest

from edge.outbound.errors import OutboundError
from edge.outbound.policy import proxy_for, tunnel_proxy


@pytest.mark.parametrize(
    ("environ", "scheme", "shown"),
    [
        ({"HTTPS_PROXY": "http://p.example:3128"}, "https", "http://p.example:3128"),
        (
            {"https_proxy": "http://low.example:1", "HTTPS_PROXY": "http://up.example:2"},
            "https",
            "http://low.example:1",
        ),
        ({"HTTPS_PROXY": "p.example:3128"}, "https", "http://p.example:3128"),
        ({"HTTPS_PROXY": " http://p.example/ "}, "https", "http://p.example:80"),
        ({"HTTPS_PROXY": "https://p.example"}, "https", "https://p.example:443"),
        ({"HTTPS_PROXY": "http://[fd00::1]:3128"}, "https", "http://[fd00::1]:3128"),
        ({"HTTP_PROXY": "http://p.example:3128"}, "https", None),
        ({"HTTP_PROXY": "http://p.example:3128"}, "http", "http://p.example:3128"),
        ({"ALL_PROXY": "socks5://p.example"}, "https", "socks5://p.example:1080"),
        ({"all_proxy": "socks5h://p.example:1"}, "http", "socks5://p.example:1"),
        ({"ALL_PROXY": "socks://p.example:1/"}, "https", "socks5://p.example:1"),
        (
            {"ALL_PROXY": "http://a.example:1", "HTTPS_PROXY": "http://s.example:2"},
            "https",
            "http://s.example:2",
        ),
        (
            {"ALL_PROXY": "http://a.example:1", "HTTPS_PROXY": "http://s.example:2"},
            "smtp",
            "http://a.example:1",
        ),
        ({"HTTPS_PROXY": "http://s.example:2"}, "smtp", None),
        ({"HTTPS_PROXY": "", "https_proxy": "  "}, "https", None),
        ({}, "https", None),
    ],
)
def test_a_proxy_is_the_one_that_other_programs_take(
    environ: dict[str, str], scheme: str, shown: str | None
) -> None:
    proxy = proxy_for(scheme, "console.example.com", 443, environ)
    assert (proxy and proxy.shown) == shown


@pytest.mark.parametrize(
    ("host", "listed", "direct"),
    [
        ("console.corp.example", "corp.example", True),
        ("console.corp.example", ".corp.example", True),
        ("console.corp.example", "*.corp.example", True),
        ("corp.example", ".corp.example", True),
        ("CONSOLE.Corp.Example.", "corp.EXAMPLE", True),
        ("console.othercorp.example", "corp.example", False),
        ("console.corp.example", "example.org, corp.example", True),
        ("console.corp.example", "example.org  corp.example", True),
        ("console.corp.example", " , ,", False),
        ("console.corp.example", "*", True),
        ("console.corp.example", "corp.example:443", True),
        ("console.corp.example", "corp.example:8443", False),
        ("my_host.corp.example", "my_host.corp.example", True),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.9.9/16", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3:443", True),
        ("10.1.2.3", "10.1.*", True),
        ("fd07:b51a::9", "localhost,127.0.0.1,fd07:b51a::/64", True),
        ("fd07:b51b::9", "fd07:b51a::/64", False),
        ("fd07:b51a::9", "fd07:b51a:0:0::9", True),
        ("fd07:b51a::9", "[fd07:b51a::9]", True),
        ("fd07:b51a::9", "[fd07:b51a::9]:443", True),
        ("fd07:b51a::9", "[fd07:b51a::9]:8443", False),
        ("fd07:b51a::9", "[fd07:b51a::]/64", True),
        ("::ffff:10.1.2.3", "10.0.0.0/8", True),
        ("10.corp.example", "10.0.0.0/8", False),
        ("localhost", "", True),
        ("127.0.0.1", "", True),
        ("127.8.8.8", "", True),
        ("::1", "", True),
        ("[::1]", "", True),
        ("localhost.corp.example", "", False),
    ],
)
def test_hosts_that_go_directly(host: str, listed: str, direct: bool) -> None:
    environ = {"HTTPS_PROXY": "http://p.example:3128", "no_proxy": listed}
    assert (proxy_for("https", host, 443, environ) is None) is direct


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("HTTPS_PROXY", "socks4://p.example:1", "http://, https:// and socks5:// can be used"),
        ("https_proxy", "ftp://user:S3cret@p.example", "names a proxy by ftp://"),
        ("ALL_PROXY", "http://user:S3cret@", "must be an address such as"),
        ("HTTPS_PROXY", "http://user:S3cret@p.example:99999", "must be an address such as"),
        ("HTTPS_PROXY", "http://user:S3cret@p.example:port", "must be an address such as"),
        ("HTTPS_PROXY", "http://user:S3cret@[fd00::1", "must be an address such as"),
        ("HTTPS_PROXY", "http://p exam\nple:1", "must be an address such as"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(
    variable: str, value: str, words: str
) -> None:
    with pytest.raises(OutboundError) as raised:
        proxy_for("https", "console.example.com", 443, {variable: value})
    told = str(raised.value)
    assert told.startswith(variable) and words in told and "S3cret" not in told


@pytest.mark.parametrize("entry", ["10.0.0.0/99", "http://corp.example", "fd00::zz/64", "a/b", "<local>"])
def test_an_entry_that_means_nothing_is_named(entry: str) -> None:
    environ = {"HTTPS_PROXY": "http://p.example:1", "NO_PROXY": f"console.example.com, {entry}"}
    with pytest.raises(OutboundError, match=r"^NO_PROXY holds ") as raised:
        proxy_for("https", "console.example.com", 443, environ)
    assert repr(entry) in str(raised.value)
    assert proxy_for("https", "console.example.com", 443, {"NO_PROXY": entry}) is None, (
        "nobody asks for a proxy"
    )


def test_gateways_go_by_an_http_proxy_alone() -> None:
    environ = {"ALL_PROXY": "socks5://u:S3cret@p.example:1"}
    with pytest.raises(OutboundError, match=r"ALL_PROXY names socks5://p.example:1, but gateways") as raised:
        tunnel_proxy("gateway.example.com", 443, environ)
    assert "S3cret" not in str(raised.value)
    assert tunnel_proxy("gateway.example.com", 443, environ | {"NO_PROXY": "gateway.example.com"}) is None
    proxy = tunnel_proxy("gateway.example.com", 443, {"HTTPS_PROXY": "http://u:S3%20cret@p.example:1"})
    assert proxy is not None and proxy.password == "S3 cret" and "cret" not in repr(proxy)
