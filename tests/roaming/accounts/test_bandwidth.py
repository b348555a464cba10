"""What gateways are told of accounts' bandwidth: by the token, and by the configuration where that is out of date."""

from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from pytest_django import Settings

from console.core import audit
from console.core.errors import Invalid
from console.machines import config, snapshot
from console.models import Gateway
from roaming.accounts import services as accounts
from roaming.models import ClientAccount, UserSession
from roaming.sessions import logon
from tests.roaming.factories import AccountFactory, log_on, logged_on

pytestmark = pytest.mark.django_db
ACTOR = audit.System("test")


def claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def give(account: ClientAccount, kbps: int) -> None:
    accounts.account_update(account=account, email=account.email, bandwidth_kbps=kbps, actor=ACTOR)


def told(gateway: Gateway) -> Mapping[str, int]:
    return snapshot.build(gateway).bandwidth


def test_the_token_names_the_bandwidth_and_the_configuration_is_silent(gateway: Gateway) -> None:
    account = AccountFactory(bandwidth_kbps=1500)
    assert claims(logged_on(account)[0])["bw"] == 1500
    assert told(gateway) == {}


def test_a_change_is_published_and_told_for_accounts_with_live_sessions_only(gateway: Gateway) -> None:
    account, away = AccountFactory(), AccountFactory()
    log_on(account)
    before = config.current().version
    give(account, 3000)
    give(away, 3000)
    assert config.current().version > before
    assert told(gateway) == {account.pk: 3000}


def test_a_renewed_token_says_what_the_first_one_said(gateway: Gateway) -> None:
    """Both may be in use: so the configuration overrules both, or neither."""
    account = AccountFactory(bandwidth_kbps=1000)
    token, _ = logged_on(account)
    give(account, 2000)
    assert claims(logon.renew(token)[0])["bw"] == 1000
    assert told(gateway) == {account.pk: 2000}
    give(account, 1000)
    assert told(gateway) == {}


def test_an_ended_session_is_not_told(gateway: Gateway) -> None:
    account = AccountFactory(bandwidth_kbps=1000)
    log_on(account)
    give(account, 2000)
    accounts.account_kick(account=account, actor=ACTOR)
    assert told(gateway) == {}


def test_a_session_from_before_tokens_named_it_is_told(gateway: Gateway) -> None:
    account = AccountFactory(bandwidth_kbps=1000)
    session = log_on(account)
    UserSession.objects.filter(pk=session.pk).update(bandwidth_kbps=None)
    assert told(gateway) == {account.pk: 1000}


def test_the_highest_bandwidth_is_a_setting(settings: Settings) -> None:
    account = AccountFactory()
    settings.BANDWIDTH_MAX_KBPS = 50_000
    give(account, 50_000)
    with pytest.raises(Invalid, match=r"1–50,000 kbit/s\."):
        give(account, 50_001)
