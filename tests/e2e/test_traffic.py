"""Traffic of users through the running demo: who gets where, and what refused users are told."""

from contextlib import closing
from typing import Any

import pytest

from tests.demo import Demo, post, wait_until


def test_a_stock_client_gets_the_wiki_in_both_areas(demo: Demo) -> None:
    for area in ("mainland-china", "singapore"):
        answer = demo.curl(
            "http://wiki.corp.example/", account=demo.account(area), gateway=demo.gateway(area)
        )
        assert (answer.exit_code, answer.status) == (0, 200), answer.error
        assert b"wiki" in answer.body


def test_the_wiki_answers_through_connect_as_well(demo: Demo) -> None:
    answer = demo.curl("http://wiki.corp.example/", "--proxytunnel")
    assert (answer.connect_status, answer.status) == (200, 200), answer.error


def test_the_cloud_network_of_the_area_is_reached_by_the_gateway_itself(demo: Demo) -> None:
    for service in demo.world["cloud_services"]:
        area = next(g["area"] for g in demo.world["gateways"] if g["region"] == service["region"])
        url = f"http://{service['host']}:{service['port']}/"
        answer = demo.curl(url, account=demo.account(area), gateway=demo.gateway(area))
        assert answer.status == 200, answer.body


def test_the_cloud_network_of_another_area_is_not_reached(demo: Demo) -> None:
    service = next(s for s in demo.world["cloud_services"] if s["region"] != demo.gateway()["region"])
    assert demo.verdict(service["host"], service["port"]) == (403, "NoMatch")


@pytest.mark.parametrize(
    "change", [{"password": "Wrong-password-1"}, {"username": "nobody.here"}, {"instance": "sag-none"}]
)
def test_wrong_credentials_are_refused_alike(demo: Demo, change: Any) -> None:
    tunnel = demo.connect("wiki.corp.example", 80, account=demo.account() | change)
    tunnel.close()
    assert tunnel.status == 407
    assert tunnel.headers["proxy-authenticate"].startswith("Basic")
    assert tunnel.headers["x-causeway-reason"] == "LogonRefused"
    assert tunnel.body.decode().strip().endswith(".")


@pytest.mark.parametrize(
    ("host", "port"), [("nothing.corp.example", 80), ("wiki.corp.example", 22), ("127.0.0.1", 22)]
)
def test_what_nothing_matches_is_denied(demo: Demo, host: Any, port: Any) -> None:
    assert demo.verdict(host, port) == (403, "NoMatch")


def test_a_disabled_account_is_cut_off_and_told_so(demo: Demo) -> None:
    account = demo.world["accounts"][2]
    query = "SELECT id FROM roaming_clientaccount WHERE username = ?"
    url = f"/sag/accounts/{demo.rows(query, account['username'])[0][0]}"
    with closing(demo.admin_client()) as admin, demo.connect("echo.corp.example", 7, account=account) as flow:
        assert flow.status == 200
        assert post(admin, f"{url}/disable/").status_code == 200
        try:
            flow.socket.settimeout(30)
            assert read_to_end(flow.socket) == b""
            refused = wait_until(lambda: refusal(demo, account), 30, what="the refusal")
            assert refused == (403, "AccountDisabled")
        finally:
            assert post(admin, f"{url}/enable/").status_code == 200
    enabled = "the enabled account's next flow"
    wait_until(lambda: demo.verdict(account=account)[0] == 200, 30, what=enabled)


def refusal(demo: Demo, account: Any) -> tuple[int, str] | None:
    verdict = demo.verdict(account=account)
    return None if verdict[0] == 200 else verdict


def read_to_end(stream: Any) -> bytes:
    """Return the bytes that still come until the flow ends; a reset is an end as well."""
    try:
        return stream.recv(65536)
    except (ConnectionError, OSError) as error:
        assert not isinstance(error, TimeoutError), "the flow is still open"
        return b""


def test_echo_returns_every_byte(demo: Demo) -> None:
    with demo.connect("echo.corp.example", 7) as flow:
        assert flow.echoes(bytes(range(256)) * 512)
