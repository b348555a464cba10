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


def instance_like(**changes: Any) -> Instance:
    return Instance(name="instance", region_id="cn-shanghai", **changes)


def second_live_client_ip() -> UserSession:
    account = AccountFactory()
    session_like(account).save()
    return session_like(account)


# What is broken → a row that breaks it, and the sentence.
CASES: dict[str, tuple[Callable[[], Any], str]] = {
    "second user name": (
        lambda: account_like(AccountFactory(username="Alice-Ant"), username="aLICE-aNT"),
        "The instance has a client account of this user name already.",
    ),
    "second static IP": (
        lambda: account_like(
            AccountFactory(instance=InstanceFactory(cidrs=["10.9.0.0/24"]), static_ip="10.9.0.7"),
            static_ip="10.9.0.7",
        ),
        "Another client account of the instance has this static IP.",
    ),
    "too much bandwidth": (
        lambda: account_like(AccountFactory(), bandwidth_kbps=10_000_001),
        "Bandwidth must be 1–10,000,000 kbit/s.",
    ),
    "no quota": (lambda: instance_like(account_quota=0), "Account quota must be 1–1,000,000."),
    "unknown status": (
        lambda: instance_like(status="sleeping"),
        "Status must be active, stopped or deleting.",
    ),
    "standby DNS only": (lambda: instance_like(dns2="10.0.0.53"), "A standby DNS server needs a first one."),
    "second block": (
        lambda: InstanceCidr(instance=InstanceFactory(cidrs=["10.9.0.0/24"]), cidr="10.9.0.0/24", position=1),
        "The instance holds this block already.",
    ),
    "second CCN of a name": (
        lambda: CCN(name=CCNFactory(name="backbone").name, area_id="mainland-china"),
        "A CCN of this name exists in the area already.",
    ),
    "second cloud network": (
        lambda: CloudNetwork(ccn=CCNFactory(networks=["172.16.0.0/16"]), cidr="172.16.0.0/16"),
        "The CCN holds this block already.",
    ),
    "second live client IP": (
        second_live_client_ip,
        "Another live session of the instance has this client IP.",
    ),
    "end without reason": (
        lambda: session_like(AccountFactory(), ended_at=timezone.now()),
        "An ended session needs a known reason, a live one has none.",
    ),
    "reason without end": (
        lambda: session_like(AccountFactory(), end_reason="kicked"),
        "An ended session needs a known reason, a live one has none.",
    ),
    "unknown kind": (
        lambda: session_like(AccountFactory(), kind="pigeon"),
        "Kind must be proxy or connect.",
    ),
}


@pytest.mark.parametrize(("make", "sentence"), CASES.values(), ids=CASES)
def test_a_broken_rule_is_said_in_a_sentence_and_refused_by_the_database(
    make: Callable[[], Any], sentence: str
) -> None:
    row = make()
    with pytest.raises(ValidationError) as refused:
        row.validate_constraints()
    assert refused.value.messages == [sentence]
    with pytest.raises(IntegrityError, match="constraint"), transaction.atomic():
        row.save()


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
