"""Log-ons by the right password have a share of each minute, and one account takes no more than its client IPs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import Settings

from roaming.models import ClientAccount, UserSession
from roaming.sessions import lockout
from tests.console.machine import Machine
from tests.roaming.answers import refusal
from tests.roaming.factories import PASSWORD, AccountFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def three_log_ons(settings: Settings) -> None:
    settings.LOGONS_PER_MINUTE = 3


def loop(post: Callable[..., Any], credentials: dict[str, str], times: int) -> Any:
    """Log on and off so many times; the answer to the last log-on."""
    for _ in range(times):
        answer = post("login", credentials)
        if answer.status_code == 200:
            assert post("logout", {"token": answer.json()["token"]}).status_code == 200
    return answer


def test_a_loop_of_log_ons_and_log_offs_ends(post: Callable[..., Any], credentials: dict[str, str]) -> None:
    answer = loop(post, credentials, 4)
    assert refusal(answer) == (429, "LockedOut")
    assert "logged on 3 times within a minute" in answer.json()["error"]["message"]
    assert 1 <= int(answer["Retry-After"]) <= 20
    assert UserSession.objects.count() == 3


def test_others_log_on_meanwhile(
    post: Callable[..., Any], credentials: dict[str, str], account: ClientAccount
) -> None:
    loop(post, credentials, 4)
    other = AccountFactory(instance=account.instance)
    assert post("login", credentials | {"username": other.username}).status_code == 200


def test_without_the_right_password_nobody_uses_up_an_accounts_share(
    post: Callable[..., Any], credentials: dict[str, str]
) -> None:
    for place in range(6):
        answer = post("login", credentials | {"password": f"wrong-{place}"})
        assert refusal(answer) == (401, "LogonRefused")
    assert post("login", credentials).status_code == 200


def test_the_minute_after_the_account_logs_on_again(
    post: Callable[..., Any], credentials: dict[str, str]
) -> None:
    assert loop(post, credentials, 4).status_code == 429
    lockout.logons.forget()  # a minute later
    assert post("login", credentials).status_code == 200


def test_an_account_holds_no_more_client_ips_than_it_may_have_sessions(
    machine: Machine, account: ClientAccount, credentials: dict[str, str], settings: Settings
) -> None:
    settings.LOGONS_PER_MINUTE, settings.SESSIONS_PER_ACCOUNT = 100, 2
    other = AccountFactory(instance=account.instance)
    for _ in range(20):
        assert machine.call("login", credentials | {"kind": "connect"}).status_code == 200
    live = UserSession.objects.filter(ended_at=None)
    assert live.count() == len(set(live.values_list("client_ip", flat=True))) == 2
    body = credentials | {"username": other.username, "password": PASSWORD}
    assert machine.call("login", body).status_code == 200
