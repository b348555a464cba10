"""Log-in by OpenID Connect with a real provider on loopback: who comes in, as what, and who does not."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from console.core import audit, people
from console.models import AuditRow, LogIn, OpenIdentity, User
from tests.console.factories import UserFactory
from tests.ending import ended
from tests.ports import free_port
from tests.responses import Response
from tests.waiting import rest

pytestmark = [pytest.mark.django_db, pytest.mark.processes]
BEGIN, BACK, LOG_IN = reverse("openid"), reverse("openid_back"), reverse("login")
ROLES = {"net-admins": "administrator", "net": "operator", "staff": "viewer"}
ACTOR = audit.System("test")


class Provider:
    """A provider that runs, and the people whom it knows."""

    def __init__(self, url: str) -> None:
        self.url = url

    def knows(self, subject: str, **claims: object) -> None:
        assert httpx.put(f"{self.url}/users/{subject}", json=claims).status_code == 204

    def approves(self, url: str, subject: str) -> str:
        """Log in at the provider as a person would; return where the provider sends the browser."""
        answer = httpx.post(url, data={"sub": subject})
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]


@pytest.fixture(scope="module")
def running() -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    with ended(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)):
        began = time.monotonic()
        while True:
            try:
                httpx.get(f"{url}/.well-known/openid-configuration")
                break
            except httpx.TransportError:
                assert time.monotonic() - began < 120, "the provider does not answer"
                rest(began)
        yield url


@pytest.fixture
def provider(running: str, settings: Settings) -> Provider:
    settings.OPENID_ISSUER, settings.OPENID_ROLES = running, ROLES
    settings.OPENID_CLIENT_ID, settings.OPENID_CLIENT_SECRET = "causeway", "a secret of the client"
    return Provider(running)


def come(
    provider: Provider, subject: str, client: Client | None = None, next_: str = "/"
) -> tuple[Client, Response]:
    """Log in by the provider; return browser and the console's last answer."""
    client = client or Client()
    there = client.get(f"{BEGIN}?next={next_}")
    assert there.status_code == 302, there.content
    return client, client.get(provider.approves(there["Location"], subject))


def is_in(client: Client) -> bool:
    return client.get("/gateways/").status_code == 200


def refused(client: Client, answer: Response) -> str:
    assert answer.status_code == 302 and answer["Location"] == LOG_IN and not is_in(client)
    return client.get(LOG_IN).text


def test_a_user_comes_in_by_the_provider_with_the_role_of_the_groups(provider: Provider) -> None:
    provider.knows(
        "s-1",
        preferred_username="anna",
        email="anna@corp.example",
        given_name="Anna",
        groups=["x", "net", "staff"],
    )
    client, answer = come(provider, "s-1", next_="/gateways/")
    assert answer["Location"] == "/gateways/" and is_in(client)
    anna = User.objects.get(username="anna")
    assert (anna.role, anna.email, anna.first_name) == ("operator", "anna@corp.example", "Anna")
    assert not anna.has_usable_password() and not anna.is_staff and not anna.is_superuser
    rows = list(AuditRow.objects.order_by("pk").values_list("actor", "verb", "target_name"))
    assert rows == [("OpenID Connect", "user.create", "anna"), ("anna", "user.log_in", "anna")]
    assert "anna" in client.get("/profile/").text
    come(provider, "s-1")
    assert User.objects.count() == OpenIdentity.objects.count() == 1


def test_what_is_kept_for_a_stranger_goes_soon_and_a_log_in_lasts(provider: Provider) -> None:
    provider.knows("s-0", preferred_username="lena", groups=["net"])
    Client().get(BEGIN)
    (row,) = LogIn.objects.all()
    assert row.user is None and row.expire_date < timezone.now() + timedelta(minutes=11)
    client, _ = come(provider, "s-0")
    row = LogIn.objects.get(user__username="lena")
    assert row.expire_date > timezone.now() + timedelta(hours=11)
    assert client.get(f"{BEGIN}?next=/gateways/")["Location"] == "/gateways/", "who is in stays in"


def test_what_the_browser_is_sent_with_proves_the_way_back(provider: Provider) -> None:
    there = Client().get(BEGIN)["Location"]
    asked = {name: value[0] for name, value in parse_qs(urlsplit(there).query).items()}
    assert there.startswith(provider.url) and asked["code_challenge_method"] == "S256"
    assert {"state", "nonce", "code_challenge"} <= set(asked) and asked["scope"] == "openid profile email"
    assert asked["redirect_uri"] == f"{django_settings.PUBLIC_URL}{BACK}"
    assert "secret" not in there


@pytest.mark.parametrize(
    ("groups", "role"),
    [(["staff"], "viewer"), (["net-admins", "net"], "administrator"), ("net", "operator")],
)
def test_the_role_follows_the_groups_at_each_log_in(provider: Provider, groups: object, role: str) -> None:
    provider.knows("s-2", preferred_username="bert", groups=["net"])
    come(provider, "s-2")
    provider.knows("s-2", preferred_username="bert", groups=groups, email="bert@corp.example")
    come(provider, "s-2")
    bert = User.objects.get(username="bert")
    assert (bert.role, bert.email) == (role, "bert@corp.example")


@pytest.mark.parametrize("claims", [{}, {"groups": []}, {"groups": ["others"]}, {"groups": None}])
def test_without_a_group_that_gives_a_role_nobody_comes_in(
    provider: Provider, claims: dict[str, object]
) -> None:
    provider.knows("s-3", preferred_username="carl", **claims)
    assert "None of your groups gives you a role" in refused(*come(provider, "s-3"))
    assert not User.objects.exists()


