"""Log-on over the edge API: who gets a session, who does not, and what is said."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.contrib.auth.hashers import MD5PasswordHasher, check_password
from django.utils import timezone
from pytest_django import Settings

from console.machines import config, pki
from console.models import AreaUpgrade, GatewayUpgrade
from roaming.accounts import services as accounts
from roaming.instances import deletion
from roaming.instances import services as instances
from roaming.models import ClientAccount, Instance, UserSession
from tests.console.factories import GatewayFactory
from tests.console.machine import Machine
from tests.roaming.answers import refusal
from tests.roaming.factories import ACTOR, PASSWORD, AccountFactory, InstanceFactory, credentials_of

pytestmark = pytest.mark.django_db


def test_the_right_password_opens_a_session(
    login: Callable[..., Any], account: ClientAccount, machine: Machine
) -> None:
    answer = login().json()
    session = UserSession.objects.get()
    assert answer["session"] == {
        "id": session.pk,
        "account": account.pk,
        "instance": account.instance_id,
        "username": account.username,
        "client_ip": session.client_ip,
        "expires_at": int(session.expires_at.timestamp()),
    }
    assert answer["ca"] == pki.ca_pem()
    assert timedelta(hours=23) < session.expires_at - timezone.now() <= timedelta(hours=24)
    account.refresh_from_db()
    assert account.last_logon_at is not None


def test_the_token_says_what_the_contract_names(login: Callable[..., Any], account: ClientAccount) -> None:
    token = login().json()["token"]
    key_id = jwt.get_unverified_header(token)["kid"]
    claims = jwt.decode(token, pki.session_public_keys()[key_id], algorithms=["EdDSA"], issuer="causeway")
    session = UserSession.objects.get()
    assert claims["exp"] - claims["iat"] == 24 * 3600
    assert {name: claims[name] for name in ("sub", "sid", "ins", "usr", "ip")} == {
        "sub": account.pk,
        "sid": session.pk,
        "ins": account.instance_id,
        "usr": account.username,
        "ip": session.client_ip,
    }


def test_gateways_are_the_enrolled_ones_of_the_instances_area(
    login: Callable[..., Any], machine: Machine
) -> None:
    GatewayFactory()  # not enrolled
    Machine("gateway", GatewayFactory(region_id="ap-southeast-1").pk)
    gateways = login().json()["gateways"]
    assert [gateway["id"] for gateway in gateways] == [machine.id]
    assert gateways[0]["area"] == "mainland-china"
    assert gateways[0]["proxy"].startswith("https://127.0.0.1:")


def test_a_gateway_that_is_upgraded_is_named_as_one_to_use_last(
    login: Callable[..., Any], machine: Machine
) -> None:
    run = AreaUpgrade.objects.create(area_id="mainland-china", version="9", drain_seconds=60)
    step = GatewayUpgrade.objects.create(upgrade=run, gateway_id=machine.id, position=0)
    assert "draining" not in login().json()["gateways"][0]
    for state in GatewayUpgrade.ACTIVE:
        step.state = state
        step.save()
        assert login().json()["gateways"][0]["draining"] is True
    step.state, step.finished_at = GatewayUpgrade.State.DONE, timezone.now()
    step.save()
    assert "draining" not in login().json()["gateways"][0]


def test_upper_and_lower_case_of_the_user_name_are_the_same(
    login: Callable[..., Any], account: ClientAccount
) -> None:
    answer = login(username=account.username.upper()).json()
    assert answer["session"]["username"] == account.username


@pytest.mark.parametrize(
    "wrong",
    [{"instance": "sag-000000000000000000"}, {"username": "nobody-here"}, {"password": "wrong-password"}],
    ids=["instance", "user name", "password"],
)
def test_one_and_the_same_refusal_for_whatever_is_wrong(
    post: Callable[..., Any], credentials: dict[str, str], wrong: dict[str, str]
) -> None:
    response = post("login", credentials | wrong)
    assert refusal(response) == (401, "LogonRefused")
    assert response.json()["error"]["message"] == "The instance ID, the user name or the password is wrong."
    assert not UserSession.objects.exists()


class CountingHasher(MD5PasswordHasher):
    algorithm = "counting"
    hashes = 0

    def encode(self, password: str, salt: str) -> str:
        CountingHasher.hashes += 1
        return super().encode(password, salt)


def test_an_unknown_name_costs_as_many_hashes_as_a_wrong_password(
    post: Callable[..., Any], settings: Settings
) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    account = AccountFactory()
    costs = []
    for name in (account.username, "nobody-here"):
        CountingHasher.hashes = 0
        post("login", credentials_of(account, username=name, password="wrong-password"))
        costs.append(CountingHasher.hashes)
    assert costs == [1, 1]


def test_a_disabled_account_is_named_only_after_the_right_password(
    login: Callable[..., Any], account: ClientAccount
) -> None:
    accounts.account_disable(account=account, actor=ACTOR)
    assert refusal(login(password="wrong-password")) == (401, "LogonRefused")
    assert refusal(login()) == (403, "AccountDisabled")


def test_a_stopped_instance_is_named_only_after_the_right_password(
    login: Callable[..., Any], instance: Instance
) -> None:
    instances.instance_stop(instance=instance, actor=ACTOR)
    assert refusal(login(password="wrong-password")) == (401, "LogonRefused")
    assert refusal(login()) == (403, "InstanceInactive")
    instances.instance_start(instance=instance, actor=ACTOR)
    assert login().status_code == 200


def test_a_proxy_log_on_continues_the_gateways_session(machine: Machine, credentials: dict[str, str]) -> None:
    first = machine.call("login", credentials).json()["session"]
    UserSession.objects.update(expires_at=timezone.now() + timedelta(minutes=1))
    second = machine.call("login", credentials).json()["session"]
    assert second["id"] == first["id"]
    assert second["client_ip"] == first["client_ip"]
    assert second["expires_at"] >= first["expires_at"]


def test_another_gateway_gets_a_session_of_its_own(machine: Machine, credentials: dict[str, str]) -> None:
    other = Machine("gateway", GatewayFactory().pk)
    first = machine.call("login", credentials).json()["session"]
    second = other.call("login", credentials).json()["session"]
    assert first["id"] != second["id"]
    assert first["client_ip"] != second["client_ip"]


def test_every_connect_log_on_is_a_session_of_its_own(
    post: Callable[..., Any], credentials: dict[str, str]
) -> None:
    body = credentials | {"kind": "connect"}
    assert post("login", body).json()["session"]["id"] != post("login", body).json()["session"]["id"]


def test_a_static_ip_is_kept_wherever_its_owner_logs_on(
    machine: Machine, post: Callable[..., Any], instance: Instance
) -> None:
    address = str(instance.blocks()[0][77])
    account = AccountFactory(instance=instance, static_ip=address)
    first = machine.call("login", credentials_of(account)).json()["session"]
    second = post("login", credentials_of(account, kind="connect")).json()["session"]
    assert first["client_ip"] == second["client_ip"] == address
    assert first["id"] == second["id"]


def test_only_a_gateway_may_say_where_its_client_is(
    machine: Machine, login: Callable[..., Any], credentials: dict[str, str]
) -> None:
    machine.call("login", credentials | {"public_address": "203.0.113.9"})
    assert UserSession.objects.get().public_address == "203.0.113.9"
    login(public_address="203.0.113.10", kind="connect")
    assert UserSession.objects.get(kind="connect").public_address == "127.0.0.1"


@pytest.mark.parametrize("header", ["Bearer nonsense", "Basic eDp5", "Bearer"])
def test_a_signature_that_is_given_must_be_right(
    post: Callable[..., Any], credentials: dict[str, str], header: str
) -> None:
    status, _ = refusal(post("login", credentials, authorization=header))
    assert status == 401
    assert not UserSession.objects.exists()


def test_the_session_names_its_gateway(machine: Machine, credentials: dict[str, str]) -> None:
    machine.call("login", credentials)
    assert UserSession.objects.get().gateway_id == machine.id


def test_a_hash_of_an_older_kind_is_renewed_for_all_copies(
    login: Callable[..., Any], account: ClientAccount, settings: Settings
) -> None:
    copy = AccountFactory(instance=InstanceFactory(region_id="ap-southeast-1"))
    ClientAccount.objects.filter(pk=copy.pk).update(origin=account.origin, password=account.password)
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher", *settings.PASSWORD_HASHERS]
    assert login().status_code == 200
    hashes = set(ClientAccount.objects.filter(origin=account.origin).values_list("password", flat=True))
    assert len(hashes) == 1
    assert hashes.pop().startswith("counting$")
    assert check_password(PASSWORD, ClientAccount.objects.get(pk=copy.pk).password)


class InterruptedHasher(MD5PasswordHasher):
    """While it computes, somebody else does something."""

    algorithm = "interrupted"
    meanwhile: Callable[[], object] | None = None

    def verify(self, password: str, encoded: str) -> bool:
        right = super().verify(password, encoded)
        if InterruptedHasher.meanwhile:
            do, InterruptedHasher.meanwhile = InterruptedHasher.meanwhile, None
            do()
        return right


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        (lambda a: accounts.account_reset_password(account=a, actor=ACTOR), (401, "LogonRefused")),
        (lambda a: accounts.account_delete(account=a, actor=ACTOR), (401, "LogonRefused")),
        (lambda a: accounts.account_disable(account=a, actor=ACTOR), (403, "AccountDisabled")),
        (lambda a: instances.instance_stop(instance=a.instance, actor=ACTOR), (403, "InstanceInactive")),
        (
            lambda a: deletion.instance_delete(instance=a.instance, with_accounts=True, actor=ACTOR),
            (401, "LogonRefused"),
        ),
    ],
    ids=["reset", "removed", "disabled", "instance stopped", "instance removed"],
)
def test_what_changes_while_the_password_is_hashed_counts(
    post: Callable[..., Any], settings: Settings, change: Callable[..., Any], answer: tuple[int, str]
) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.InterruptedHasher"]
    account = AccountFactory()
    InterruptedHasher.meanwhile = lambda: change(account)
    assert refusal(post("login", credentials_of(account))) == answer
    assert not UserSession.objects.filter(ended_at=None).exists()


def test_one_place_too_many_ends_the_session_that_was_used_least_lately(
    post: Callable[..., Any], credentials: dict[str, str], settings: Settings
) -> None:
    settings.SESSIONS_PER_ACCOUNT = 3
    body = credentials | {"kind": "connect"}
    opened = [post("login", body).json() for _ in range(3)]
    # The first one was used a moment ago, by what gateways say of its flows.
    UserSession.objects.filter(pk=opened[0]["session"]["id"]).update(last_active_at=timezone.now())
    before = config.current()
    newest = post("login", body)
    assert newest.status_code == 200
    live = set(UserSession.objects.filter(ended_at=None).values_list("pk", flat=True))
    assert live == {answer["session"]["id"] for answer in (opened[0], opened[2], newest.json())}
    assert UserSession.objects.get(end_reason="replaced").pk == opened[1]["session"]["id"]
    now = config.current()
    assert now.ends == before.ends + 1, "gateways are told, so that the flows of the session end"
    assert now.version == before.version
    refused = post("session/renew", {"token": opened[1]["token"]})
    assert refusal(refused) == (401, "SessionEnded")
    assert "replaced by a newer log-on" in refused.json()["error"]["message"]


def test_one_account_leaves_client_ips_for_others(login: Callable[..., Any], instance: Instance) -> None:
    for _ in range(300):  # more than the instance has client IPs
        assert login(kind="connect").status_code == 200
    assert UserSession.objects.filter(ended_at=None).count() == 5
    other = AccountFactory(instance=instance)
    assert login(username=other.username).status_code == 200
