"""Pages of access keys: a user sees the own ones, an administrator those of all."""

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers

from console.core import access_keys
from console.core.access import actor, acts, has_role, shows, takes_form
from console.core.models.access import AccessKey
from console.kit import tables, web
from console.users.forms import KeyForm

TABLE = tables.Table(
    columns=(
        tables.Column("id", "Access key ID", ("id",)),
        tables.Column("user", "User", ("user__username",)),
        tables.Column("switch", "Switch", ("enabled",)),
        tables.Column("created", "Created", ("created_at",)),
        tables.Column("used", "Last used", ("last_used_at",)),
        tables.Column("actions", "Actions"),
    ),
    row_template="console/users/_key_row.html",
    search=("id", "user__username"),
    search_label="Search by ID or user",
    filters=(tables.switch_filter("switch", "Switch"),),
    default_sort="-created",
    label="Access keys",
    empty="There is no access key yet",
    empty_hint="A program that uses the cloud API signs its requests by an access key of a user.",
    csv=(
        ("id", "pk"),
        ("user", "user.username"),
        ("enabled", "enabled"),
        ("created", "created_at"),
        ("last_used", "last_used_at"),
    ),
)
LIST = "access_keys:list"


def _keys(request: HttpRequest) -> QuerySet[AccessKey]:
    """Return the keys that the caller may see and act on: the own ones, for an administrator all."""
    keys = AccessKey.objects.select_related("user")
    return keys if has_role(request.user, "administrator") else keys.filter(user=actor(request))


@shows("viewer")
def key_list(request: HttpRequest) -> HttpResponseBase:
    return tables.render(request, "console/users/keys.html", TABLE.page(request, _keys(request)))


@takes_form("viewer")
def key_add(request: HttpRequest) -> HttpResponse:
    """Make a key of the caller's own. The secret is shown in the answer to the POST and nowhere else."""
    form = KeyForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            key, secret = access_keys.access_key_create(user=actor(request), actor=actor(request))
            response = render(request, "console/users/key_secret.html", {"key": key, "secret": secret})
            add_never_cache_headers(response)
            return response
    return web.form_page(request, "console/users/key_add.html", {"form": form})


@shows("viewer")
def key_confirm(request: HttpRequest, key_id: str, act: str) -> HttpResponse:
    """Ask before a key is disabled or deleted."""
    key = get_object_or_404(_keys(request), pk=key_id)
    consequence = {
        "disable": "Programs that sign by this key are refused until the key is enabled again.",
        "delete": "Programs that sign by this key are refused for good. To try that first, disable the key.",
    }[act]
    url = reverse(f"access_keys:{act}", args=[key.pk])
    return web.ask(request, act.capitalize(), key.pk, action=url, back=reverse(LIST), consequence=consequence)


@acts("viewer")
def key_switch(request: HttpRequest, key_id: str, enabled: bool) -> HttpResponse:
    key = get_object_or_404(_keys(request), pk=key_id)
    access_keys.access_key_switch(key=key, enabled=enabled, actor=actor(request))
    return web.done(request, reverse(LIST), f"{key.pk} is {'enabled' if enabled else 'disabled'}.")


@acts("viewer")
def key_delete(request: HttpRequest, key_id: str) -> HttpResponse:
    key = get_object_or_404(_keys(request), pk=key_id)
    access_keys.access_key_delete(key=key, actor=actor(request))
    return web.done(request, reverse(LIST), f"{key_id} was deleted.")
