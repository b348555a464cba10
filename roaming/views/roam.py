"""The dialog Configure Roaming: of one client account, and of many."""

from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_http_methods

from console import web
from console.access import actor, role_required
from console.errors import Invalid, Refusal
from console.models import Area
from console.templatetags.causeway import copy
from roaming import selectors
from roaming.models import ClientAccount, Instance
from roaming.services import bulk_roaming
from roaming.services.roaming import account_roam as roam
from roaming.views.accounts import TABLE, account_or_404

# The part of the dialog that changes with the chosen area and instance.
CHOICE = "roam-choice"
# How many of the chosen accounts the dialog names.
NAMED = 10


@require_http_methods(["GET", "POST"])
@role_required("operator")
def account_roam(request: HttpRequest, account_id: str) -> HttpResponse:
    """``area`` and ``instance`` in the query say what is chosen so far; posted, they are carried out."""
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


@require_http_methods(["GET", "POST"])
@role_required("operator")
def accounts_roam(request: HttpRequest, instance_id: str) -> HttpResponse:
    """The query string says which accounts: ``account`` for each, or ``all=1`` with the list's search and filters."""
    source = get_object_or_404(Instance.objects.select_related("region__area"), pk=instance_id)
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
    """The chosen instance. Raises ``Invalid`` when there is none."""
    wanted = request.POST.get("instance", "").replace("\0", "")
    if not wanted:
        raise Invalid("Associate with SAG Instance: choose an instance in another area.", field="instance")
    found = Instance.objects.select_related("region__area").filter(pk=wanted).first()
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
    """The areas but the source's own, the instances of the chosen one with their pre-flight, the chosen one's."""
    asked = request.POST if request.method == "POST" else request.GET
    areas = [area for area in web.areas(request) if area.pk != source.region.area_id]
    area: Area | None = next((area for area in areas if area.pk == asked.get("area")), None)
    found = selectors.destinations(source, area, username) if area else []
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
    """What of the query string says which accounts are meant."""
    carried = query.copy()
    for key in ("area", "instance", "page"):
        carried.pop(key, None)
    return carried


def _forecast(selected: Any, destination: Instance) -> dict[str, int]:
    """Which of the accounts cannot succeed as things stand: names that exist there, and room."""
    there = ClientAccount.objects.filter(instance=destination)
    taken = there.filter(username_key__in=selected.order_by().values("username_key")).count()
    room = destination.account_quota - getattr(destination, "accounts_used", 0)
    return {"taken": taken, "room": room}
