"""Django admin: the second way in, with the same rules."""

import pytest
from django.test import Client
from django.urls import reverse

from connectors.models import Application, Connector, Policy, Sample, Server
from console.models import AuditRow, Cutover
from tests.connectors import factories
from tests.roaming.factories import AccountFactory

pytestmark = pytest.mark.django_db


def page(model: str, action: str, *args: object) -> str:
    return reverse(f"admin:connectors_{model}_{action}", args=args)


def test_a_connector_switched_off_here_is_cut_like_everywhere(
    superuser_client: Client, connector: Connector
) -> None:
    form = {"name": "office", "region": connector.region_id}
    assert superuser_client.post(page("connector", "change", connector.pk), form).status_code == 302
    assert Cutover.objects.get().reason == "connector.disable office"
    assert AuditRow.objects.get(verb="connector.disable").actor == "administrator"


def test_a_refusal_stands_beside_its_field(superuser_client: Client, connector: Connector) -> None:
    form = {"name": "office", "region": "cn-shanghai", "enabled": "on"}
    answer = superuser_client.post(page("connector", "add"), form)
    assert answer.status_code == 200 and "another connector with this Instance Name" in answer.text
    assert Connector.objects.count() == 1


def test_an_application_is_written_with_its_addresses(superuser_client: Client) -> None:
    form = {"name": "wiki", "protocol": "TCP", "addresses": "wiki.example", "ports": "80", "enabled": "on"}
    assert superuser_client.post(page("application", "add"), form).status_code == 302
    application = Application.objects.get()
    url = page("application", "change", application.pk)
    assert "wiki.example" in superuser_client.get(url).text
    form |= {"addresses": "b.example\nc.example", "ports": "81"}
    assert superuser_client.post(url, form).status_code == 302
    assert [address.address for address in application.addresses.all()] == ["b.example", "c.example"]


def test_a_policy_is_written_with_what_it_names(superuser_client: Client, connector: Connector) -> None:
    account, wiki = AccountFactory(), factories.application("wiki")
    group = factories.group("staff")
    form = {
        "name": "p", "priority": "5", "connector": connector.pk, "enabled": "on",
        "groups": [group.pk], "accounts": [account.pk], "applications": [wiki.pk],
    }  # fmt: skip
    assert superuser_client.post(page("policy", "add"), form).status_code == 302
    policy = Policy.objects.get()
    assert list(policy.applications.all()) == [wiki] and list(policy.accounts.all()) == [account]
    url = page("policy", "change", policy.pk)
    assert superuser_client.post(url, form | {"priority": "6"}).status_code == 302
    policy.refresh_from_db()
    assert policy.priority == 6 and list(policy.groups.all()) == [group]


def test_a_connector_in_use_is_not_deleted(superuser_client: Client, connector: Connector) -> None:
    factories.policy(connector, name="needs it")
    answer = superuser_client.post(page("connector", "delete", connector.pk), {"post": "yes"}, follow=True)
    assert "needs it" in answer.text and Connector.objects.exists()


def test_a_server_is_removed_by_its_service(superuser_client: Client, server: Server) -> None:
    superuser_client.post(page("server", "delete", server.pk), {"post": "yes"})
    assert not Server.objects.exists() and AuditRow.objects.filter(verb="server.remove").exists()


def test_measurements_are_named_in_words(server: Server) -> None:
    assert server.pk in str(Sample(server=server, time=server.enrolled_at))
