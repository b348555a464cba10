"""Client IPs: unique among live sessions, usable, returned at the end."""

import threading
from contextlib import suppress
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_django import Settings

from roaming.accounts import services as accounts
from roaming.models import ClientAccount, Instance, UserSession
from roaming.networks import usable_count, usable_range
from roaming.sessions import logon
from roaming.sessions import services as sessions
from roaming.sessions.leases import LeaseExhausted, _steps
from tests.at_once import at_once
from tests.roaming.factories import ACTOR, AccountFactory, InstanceFactory, log_on

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def one_account_may_take_all(settings: Settings) -> None:
    settings.SESSIONS_PER_ACCOUNT = 10_000


def test_every_usable_address_is_leased_once_and_then_no_more() -> None:
    account = AccountFactory(
        instance=InstanceFactory(account_quota=5, cidrs=["10.9.0.0/29", "10.9.1.0/31", "10.9.2.0/32"])
    )
    leased = {log_on(account).client_ip for _ in range(6 + 2 + 1)}
    assert leased == {*(f"10.9.0.{n}" for n in range(1, 7)), "10.9.1.0", "10.9.1.1", "10.9.2.0"}
    with pytest.raises(LeaseExhausted) as refused:
        log_on(account)
    assert refused.value.status == 503


def test_an_address_returns_to_the_pool_at_the_end() -> None:
    account = AccountFactory(instance=InstanceFactory(account_quota=1, cidrs=["10.9.0.0/32"]))
    first = log_on(account)
    sessions.session_end(session=first, actor=ACTOR)
    assert log_on(account).client_ip == first.client_ip


def test_expired_sessions_make_room_before_anybody_is_turned_away() -> None:
    account = AccountFactory(instance=InstanceFactory(account_quota=1, cidrs=["10.9.0.0/32"]))
    first = log_on(account)
    UserSession.objects.filter(pk=first.pk).update(expires_at=first.created_at)
    second = log_on(account)
    first.refresh_from_db()
    assert first.end_reason == "expired"
    assert second.pk != first.pk


def test_static_addresses_are_never_leased_to_others() -> None:
    instance = InstanceFactory(account_quota=2, cidrs=["10.9.0.0/30"])
    fixed = AccountFactory(instance=instance, static_ip="10.9.0.1")
    other = AccountFactory(instance=instance)
    assert log_on(other).client_ip == "10.9.0.2"
    with pytest.raises(LeaseExhausted):
        log_on(other)
    assert log_on(fixed).client_ip == "10.9.0.1"


def test_a_full_step_leads_to_the_next(instance: Instance) -> None:
    """A /22 whose addresses are all taken but one."""
    instance = InstanceFactory(cidrs=["10.9.0.0/22"])
    account = AccountFactory(instance=instance)
    first, last = usable_range(IPv4Network("10.9.0.0/22"))
    free = first + 700
    template = log_on(account)
    UserSession.objects.all().delete()
    UserSession.objects.bulk_create(
        UserSession(
            account=account,
            username=account.username,
            instance=instance,
            client_ip=str(IPv4Address(number)),
            kind="connect",
            expires_at=template.expires_at,
        )
        for number in range(first, last + 1)
        if number != free
    )
    assert log_on(account).client_ip == str(IPv4Address(free))


@settings(max_examples=200)
@given(first=st.integers(0, 2**32 - 1), size=st.integers(1, 70_000))
def test_the_steps_cover_a_range_exactly_once(first: int, size: int) -> None:
    steps = sorted(_steps(first, first + size - 1))
    assert steps[0][0] == first
    assert steps[-1][1] == first + size - 1
    assert all(left[1] + 1 == right[0] for left, right in pairwise(steps))
    assert len(steps) <= 12


def test_usable_counts() -> None:
    blocks = [IPv4Network("10.0.0.0/24"), IPv4Network("10.1.0.0/31"), IPv4Network("10.2.0.0/32")]
    assert usable_count(blocks) == 254 + 2 + 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_log_ons_at_the_same_moment_never_share_an_address() -> None:
    instance = InstanceFactory(account_quota=20, cidrs=["10.9.0.0/27"])
    people = [AccountFactory(instance=instance) for _ in range(12)]

    def twice(account: ClientAccount) -> None:
        log_on(account)
        log_on(account)

    assert at_once(*(partial(twice, account) for account in people)) == [None] * 12
    addresses = list(UserSession.objects.values_list("client_ip", flat=True))
    assert len(addresses) == len(set(addresses)) == 24


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_disabling_during_log_ons_leaves_no_live_session() -> None:
    account = AccountFactory(instance=InstanceFactory(cidrs=["10.9.0.0/24"]))
    started = threading.Event()

    def logs_on() -> None:
        with suppress(logon.AccountDisabled):
            for _ in range(50):
                log_on(account)
                started.set()

    def disables() -> None:
        assert started.wait(30)
        accounts.account_disable(account=account, actor=ACTOR)

    assert at_once(disables, *[logs_on] * 4) == [None] * 5
    assert Instance.objects.count() == 1
    assert not UserSession.objects.filter(ended_at=None).exists()
