"""How to connect: what the pages of an instance and an account show, and what the mail says."""

import html
import re
import shlex

import pytest
from django.core import mail
from django.test import Client

from connectors.models import Connector
from console.machines import pki
from console.models import Gateway
from roaming.accounts.mail import credentials
from roaming.models import ClientAccount
from tests.connectors import factories
from tests.roaming.factories import AccountFactory

pytestmark = pytest.mark.django_db


def commands(page: str) -> dict[str, str]:
    """The commands of a page by their labels."""
    found = re.findall(r'<pre tabindex="0" aria-label="([^"]+)"><code>(.*?)</code></pre>', page, re.DOTALL)
    return {html.unescape(label): html.unescape(text) for label, text in found}


@pytest.fixture
def account() -> ClientAccount:
    return AccountFactory()


@pytest.fixture
def enrolled(gateway: Gateway) -> Gateway:
    factories.enrolled_gateway(gateway)
    return gateway


def test_an_accounts_commands_name_gateway_account_and_application(
    viewer_client: Client, account: ClientAccount, enrolled: Gateway, connector: Connector
) -> None:
    factories.application("code", addresses=["git.corp.example"], ports=[(80, 80)])
    factories.application("wiki", addresses=["wiki.corp.example", "*.corp.example"], ports=[(1, 65535)])
    factories.policy(connector)
    page = viewer_client.get(f"/sag/accounts/{account.pk}/connect/").text
    shown = commands(page)
    curl = shlex.split(shown["curl: Fetch a page"])
    login = f"{account.username}@{account.instance_id}"
    assert curl == [
        *("curl", "--proxy", enrolled.proxy_url, "--proxy-cacert", "causeway-ca.pem"),
        *("--proxy-user", login, "http://wiki.corp.example/"),
    ]
    assert "http://git.corp.example/code.git" in shown["git: Clone a repository"]
    assert "2222=wiki.corp.example:22" in shown["ssh: Forward"]
    assert "5432=wiki.corp.example:5432" in shown["psql: Forward"]
    assert "http://127.0.0.1:3128/proxy.pac" in page and enrolled.proxy_url in page
    assert "Put in" not in page


def test_what_an_account_may_not_reach_is_not_shown(
    viewer_client: Client, account: ClientAccount, enrolled: Gateway, connector: Connector
) -> None:
    hidden = factories.application("secret", addresses=["wiki.secret.example"])
    other = factories.group("others", accounts=[AccountFactory(instance=account.instance)])
    factories.policy(
        connector, all_users=False, groups=[other], all_applications=False, applications=[hidden]
    )
    page = viewer_client.get(f"/sag/accounts/{account.pk}/connect/").text
    assert "secret.example" not in page
    assert "wiki.example.com" in page
    assert "since no application has port 5432" in page


def test_an_instances_commands_have_a_place_for_the_user_name(
    viewer_client: Client, account: ClientAccount, enrolled: Gateway
) -> None:
    factories.application("wiki", addresses=["wiki.corp.example"], ports=[(80, 80)])
    page = viewer_client.get(f"/sag/instances/{account.instance_id}/connect/").text
    assert f"USER-NAME@{account.instance_id}" in page and "http://wiki.corp.example/" in page
    assert "Put in your user name in place of USER-NAME." in page


def test_without_a_gateway_the_page_says_what_is_missing(
    viewer_client: Client, account: ClientAccount
) -> None:
    page = viewer_client.get(f"/sag/accounts/{account.pk}/connect/").text
    assert "is enrolled, so that nobody can connect yet" in page and not commands(page)


def test_the_ca_is_downloaded_without_a_log_in(client: Client) -> None:
    answer = client.get("/deploy/gateways-ca.pem")
    assert answer.status_code == 200 and answer.text == pki.ca_pem()
    assert "causeway-ca.pem" in answer["content-disposition"]


def test_the_mail_says_how_to_connect(
    account: ClientAccount, enrolled: Gateway, django_capture_on_commit_callbacks: object
) -> None:
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        credentials([account], "Summer-2026")
    body = mail.outbox[0].body
    assert enrolled.proxy_url in body and "/deploy/gateways-ca.pem" in body
    assert f"--instance {account.instance_id} --username {account.username}" in body
    assert "http://127.0.0.1:3128/proxy.pac" in body
