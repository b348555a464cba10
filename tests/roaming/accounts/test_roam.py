"""Roaming a client account: the three limits, the copy, and the codes."""

from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Network
from typing import Any

import pytest
from django.contrib.auth.hashers import check_password
from django.test import Client
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st

from console.core.errors import Refusal
from console.models import Area, AuditRow
from roaming.accounts import selectors
from roaming.accounts import services as accounts
from roaming.accounts.roaming import account_roam
from roaming.instances import deletion
from roaming.instances import services as instances
from roaming.models import ClientAccount, Instance
from tests.at_once import at_once
from tests.roaming.factories import ACTOR, AccountFactory, InstanceFactory, abroad, log_on

pytestmark = pytest.mark.django_db


def test_the_copy_logs_on_abroad_with_the_same_password(account: ClientAccount) -> None:
    destination = abroad()
    copy = account_roam(account=account, destination=destination, actor=ACTOR)
    for name in ("username", "email", "bandwidth_kbps"):
        assert getattr(copy, name) == getattr(account, name)
    assert (copy.source, copy.origin, copy.password) == (account, account.origin, account.password)
    assert log_on(copy).client_ip.startswith("10.250.0.")
    row = AuditRow.objects.get(verb="account.roam")
    assert (row.after["from"], row.after["to"]) == (account.instance_id, destination.pk)


def test_a_static_ip_becomes_a_leased_one() -> None:
    account = AccountFactory(instance=InstanceFactory(cidrs=["10.9.0.0/24"]), static_ip="10.9.0.7")
    assert account_roam(account=account, destination=abroad(), actor=ACTOR).static_ip is None


def same_area(account: ClientAccount) -> Instance:
    return InstanceFactory(cidrs=["10.250.0.0/24"])


def no_block(account: ClientAccount) -> Instance:
    return abroad(cidrs=[])


def name_taken(account: ClientAccount) -> Instance:
    destination = abroad()
    AccountFactory(instance=destination, username=account.username.upper())
    return destination


def quota_used(account: ClientAccount) -> Instance:
    destination = abroad(account_quota=1)
    AccountFactory(instance=destination)
    return destination


def stopped(account: ClientAccount) -> Instance:
    destination = abroad()
    return instances.instance_stop(instance=destination, actor=ACTOR)


def overlapping(account: ClientAccount) -> Instance:
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
def test_each_limit_is_refused_with_its_code(account: ClientAccount, make: Callable[..., Any]) -> None:
    destination = make(account)
    before = ClientAccount.objects.count()
    with pytest.raises(Refusal) as refused:
        account_roam(account=account, destination=destination, actor=ACTOR)
    assert refused.value.code == REFUSED[make]
    assert ClientAccount.objects.count() == before


def test_an_overlap_is_named_by_its_exact_pair(account: ClientAccount) -> None:
    destination = overlapping(account)
    with pytest.raises(Refusal) as refused:
        account_roam(account=account, destination=destination, actor=ACTOR)
    assert str(account.instance.blocks()[0]) in refused.value.message
    assert str(destination.blocks()[1]) in refused.value.message
    assert str(destination.blocks()[0]) not in refused.value.message


def test_a_removed_account_or_instance_is_said_with_its_code(account: ClientAccount) -> None:
    destination = abroad()
    accounts.account_delete(account=account, actor=ACTOR)
    with pytest.raises(Refusal) as refused:
        account_roam(account=account, destination=destination, actor=ACTOR)
    assert refused.value.code == "ClientUser.NameInvalid"
    deletion.instance_delete(instance=destination, actor=ACTOR)
    with pytest.raises(Refusal) as refused:
        account_roam(account=account, destination=destination, actor=ACTOR)
    assert refused.value.code == "SAG.InstanceNoFound"


BLOCKS = st.lists(
    st.builds(
        lambda third, prefix: IPv4Network(f"10.0.{third}.0/{prefix}", strict=False),
        st.integers(0, 15),
        st.integers(21, 24),
    ),
    max_size=3,
).filter(lambda blocks: not any(a.overlaps(b) for i, a in enumerate(blocks) for b in blocks[:i]))
NAMES = ("traveller", "TRAVELLER", "somebody", "Some.body")
WORLDS = st.lists(
    st.fixed_dictionaries(
        {
            "region_id": st.sampled_from(["cn-shanghai", "cn-hongkong", "ap-southeast-1"]),
            "blocks": BLOCKS,
            "quota": st.integers(1, 3),
            "active": st.booleans(),
            "people": st.lists(st.sampled_from(NAMES), max_size=2, unique_by=str.lower),
        }
    ),
    min_size=1,
    max_size=4,
)


def legal(here: list, there: dict) -> bool:
    """The oracle: addresses as plain sets of numbers, names as lower case; nothing of it is taken from the rules."""
    people = there["people"] if there["blocks"] else []
    return (
        there["region_id"] != "cn-shanghai"
        and there["active"]
        and bool(here and there["blocks"])
        and not any(set(map(int, a)) & set(map(int, b)) for a in here for b in there["blocks"])
        and "traveller" not in [name.lower() for name in people]
        and len(people) < there["quota"]
    )


