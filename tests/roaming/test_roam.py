"""Roaming a client account: the three limits, the copy, and the codes."""

import threading
from ipaddress import IPv4Network

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.errors import Refusal
from console.models import AuditRow
from roaming.models import ClientAccount
from roaming.services import accounts, instances
from roaming.services.roaming import account_roam
from tests.roaming.factories import ACTOR, AccountFactory, InstanceFactory
from tests.roaming.test_leases import log_on

pytestmark = pytest.mark.django_db


def abroad(**changes):
    return InstanceFactory(**{"region_id": "ap-southeast-1", "cidrs": ["10.250.0.0/24"]} | changes)


def test_the_copy_logs_on_abroad_with_the_same_password(account):
    destination = abroad()
    copy = account_roam(account=account, destination=destination, actor=ACTOR)
    assert (copy.username, copy.email, copy.bandwidth_kbps) == (
        account.username,
        account.email,
        account.bandwidth_kbps,
    )
    assert (copy.source, copy.origin, copy.password) == (account, account.origin, account.password)
    assert log_on(copy).client_ip.startswith("10.250.0.")
    row = AuditRow.objects.get(verb="account.roam")
    assert (row.after["from"], row.after["to"]) == (account.instance_id, destination.pk)


def test_a_static_ip_becomes_a_leased_one():
    account = AccountFactory(instance=InstanceFactory(cidrs=["10.9.0.0/24"]), static_ip="10.9.0.7")
    assert account_roam(account=account, destination=abroad(), actor=ACTOR).static_ip is None


def same_area(account):
    return InstanceFactory(cidrs=["10.250.0.0/24"])


def no_block(account):
    return abroad(cidrs=[])


def name_taken(account):
    destination = abroad()
    AccountFactory(instance=destination, username=account.username.upper())
    return destination


def quota_used(account):
    destination = abroad(account_quota=1)
    AccountFactory(instance=destination)
    return destination


def stopped(account):
    destination = abroad()
    return instances.instance_stop(instance=destination, actor=ACTOR)


def overlapping(account):
    return abroad(cidrs=["10.251.0.0/24", f"{account.instance.blocks()[0].network_address}/25"])


REFUSED = {
    same_area: "InvalidParameter.SameArea",
    no_block: "SAG.CidrEmpty",
    name_taken: "ClientUser.UserExist",
    quota_used: "ClientUser.UserOverLimit",
    stopped: "ClientUser.NotSupportAction",
    overlapping: "SAG.CidrOverlap",
}


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_each_limit_is_refused_with_its_code(account, make):
    destination = make(account)
    before = ClientAccount.objects.count()
    with pytest.raises(Refusal) as refused:
        account_roam(account=account, destination=destination, actor=ACTOR)
    assert refused.value.code == REFUSED[make]
    assert ClientAccount.objects.count() == before


def test_an_overlap_is_named_by_its_exact_pair(account):
    destination = overlapping(account)
    with pytest.raises(Refusal) as refused:
        account_roam(account=account, destination=destination, actor=ACTOR)
    assert str(account.instance.blocks()[0]) in refused.value.message
    assert str(destination.blocks()[1]) in refused.value.message
    assert str(destination.blocks()[0]) not in refused.value.message


BLOCKS = st.lists(
    st.builds(
        lambda third, prefix: IPv4Network(f"10.0.{third}.0/{prefix}", strict=False),
        st.integers(0, 15),
        st.integers(21, 24),
    ),
    max_size=3,
).filter(lambda blocks: not any(a.overlaps(b) for i, a in enumerate(blocks) for b in blocks[:i]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    here=BLOCKS.filter(bool),
    there=BLOCKS,
    region=st.sampled_from(["cn-shanghai", "ap-southeast-1"]),
    quota=st.integers(1, 2),
    taken=st.sampled_from([None, "traveller", "TRAVELLER", "somebody"]),
)
def test_random_worlds_agree_with_the_oracle(db, here, there, region, quota, taken):
    account = AccountFactory(instance=InstanceFactory(cidrs=list(map(str, here))), username="traveller")
    destination = InstanceFactory(region_id=region, cidrs=list(map(str, there)), account_quota=quota)
    if taken and there:
        AccountFactory(instance=destination, username=taken)
    used = 1 if taken and there else 0
    legal = (
        region != "cn-shanghai"
        and bool(there)
        and not any(set(map(int, a)) & set(map(int, b)) for a in here for b in there)
        and not (there and taken and taken.lower() == "traveller")
        and used < quota
    )
    try:
        account_roam(account=account, destination=destination, actor=ACTOR)
    except Refusal:
        assert not legal
    else:
        assert legal


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_of_two_roamings_into_the_last_place_one_wins():
    destination = abroad(account_quota=1)
    people = [AccountFactory() for _ in range(4)]
    barrier = threading.Barrier(len(people))
    codes: list[str] = []

    def run(account):
        try:
            barrier.wait(10)
            account_roam(account=account, destination=destination, actor=ACTOR)
            codes.append("copied")
        except Refusal as refused:
            codes.append(refused.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(account,)) for account in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(codes) == ["ClientUser.UserOverLimit"] * 3 + ["copied"]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_accounts_added_at_the_same_moment_keep_the_quota():
    instance = InstanceFactory(account_quota=3)
    barrier = threading.Barrier(6)
    codes: list[str] = []

    def run(number):
        try:
            barrier.wait(10)
            accounts.account_create(instance=instance, email=f"person{number}@example.org", actor=ACTOR)
            codes.append("added")
        except Refusal as refused:
            codes.append(refused.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(codes) == ["ClientUser.UserOverLimit"] * 3 + ["added"] * 3
