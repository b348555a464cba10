"""Dialog Configure Roaming, for one client account and for many."""

from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import format_html

from console.core.access import actor, takes_form
from console.core.errors import Invalid, Refusal
from console.kit import web
from console.models import Area
from console.templatetags.causeway import copy
from roaming.accounts import bulk_roaming
from roaming.accounts.models import ClientAccount
from roaming.accounts.roaming import account_roam as roam
from roaming.accounts.selectors import account_or_404, destinations
from roaming.accounts.tables import TABLE
from roaming.instances.models import Instance
from roaming.instances.selectors import instance_alone_or_404, instances_alone

# Element of the dialog that is drawn anew when another area or instance is chosen.
CHOICE = "roam-choice"
# Number of accounts that the dialog names; further accounts are only counted.
NAMED = 10


@takes_form("operator")
def account_roam(request: HttpRequest, account_id: str) -> HttpResponse:
    """Show the ``area`` and ``instance`` that the query string has chosen so far; a POST copies the account there."""
    account = account_or_404(account_id)
    refusal = None
    if request.method == "POST":
        try:
            return _roamed(request, account, _posted(request))
        except Refusal as error:
            refusal = error
    context = _choices(request, account.instance, account.username)
    context |= {"account": account, "choice_url": reverse("roaming:account_roam", args=[account.pk])}
    return _dialog(request, "roaming/accounts/roam.html", context, refusal)


@takes_form("operator")
def accounts_roam(request: HttpRequest, instance_id: str) -> HttpResponse:
    """Roam the accounts that the query names: ``account`` for each, or ``all=1`` with the list's search and filters."""
    source = instance_alone_or_404(instance_id)
    selected = _selected(request, source)
    refusal = None
    if request.method == "POST":
        try:
            task = bulk_roaming.accounts_roam_start(
                accounts=selected, source=source, destination=_posted(request), actor=actor(request)
            )
        except Refusal as error:
            refusal = error
        else:
            return web.done(request, reverse("tasks:detail", args=[task.pk]), "The roaming has begun.")
    context = _choices(request, source)
    carried = _carried(request.GET)
    context |= {
        "total": selected.count(),
        "named": list(selected[:NAMED]),
        "carried": [(key, value) for key, values in carried.lists() for value in values],
        "choice_url": f"{reverse('roaming:accounts_roam', args=[source.pk])}?{carried.urlencode()}",
    }
    if context["chosen"]:
        context |= _forecast(selected, context["chosen"].instance)
    return _dialog(request, "roaming/accounts/roam_many.html", context, refusal)


def _dialog(
    request: HttpRequest, template: str, context: dict[str, Any], refusal: Refusal | None
) -> HttpResponse:
    if web.htmx_target(request) == CHOICE:
        template = "roaming/accounts/_roam_choice.html#inner"
    return render(request, template, {**context, "refusal": refusal}, status=422 if refusal else 200)


def _posted(request: HttpRequest) -> Instance:
    """Return the chosen instance. Raises ``Invalid`` when none was chosen or the chosen one was removed."""
    wanted = request.POST.get("instance", "").replace("\0", "")
    if not wanted:
        raise Invalid("Associate with SAG Instance: choose an instance in another area.", field="instance")
    found = instances_alone().filter(pk=wanted).first()
    if found is None:
        raise Invalid(
            "Associate with SAG Instance: this instance does not exist any more. Choose another.",
            field="instance",
            code="SAG.InstanceNoFound",
        )
    return found


def _roamed(request: HttpRequest, account: ClientAccount, destination: Instance) -> HttpResponse:
    made = roam(account=account, destination=destination, actor=actor(request))
    message = format_html(
        "{} was copied to {}. To log on there, enter the instance ID {} {} with the same user name and password.",
        made.username,
        destination.name,
        destination.pk,
        copy(destination.pk),
    )
    return web.done(request, reverse("roaming:accounts", args=[account.instance_id]), message)


def _choices(request: HttpRequest, source: Instance, username: str = "") -> dict[str, Any]:
    """Return the choice for the template: other areas, and the chosen area's instances with their pre-flight."""
    asked = request.POST if request.method == "POST" else request.GET
    areas = [area for area in web.areas(request) if area.pk != source.region.area_id]
    area: Area | None = next((area for area in areas if area.pk == asked.get("area")), None)
    found = destinations(source, area, username) if area else []
    return {
        "instance": source,
        "other_areas": areas,
        "chosen_area": area,
        "choosable": [destination for destination in found if destination.broken is None],
        "refused": [destination for destination in found if destination.broken is not None],
        "chosen": next((d for d in found if d.instance.pk == asked.get("instance")), None),
        "list_url": reverse("roaming:accounts", args=[source.pk]),
    }


def _selected(request: HttpRequest, source: Instance) -> Any:
    rows = ClientAccount.objects.filter(instance=source)
    if request.GET.get("all"):
        return TABLE.all_rows(request, rows)
    wanted = [pk for pk in request.GET.getlist("account") if "\0" not in pk]
    return rows.filter(pk__in=wanted).order_by("username_key")


def _carried(query: QueryDict) -> QueryDict:
    """Return the part of the query string that says which accounts are meant, so that each choice keeps them."""
    carried = query.copy()
    for key in ("area", "instance", "page"):
        carried.pop(key, None)
    return carried


def _forecast(selected: Any, destination: Instance) -> dict[str, int]:
    """Count the user names that exist at the destination and the room there, by which some copies would fail."""
    there = ClientAccount.objects.filter(instance=destination)
    taken = there.filter(username_key__in=selected.order_by().values("username_key")).count()
    room = destination.account_quota - getattr(destination, "accounts_used", 0)
    return {"taken": taken, "room": room}
