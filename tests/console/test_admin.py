"""Django admin: every model of ours is there, to be found and narrowed; writes go through the services."""

import html
import re
from typing import Any

import pytest
from axes.models import AccessAttempt, AccessLog
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets, quote
from django.test import Client, RequestFactory
from django.urls import reverse

from console.core.admin_services import HistoryAdmin, ListedLookups, ServiceAdmin
from console.models import AuditRow, Gateway, Region, User
from tests.console.everything import everything
from tests.console.factories import GATEWAY_FORM, PASSWORD, UserFactory

OURS = [model for model in apps.get_models() if model._meta.app_label in ("console", "roaming", "connectors")]
ALL = [*OURS, AccessAttempt, AccessLog]
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
@pytest.mark.parametrize("model", ALL, ids=[model.__name__ for model in ALL])
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
        for name in ("password", "pk", *SECRET)
    ]
    secrets += [f"{name}__regex" for name in SECRET] + ["user__password__regex", "accounts__password__regex"]
    for lookup in secrets:
        assert superuser_client.get(url, {lookup: "a"}).status_code == 400, lookup


@pytest.mark.django_db
def test_whoever_sees_a_row_and_may_not_change_it_opens_its_page(client: Client) -> None:
    """A form has fields that the row has not, such as blocks as text; the page without the form needs them too."""
    everything(UserFactory(role="operator"))
    staff = UserFactory(role="viewer", is_staff=True)
    client.force_login(staff, backend="django.contrib.auth.backends.ModelBackend")
    seen = [model for model in OURS if admin.site._registry[model].readers == "viewer"]  # type: ignore[attr-defined]
    rows = [row for model in seen for row in model._default_manager.all()[:1]]
    assert len(rows) > 30
    for row in rows:
        url = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[quote(row.pk)])
        assert client.get(url).status_code == 200, url
        # Django takes an empty name of a field for a name, and knows no such field.
        assert client.get(url, {"_to_field": ""}).status_code == 200, url


# Columns that hold what lets somebody in, sealed or hashed; and words that call for a look at a new column.
SECRET = {
    *(
        "password",
        "secret",
        "secret_encrypted",
        "private_key",
        "sealed",
        "last_wrong",
        "click",
        "session_hash",
    ),
    *("get_data", "post_data", "content", "data", "signature"),
}
# Digests that tell whether something was changed, and let nobody in; keys that are public, or are only names.
OPEN = {"public_key", "private_ip", "sha256", "username_key", "email_key", "key_id", "subject_kind", "key"}
OPEN |= {"AuditRow.digest", "AuditCheckpoint.digest"}
LOOKS_SECRET = re.compile("password|secret|seal|hash|digest|private|token|key|signature|sha")


def test_the_admin_has_no_door_but_ours() -> None:
    """Each is closed to all look-ups that it does not offer, and none of another package stands open beside."""
    assert set(admin.site._registry) == set(ALL)
    for door in admin.site._registry.values():
        assert isinstance(door, ListedLookups)
        assert isinstance(door, HistoryAdmin | ServiceAdmin), door


def secret_columns(model: Any) -> set[str]:
    names = {field.name for field in model._meta.concrete_fields}
    named = {name for name in names if LOOKS_SECRET.search(name)}
    doubtful = {name for name in named - SECRET - OPEN if f"{model.__name__}.{name}" not in OPEN}
    return (names & SECRET) | doubtful


@pytest.mark.parametrize("model", ALL, ids=[model.__name__ for model in ALL])
def test_secrets_are_in_no_list_search_filter_or_form(rf: RequestFactory, model: Any) -> None:
    door: Any = admin.site._registry[model]
    request = rf.get("/")
    request.user = User(username="root", role="administrator", is_superuser=True, is_staff=True)
    asked = {*door.list_display, *door.list_filter, *door.search_fields, *(door.ordering or ())}
    asked = {part for each in asked for part in str(each).lstrip("-").split("__")}
    secrets = secret_columns(model)
    assert not asked & secrets
    shown = {
        name for each in (None, model()) for name in flatten_fieldsets(door.get_fieldsets(request, each))
    }
    # Field of the form that takes a new password, and never shows the old one.
    shown -= {"password"} if model is User else set()
    assert not shown & secrets, shown & secrets
    for related in model._meta.concrete_fields:
        if isinstance(related.related_model, type):
            assert not asked & secret_columns(related.related_model) - {
                field.name for field in model._meta.fields
            }


@pytest.mark.django_db
@pytest.mark.parametrize("model", [AccessAttempt, AccessLog, AuditRow], ids=["attempt", "log", "audit"])
def test_records_are_neither_changed_nor_removed(
    superuser_client: Client, administrator: User, model: Any
) -> None:
    for _ in range(2):
        superuser_client.post("/log-in/", {"username": "administrator", "password": "wrong"})
    superuser_client.post("/log-in/", {"username": "administrator", "password": PASSWORD})
    superuser_client.force_login(administrator, backend="django.contrib.auth.backends.ModelBackend")
    superuser_client.post("/log-in/", {"username": "administrator", "password": "wrong"})
    row = model.objects.first()
    label = f"{model._meta.app_label}_{model._meta.model_name}"
    for name in ("change", "delete"):
        url = reverse(f"admin:{label}_{name}", args=[row.pk])
        assert superuser_client.post(url, {"post": "yes", "username": "x"}).status_code == 403
    body = {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"}
    superuser_client.post(reverse(f"admin:{label}_changelist"), body)
    assert superuser_client.post(reverse(f"admin:{label}_add"), {}).status_code == 403
    assert model.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("key", ["../../etc/passwd", "\udc80", "1 OR 1=1", "", "\0"])
def test_an_action_on_a_key_of_no_sense_is_a_bad_request(superuser_client: Client, key: str) -> None:
    form = {"action": "delete_selected", "_selected_action": [key.encode(errors="surrogatepass"), "1"]}
    assert superuser_client.post("/admin/roaming/cloudnetwork/", form).status_code in (302, 400)