def build(there: dict[str, Any]) -> Instance:
    """The instance of a drawn world; people that cannot be added for want of a block or of room are left out."""
    there["quota"] = max(there["quota"], len(there["people"]))
    made = InstanceFactory(
        region_id=there["region_id"], cidrs=list(map(str, there["blocks"])), account_quota=there["quota"]
    )
    for name in there["people"] if there["blocks"] else []:
        AccountFactory(instance=made, username=name)
    return made if there["active"] else instances.instance_stop(instance=made, actor=ACTOR)


@settings(max_examples=40)
@given(here=BLOCKS.filter(bool), worlds=WORLDS)
def test_random_worlds_agree_with_the_oracle(
    db: None, here: list[IPv4Network], worlds: list[dict[str, Any]]
) -> None:
    """For every instance of every area: what the dialog shows, what the service does, and the oracle are one."""
    account = AccountFactory(instance=InstanceFactory(cidrs=list(map(str, here))), username="traveller")
    made = [(build(there), legal(here, there)) for there in worlds]
    shown = {
        found.instance.pk: found.broken
        for area in Area.objects.filter(pk__in=["mainland-china", "hong-kong", "singapore"])
        for found in selectors.destinations(account.instance, area, account.username)
    }
    for destination, expected in made:
        broken = shown[destination.pk]
        assert (broken is None) is expected
        try:
            account_roam(account=account, destination=destination, actor=ACTOR)
        except Refusal as refused:
            assert not expected
            assert broken is not None
            assert (refused.code, refused.message) == (broken.code, broken.problem)
        else:
            assert expected


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_of_two_roamings_into_the_last_place_one_wins() -> None:
    destination = abroad(account_quota=1)
    people = [AccountFactory() for _ in range(4)]

    def roam(account: Any) -> Any:
        return account_roam(account=account, destination=destination, actor=ACTOR) and "copied"

    codes = codes_of(*(partial(roam, account) for account in people))
    assert sorted(codes) == ["ClientUser.UserOverLimit"] * 3 + ["copied"]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_accounts_added_at_the_same_moment_keep_the_quota() -> None:
    instance = InstanceFactory(account_quota=3)

    def add(number: Any) -> Any:
        email = f"person{number}@example.org"
        return accounts.account_create(instance=instance, email=email, actor=ACTOR) and "added"

    codes = codes_of(*(partial(add, number) for number in range(6)))
    assert sorted(codes) == ["ClientUser.UserOverLimit"] * 3 + ["added"] * 3


def codes_of(*jobs: Callable[[], Any]) -> list[Any]:
    """What each of the jobs, done at one moment, returned, or the code of its refusal."""
    return [result.code if isinstance(result, Refusal) else result for result in at_once(*jobs)]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_two_administrators_press_ok_at_once_and_one_gets_the_sentence(
    operator: Any, administrator: Any
) -> None:
    account, destination = AccountFactory(), abroad()
    url = reverse("roaming:account_roam", args=[account.pk])

    def press(user: Any) -> Any:
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        answer = client.post(url, {"area": "singapore", "instance": destination.pk})
        return answer.status_code, answer.text

    answers = sorted(codes_of(lambda: press(operator), lambda: press(administrator)))
    assert [status for status, _ in answers] == [302, 422]
    assert f"{destination.name} has a client account named {account.username} already." in answers[1][1]
    assert destination.accounts.count() == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_reset_at_the_moment_of_roaming_reaches_the_copy() -> None:
    for number in range(5):
        account = AccountFactory(instance=InstanceFactory())
        destination = abroad(cidrs=[f"10.24{number}.0.0/24"])
        codes_of(
            partial(account_roam, account=account, destination=destination, actor=ACTOR),
            partial(accounts.account_reset_password, account=account, password="Autumn-2026", actor=ACTOR),
        )
        hashes = set(ClientAccount.objects.filter(origin=account.origin).values_list("password", flat=True))
        assert len(hashes) == 1
        assert check_password("Autumn-2026", hashes.pop())


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_opposite_roamings_and_a_change_of_blocks_do_not_wait_for_each_other_for_ever() -> None:
    here, there = InstanceFactory(), abroad()
    going, coming = AccountFactory(instance=here), AccountFactory(instance=there)
    block = str(here.blocks()[0])
    results = codes_of(
        lambda: account_roam(account=going, destination=there, actor=ACTOR).instance_id,
        lambda: account_roam(account=coming, destination=here, actor=ACTOR).instance_id,
        lambda: (
            instances.instance_network_update(
                instance=there, cidrs=["10.250.0.0/24", block], ccn=None, actor=ACTOR
            ).pk
        ),
    )
    # Whoever came before the block was added was copied; whoever came after was refused because of it.
    assert results[2] == there.pk
    assert results[0] in {there.pk, "SAG.CidrOverlap"}
    assert results[1] in {here.pk, "SAG.CidrOverlap"}
