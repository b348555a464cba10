"""Django admin: every model of ours is there, to be found and narrowed; writes go through the services."""

import html
import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from console.models import AuditRow, Gateway, Region, User
from tests.console.everything import everything
from tests.console.factories import GATEWAY_FORM

OURS = [model for model in apps.get_models() if model._meta.app_label in ("console", "roaming", "connectors")]
SINGLE = {"AlertSettings", "ConfigVersion"}


@pytest.mark.parametrize("model", OURS, ids=[model.__name__ for model in OURS])
def test_every_model_is_there_with_search(model: Any) -> None:
    registered = admin.site._registry[model]
    assert registered.search_fields or model.__name__ in SINGLE


@pytest.mark.django_db
def test_every_list_opens_and_searches(superuser_client: Client, administrator: User) -> None:
    everything(administrator)
    for model in OURS:
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for search in ("1", "näme\u2019"):
            asked = {} if model.__name__ in SINGLE else {"q": search}
            assert superuser_client.get(url, asked).status_code == 200, (model, search)


@pytest.mark.django_db
def test_a_gateway_added_in_admin_is_audited(superuser_client: Client) -> None:
    assert superuser_client.post(reverse("admin:console_gateway_add"), GATEWAY_FORM).status_code == 302
    gateway = Gateway.objects.get(name="gateway-x")
    row = AuditRow.objects.get(verb="gateway.create", target=gateway.pk)
    assert row.after["public_host"] == "192.0.2.1"
    assert gateway.region == Region.objects.get(pk="ap-southeast-1")


@pytest.mark.django_db
def test_equal_ports_are_refused_with_a_sentence(superuser_client: Client) -> None:
    response = superuser_client.post(
        reverse("admin:console_gateway_add"), GATEWAY_FORM | {"tunnel_port": 8443}
    )
    assert response.status_code == 200
    assert "must differ" in response.text
    assert not Gateway.objects.exists()


@pytest.mark.django_db
def test_operators_see_gateways_in_admin_and_do_not_change_them(
    staff_client: Client, gateway: Gateway
) -> None:
    assert staff_client.get(reverse("admin:console_gateway_change", args=[gateway.pk])).status_code == 200
    assert staff_client.post(reverse("admin:console_gateway_add"), GATEWAY_FORM).status_code == 403


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
