"""Renewing a session's token, and logging off."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.utils import timezone

from console.machines import config, pki
from roaming.accounts import services as accounts
from roaming.instances import services as instances
from roaming.models import ClientAccount, UserSession
from roaming.sessions import services as sessions
from tests.roaming.answers import refusal
from tests.roaming.factories import ACTOR

pytestmark = pytest.mark.django_db


@pytest.fixture
def token(login: Callable[..., Any]) -> str:
    return login().json()["token"]


def test_renewal_extends_the_session(post: Callable[..., Any], token: str) -> None:
    UserSession.objects.update(expires_at=timezone.now() + timedelta(minutes=1))
    answer = post("session/renew", {"token": token}).json()
    session = UserSession.objects.get()
    assert session.expires_at - timezone.now() > timedelta(hours=23)
    assert session.renewed_at is not None
    assert answer["session"]["id"] == session.pk
    assert answer["session"]["expires_at"] == int(session.expires_at.timestamp())
    claims = jwt.decode(answer["token"], options={"verify_signature": False})
    assert claims["exp"] == answer["session"]["expires_at"]
    assert set(answer) == {"token", "session", "gateways", "ca"}


ENDS: dict[str, Callable[[ClientAccount], object]] = {
    "kicked": lambda a: accounts.account_kick(account=a, actor=ACTOR),
    "account disabled": lambda a: accounts.account_disable(account=a, actor=ACTOR),
    "account removed": lambda a: accounts.account_delete(account=a, actor=ACTOR),
    "password reset": lambda a: accounts.account_reset_password(account=a, actor=ACTOR),
    "instance not available": lambda a: instances.instance_stop(instance=a.instance, actor=ACTOR),
}


@pytest.mark.parametrize("reason", ENDS)
def test_an_ended_session_cannot_be_renewed_and_the_answer_says_why(
    post: Callable[..., Any], token: str, account: ClientAccount, reason: str
) -> None:
    ENDS[reason](account)
    response = post("session/renew", {"token": token})
    assert refusal(response) == (401, "SessionEnded")
    assert reason in response.json()["error"]["message"]


def test_an_expired_token_cannot_be_renewed(post: Callable[..., Any], token: str) -> None:
    session = UserSession.objects.get()
    key_id, key = pki.session_signing_key()
    claims = jwt.decode(token, options={"verify_signature": False}) | {
        "exp": 1_000_000_000,
        "iat": 999_999_000,
    }
    expired = jwt.encode(claims, key, "EdDSA", headers={"kid": key_id})
    assert refusal(post("session/renew", {"token": expired})) == (401, "SessionEnded")
    session.refresh_from_db()
    assert session.ended_at is None


@pytest.mark.parametrize("kid", ["the console's", "unknown"])
@pytest.mark.parametrize("path", ["session/renew", "logout"])
def test_a_token_signed_by_somebody_else_counts_for_nothing(
    post: Callable[..., Any], token: str, path: str, kid: str
) -> None:
    claims = jwt.decode(token, options={"verify_signature": False})
    header = jwt.get_unverified_header(token)["kid"] if kid == "the console's" else kid
    forged = jwt.encode(claims, Ed25519PrivateKey.generate(), "EdDSA", headers={"kid": header})
    assert refusal(post(path, {"token": forged})) == (401, "TokenInvalid")
    assert UserSession.objects.get().ended_at is None


def test_logging_off_ends_the_session_and_tells_the_gateways(post: Callable[..., Any], token: str) -> None:
    before = config.current()
    assert post("logout", {"token": token}).json() == {}
    assert UserSession.objects.get().end_reason == "logged_off"
    now = config.current()
    assert (now.version, now.ends) == (before.version, before.ends + 1)
    assert refusal(post("logout", {"token": token})) == (401, "SessionEnded")
    assert refusal(post("session/renew", {"token": token})) == (401, "SessionEnded")


def test_the_worker_ends_what_has_expired_and_only_that(login: Callable[..., Any], token: str) -> None:
    expired = UserSession.objects.get()
    UserSession.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    live = login(kind="connect").json()["session"]["id"]
    assert sessions.sessions_expire() == 1
    expired.refresh_from_db()
    assert expired.end_reason == "expired"
    assert UserSession.objects.get(ended_at=None).pk == live
    assert sessions.sessions_expire() == 0