def test_who_lost_the_groups_does_not_come_in_again(provider: Provider) -> None:
    provider.knows("s-4", preferred_username="dora", groups=["net"])
    come(provider, "s-4")
    provider.knows("s-4", preferred_username="dora", groups=[])
    assert "None of your groups gives you a role" in refused(*come(provider, "s-4"))


def test_a_name_or_an_address_of_another_user_leads_to_no_user(
    provider: Provider, administrator: User
) -> None:
    """Who may choose a name at the provider becomes nobody here by it."""
    for subject, name in (("s-5", "administrator"), ("s-6", "Administrator")):
        provider.knows(subject, preferred_username=name, email=administrator.email, groups=["staff"])
        assert "Another user of this console is called" in refused(*come(provider, subject))
    provider.knows("s-7", preferred_username="eve", email=administrator.email, groups=["staff"])
    client, _ = come(provider, "s-7")
    assert "eve" in client.get("/profile/").text and User.objects.get(username="eve").role == "viewer"
    assert User.objects.get(pk=administrator.pk).role == "administrator"


def test_a_disabled_user_does_not_come_in(provider: Provider) -> None:
    provider.knows("s-8", preferred_username="fred", groups=["net"])
    client, _ = come(provider, "s-8")
    people.user_switch(user=User.objects.get(), enabled=False, actor=ACTOR)
    assert not is_in(client) and "fred is disabled in this console." in refused(*come(provider, "s-8"))


def test_a_name_that_is_none_is_refused_in_words(provider: Provider) -> None:
    provider.knows("s-9", preferred_username="<b>x</b>", groups=["net"])
    assert "valid username" in refused(*come(provider, "s-9"))


def test_the_way_back_counts_once_and_in_the_browser_that_began(provider: Provider) -> None:
    provider.knows("s-10", preferred_username="gina", groups=["net"])
    client, other = Client(), Client()
    back = provider.approves(client.get(BEGIN)["Location"], "s-10")
    assert "The log-in by the provider failed." in refused(other, other.get(back))
    assert client.get(back).status_code == 302 and is_in(client)
    client.post(reverse("logout"))
    assert "The log-in by the provider failed." in refused(client, client.get(back))


@pytest.mark.parametrize(
    "query", ["", "?error=access_denied&error_description=no", "?code=x", "?code=x&state=y", "?state=%00"]
)
def test_a_way_back_that_was_made_up_leads_to_the_log_in(provider: Provider, query: str) -> None:
    client = Client()
    client.get(BEGIN)
    refused(client, client.get(BACK + query))


def test_a_word_that_is_meant_for_another_is_refused(provider: Provider, settings: Settings) -> None:
    provider.knows("s-11", preferred_username="hans", groups=["net"])
    client = Client()
    back = provider.approves(client.get(BEGIN)["Location"], "s-11")
    settings.OPENID_CLIENT_ID = "another console"
    refused(client, client.get(back))
    assert not User.objects.exists()


def test_made_up_ways_back_are_counted_and_locked_out(provider: Provider) -> None:
    client = Client(REMOTE_ADDR="203.0.113.50")
    for _ in range(django_settings.AXES_FAILURE_LIMIT - 1):
        assert client.get(f"{BACK}?code=x&state=y").status_code == 302
    assert client.get(f"{BACK}?code=x&state=y").status_code == 429 and client.get(BEGIN).status_code == 429
    assert Client(REMOTE_ADDR="203.0.113.51").get(BEGIN).status_code == 302


def test_a_next_leads_into_the_console_alone(provider: Provider) -> None:
    provider.knows("s-12", preferred_username="ina", groups=["net"])
    _, answer = come(provider, "s-12", next_="https://evil.example/")
    assert answer["Location"] == "/"


def test_the_provider_has_asked_for_its_second_factor(provider: Provider, settings: Settings) -> None:
    settings.SECOND_FACTOR = "all"
    provider.knows("s-13", preferred_username="jana", groups=["net"])
    client, _ = come(provider, "s-13")
    assert is_in(client)


def test_a_provider_that_is_away_is_told_and_passwords_go_on(settings: Settings, viewer: User) -> None:
    settings.OPENID_ISSUER, settings.OPENID_ROLES = f"http://127.0.0.1:{free_port()}", ROLES
    settings.OPENID_CLIENT_ID = settings.OPENID_CLIENT_SECRET = "x"
    client = Client()
    answer = client.get(BEGIN)
    assert answer["Location"] == LOG_IN and "The provider cannot be reached now." in client.get(LOG_IN).text
    from tests.console.factories import PASSWORD

    client.post(LOG_IN, {"username": "viewer", "password": PASSWORD})
    assert is_in(client)


def test_without_a_provider_there_is_no_such_page_and_no_button(db: None) -> None:
    assert Client().get(BEGIN).status_code == Client().get(BACK).status_code == 404
    assert "openid" not in Client().get(LOG_IN).text


def test_with_a_provider_the_log_in_page_has_a_button(provider: Provider, settings: Settings) -> None:
    settings.OPENID_NAME = "Example Corp"
    page = Client().get(f"{LOG_IN}?next=/gateways/").text
    assert "Log in by Example Corp" in page and f'{BEGIN}?next=%2Fgateways%2F"' in page


def test_such_a_user_is_no_administrator_whom_the_console_counts_on(
    provider: Provider, administrator: User
) -> None:
    """When the provider is away, somebody must be able to log in by a password."""
    provider.knows("s-14", preferred_username="karl", groups=["net-admins"])
    come(provider, "s-14")
    from console.core.errors import Conflict

    with pytest.raises(Conflict):
        people.user_update(user=administrator, role="viewer", actor=ACTOR)
    UserFactory(role="administrator")
    people.user_update(user=administrator, role="viewer", actor=ACTOR)
