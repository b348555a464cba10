"""The dialog Configure Roaming of one client account."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_http_methods

from console import web
from console.access import role_required
from console.admin_services import actor
from console.errors import Invalid, Refusal
from console.models import Area
from console.templatetags.causeway import copy
from roaming import selectors
from roaming.models import ClientAccount, Instance
from roaming.services.roaming import account_roam as roam

# The part of the dialog that changes with the chosen area and instance.
CHOICE = "roam-choice"


@require_http_methods(["GET", "POST"])
@role_required("operator")
def account_roam(request: HttpRequest, account_id: str) -> HttpResponse:
    """``area`` and ``instance`` in the query say what is chosen so far; posted, they are carried out."""
    account = get_object_or_404(ClientAccount.objects.select_related("instance__region__area"), pk=account_id)
    asked = request.POST if request.method == "POST" else request.GET
    area, instance = asked.get("area", ""), asked.get("instance", "")
    refusal = None
    if request.method == "POST":
        try:
            return _roamed(request, account, _posted(account, instance))
        except Refusal as error:
            refusal = error
    context = _choices(request, account, area, instance)
    template = f"roaming/accounts/{'_roam_choice' if web.htmx_target(request) == CHOICE else 'roam'}.html"
    return render(request, template, {**context, "refusal": refusal}, status=422 if refusal else 200)


def _posted(account: ClientAccount, instance_id: str) -> Instance:
    if not instance_id:
        raise Invalid("Associate with SAG Instance: choose an instance in another area.", field="instance")
    found = Instance.objects.filter(pk=instance_id.replace("\0", "")).first()
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


def _choices(
    request: HttpRequest, account: ClientAccount, area_id: str, instance_id: str
) -> dict[str, object]:
    """The areas but the account's own, the instances of the chosen one with their pre-flight, the chosen one's."""
    areas = [area for area in web.areas(request) if area.pk != account.instance.region.area_id]
    area: Area | None = next((area for area in areas if area.pk == area_id), None)
    found = selectors.destinations(account, area) if area else []
    return {
        "account": account,
        "areas": areas,
        "chosen_area": area,
        "choosable": [destination for destination in found if destination.broken is None],
        "refused": [destination for destination in found if destination.broken is not None],
        "chosen": next((d for d in found if d.instance.pk == instance_id), None),
        "list_url": reverse("roaming:accounts", args=[account.instance_id]),
    }
