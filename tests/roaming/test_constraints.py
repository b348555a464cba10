"""Rules that the database keeps: a sentence from full_clean, an IntegrityError from a raw write."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from roaming.models import CCN, ClientAccount, CloudNetwork, Instance, InstanceCidr, UserSession
from tests.roaming.factories import AccountFactory, CCNFactory, InstanceFactory

pytestmark = pytest.mark.django_db


def account_like(account: ClientAccount, **changes: Any) -> ClientAccount:
    fields = {
        "instance": account.instance,
        "username": "somebody-else",
        "email": "somebody@example.org",
        "password": account.password,
        "origin": "user-0000000000000000",
    }
    return ClientAccount(**fields | changes)


def session_like(account: ClientAccount, **changes: Any) -> UserSession:
    fields = {
        "account": account,
        "username": account.username,
        "instance": account.instance,
        "client_ip": "10.1.2.3",
        "kind": "proxy",
        "expires_at": timezone.now() + timedelta(hours=1),
    }
    return UserSession(**fields | changes)


def second_username() -> ClientAccount:
    account = AccountFactory(username="Alice-Ant")
    return account_like(account, username="aLICE-aNT")


def second_static_ip() -> ClientAccount:
    instance = InstanceFactory(cidrs=["10.9.0.0/24"])
    return account_like(AccountFactory(instance=instance, static_ip="10.9.0.7"), static_ip="10.9.0.7")


def too_much_bandwidth() -> ClientAccount:
    return account_like(AccountFactory(), bandwidth_kbps=10_000_001)


def no_quota() -> Instance:
    return Instance(name="instance", region_id="cn-shanghai", account_quota=0)


def unknown_status() -> Instance:
    return Instance(name="instance", region_id="cn-shanghai", status="sleeping")


def standby_dns_only() -> Instance:
    return Instance(name="instance", region_id="cn-shanghai", dns2="10.0.0.53")


def second_block() -> InstanceCidr:
    instance = InstanceFactory(cidrs=["10.9.0.0/24"])
    return InstanceCidr(instance=instance, cidr="10.9.0.0/24", position=1)


def second_ccn_name() -> CCN:
    return CCN(name=CCNFactory(name="backbone").name, area_id="mainland-china")


def second_cloud_network() -> CloudNetwork:
    return CloudNetwork(ccn=CCNFactory(networks=["172.16.0.0/16"]), cidr="172.16.0.0/16")


def second_live_client_ip() -> UserSession:
    account = AccountFactory()
    session_like(account).save()
    return session_like(account)


def end_without_reason() -> UserSession:
    return session_like(AccountFactory(), ended_at=timezone.now())


def reason_without_end() -> UserSession:
    return session_like(AccountFactory(), end_reason="kicked")


def unknown_kind() -> UserSession:
    return session_like(AccountFactory(), kind="pigeon")


CASES = {
    second_username: "The instance has a client account of this user name already.",
    second_static_ip: "Another client account of the instance has this static IP.",
    too_much_bandwidth: "Bandwidth must be 1–10,000,000 kbit/s.",
    no_quota: "Account quota must be 1–1,000,000.",
    unknown_status: "Status must be active, stopped or deleting.",
    standby_dns_only: "A standby DNS server needs a first one.",
    second_block: "The instance holds this block already.",
    second_ccn_name: "A CCN of this name exists in the area already.",
    second_cloud_network: "The CCN holds this block already.",
    second_live_client_ip: "Another live session of the instance has this client IP.",
    end_without_reason: "An ended session needs a known reason, a live one has none.",
    reason_without_end: "An ended session needs a known reason, a live one has none.",
    unknown_kind: "Kind must be proxy or connect.",
}


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_a_broken_rule_is_said_in_a_sentence(make: Callable[..., Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        make().validate_constraints()
    assert refused.value.messages == [CASES[make]]


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_a_broken_rule_is_refused_by_the_database(make: Callable[..., Any]) -> None:
    row = make()
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        row.save()
    assert "constraint" in str(refused.value)


def test_an_ended_sessions_address_is_free(account: ClientAccount) -> None:
    session_like(account, ended_at=timezone.now(), end_reason="kicked").save()
    session_like(account).full_clean()
    session_like(account).save()
    assert UserSession.objects.filter(client_ip=session_like(account).client_ip).count() == 2


def test_addresses_sort_as_numbers(account: ClientAccount) -> None:
    for address in ("10.0.0.10", "10.0.0.9", "9.0.0.1", "10.0.1.1"):
        session_like(account, client_ip=address).save()
    ordered = list(UserSession.objects.order_by("client_ip").values_list("client_ip", flat=True))
    assert ordered == ["9.0.0.1", "10.0.0.9", "10.0.0.10", "10.0.1.1"]
