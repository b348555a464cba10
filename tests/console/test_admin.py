"""Django admin: every model of ours is there, to be found and narrowed; writes go through the services."""

import html
import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse

from console.models import AuditRow, Gateway, Region, User
from tests.console.everything import everything
from tests.console.factories import GatewayFactory, UserFactory

OURS = [model for model in apps.get_models() if model._meta.app_label in ("console", "roaming", "connectors")]
SINGLE = {"AlertSettings", "ConfigVersion"}


@pytest.mark.parametrize("model", OURS, ids=[model.__name__ for model in OURS])
def test_every_model_is_there_with_search(model: Any) -> None:
    registered = admin.site._registry[model]
    assert registered.search_fields or model.__name__ in SINGLE


@pytest.fixture
def superuser_client(client: Client, django_user_model: type[User]) -> Client:
    user = django_user_model.objects.create_superuser(
        "root", "root@example.org", "x" * 12, role="administrator"
    )
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.mark.django_db
@pytest.mark.parametrize("model", OURS, ids=[model.__name__ for model in OURS])
def test_every_list_opens_and_searches(superuser_client: Client, model: Any) -> None:
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    assert (
        superuser_client.get(url, {"q": "näme\u2019"} if model.__name__ not in SINGLE else {}).status_code
        == 200
    )


FORM = {
    "name": "gateway-x",
    "region": "cn-shanghai",
    "public_host": "gw.example.org",
    "listen_address": "0.0.0.0",
    "client_port": 8443,
    "tunnel_port": 9443,
}


@pytest.mark.django_db
def test_a_gateway_added_in_admin_is_audited(superuser_client: Client) -> None:
    assert superuser_client.post(reverse("admin:console_gateway_add"), FORM).status_code == 302
    gateway = Gateway.objects.get(name="gateway-x")
    row = AuditRow.objects.get(verb="gateway.create", target=gateway.pk)
    assert row.after["public_host"] == "gw.example.org"
    assert gateway.region == Region.objects.get(pk="cn-shanghai")


@pytest.mark.django_db
def test_equal_ports_are_refused_with_a_sentence(superuser_client: Client) -> None:
    response = superuser_client.post(reverse("admin:console_gateway_add"), FORM | {"tunnel_port": 8443})
    assert response.status_code == 200
    assert "must differ" in response.text
    assert not Gateway.objects.exists()


@pytest.mark.django_db
def test_operators_see_gateways_in_admin_and_do_not_change_them(operator: User, client: Client) -> None:
    operator.is_staff = True
    operator.save(update_fields=["is_staff"])
    client.force_login(operator, backend="django.contrib.auth.backends.ModelBackend")
    gateway = GatewayFactory()
    assert client.get(reverse("admin:console_gateway_change", args=[gateway.pk])).status_code == 200
    assert client.post(reverse("admin:console_gateway_add"), FORM).status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query", ["at__year=9999", f"at__year={2**70}", "at__year=2026&at__month=0", "verb=%00", "q=%00"]
)
def test_a_list_that_is_narrowed_by_what_is_no_value_is_the_whole_list(
    superuser_client: Client, query: str
) -> None:
    answer = superuser_client.get(f"/admin/console/auditrow/?{query}", follow=True)
    assert answer.status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("model", OURS, ids=[model.__name__ for model in OURS])
def test_a_key_that_no_row_can_have_leads_to_the_start(superuser_client: Client, model: Any) -> None:
    for page in ("change", "delete", "history"):
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=["a_00b"])
        assert superuser_client.get(url).status_code in (302, 403), url


@pytest.mark.django_db
def test_a_search_for_a_character_that_no_row_can_have_finds_what_the_rest_finds(
    superuser_client: Client,
) -> None:
    asked = {"app_label": "roaming", "model_name": "clientaccount", "field_name": "instance", "term": "\0"}
    assert superuser_client.get("/admin/autocomplete/", asked).json()["results"] == []


LINK = re.compile(r'href="\?([^"]+)"')


@pytest.mark.django_db
@pytest.mark.parametrize("model", OURS, ids=[model.__name__ for model in OURS])
def test_a_list_is_narrowed_by_what_it_offers_and_by_nothing_else(
    superuser_client: Client, model: Any
) -> None:
    """Else whoever sees a list can guess secrets and hashes by it, its own and those of what it belongs to."""
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    for query in LINK.findall(superuser_client.get(url).text):
        assert superuser_client.get(f"{url}?{html.unescape(query)}").status_code == 200, query
    secrets = [f"{field.name}__startswith" for field in model._meta.concrete_fields if not field.is_relation]
    secrets += [
        f"{field.name}__{name}__startswith"
        for field in model._meta.concrete_fields
        if isinstance(field.related_model, type)
        for name in ("password", "pk")
    ]
    for lookup in secrets:
        assert superuser_client.get(url, {lookup: "a"}).status_code == 400, lookup


@pytest.mark.django_db
def test_whoever_sees_a_row_and_may_not_change_it_opens_its_page(client: Client) -> None:
    """A form has fields that the row has not, such as blocks as text; the page without the form needs them too."""
    everything(UserFactory(role="operator"))
    staff = UserFactory(role="viewer", is_staff=True)
    client.force_login(staff, backend="django.contrib.auth.backends.ModelBackend")
    rows = [row for model in OURS if model is not User for row in model._default_manager.all()[:1]]
    assert len(rows) > 30
    for row in rows:
        url = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[quote(row.pk)])
        assert client.get(url).status_code == 200, url
        # Django takes an empty name of a field for a name, and knows no such field.
        assert client.get(url, {"_to_field": ""}).status_code == 200, url
