"""URLconf of the shell's tests: the console's own log-in and shell actions, and a few pages that use every part."""

from dataclasses import replace
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import views as auth
from django.db import OperationalError
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse

from console.core.access import acts, public, shows, takes_form
from console.core.errors import Conflict, Invalid
from console.kit import tables, web
from console.models import Area, Region
from console.pages import changes, errors, shell
from console.users.views import log_in_again

handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler500 = errors.server_error

REGIONS = tables.Table(
    columns=(
        tables.Column("name", "Name/ID", ("name",)),
        tables.Column("area", "Area", ("area__position", "position")),
        tables.Column("position", "Position", ("position",), align="end", width="s"),
        tables.Column("switch", "Instance Switch", width="m"),
        tables.Column("actions", "Actions", width="m"),
    ),
    row_template="trial/_row.html",
    search=("name", "id"),
    filters=(
        tables.Filter(
            "area",
            "Area",
            lambda request: [(area.pk, area.name) for area in web.areas(request)],
            lambda regions, value: regions.filter(area=value),
        ),
    ),
    default_sort="name",
    label="Regions",
    empty="No regions yet",
    empty_hint="Add the first with “Add region” above.",
)


WATCHED = replace(REGIONS, live_seconds=1)


class RegionForm(forms.Form):
    area = forms.ModelChoiceField(Area.objects.all(), label="Area", empty_label=None)
    name = forms.CharField(label="Region name", max_length=20, help_text="1 to 20 characters.")
    users = forms.ChoiceField(
        label="Users",
        choices=[("all", "All users"), ("selected", "Selected groups")],
        widget=forms.RadioSelect,
    )
    description = forms.CharField(
        label="Description", required=False, widget=forms.Textarea(attrs={"rows": 3})
    )
    enabled = forms.BooleanField(label="Instance Switch", required=False, initial=True)


@shows("viewer")
def region_list(request: HttpRequest) -> HttpResponseBase:
    # A region "switched off" in these tests is one far down the list: there is no such column.
    found = Region.objects.select_related("area").annotate(enabled=Q(position__lt=1000))
    if request.GET.get("world") == "empty":
        found = found.none()
    return tables.render(request, "trial/list.html", REGIONS.page(request, found))


@shows("viewer")
def region_watch(request: HttpRequest) -> HttpResponseBase:
    found = Region.objects.select_related("area").annotate(enabled=Q(position__lt=1000))
    return tables.render(request, "trial/list.html", WATCHED.page(request, found))


@takes_form("operator")
def region_add(request: HttpRequest) -> HttpResponse:
    form = RegionForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            _region_create(form.cleaned_data)
            return web.done(request, reverse("trial_list"), f"{form.cleaned_data['name']} was added.")
    return web.form_page(request, "trial/add.html", {"form": form})


def _region_create(values: dict[str, Any]) -> None:
    if Region.objects.filter(name=values["name"]).exists():
        raise Conflict("Another region has this name. Choose one that is free.", field="name")
    if values["name"] == "nowhere":
        raise Invalid("There is no such field.", field="unknown")
    Region.objects.create(id=values["name"].lower(), name=values["name"], area=values["area"])


@shows("viewer")
@web.with_charts
def region_detail(request: HttpRequest, pk: str) -> HttpResponse:
    return render(request, "trial/detail.html", {"region": get_object_or_404(Region, pk=pk)})


@takes_form("operator")
def region_disable(request: HttpRequest, pk: str) -> HttpResponse:
    region = get_object_or_404(Region, pk=pk)
    if request.method == "POST":
        Region.objects.filter(pk=pk).update(position=region.position + 1000)
        return web.done(request, reverse("trial_list"), f"{region.name} was disabled.")
    return render(request, "trial/disable.html", {"region": region})


@acts("operator")
def region_delete(request: HttpRequest, pk: str) -> HttpResponse:
    region = get_object_or_404(Region, pk=pk)
    region.delete()
    return web.done(request, reverse("trial_list"), f"{region.name} was deleted.")


@shows("viewer")
def region_chart(request: HttpRequest, pk: str) -> JsonResponse:
    hours = [f"2026-11-21T{hour:02}:00:00Z" for hour in range(24)]
    receive = [None if 8 < hour < 11 else 1e6 * (hour % 7 + 1) for hour in range(24)]
    send = [4e5 * (hour % 5 + 1) for hour in range(24)]
    traces = [
        {"type": "scatter", "mode": "lines", "fill": "tozeroy", "name": name, "x": hours, "y": values}
        for name, values in (("Receive", receive), ("Send", send))
    ]
    layout = {"yaxis": {"ticksuffix": "bit/s", "tickformat": "~s"}, "xaxis": {"type": "date"}}
    return JsonResponse({"data": [] if pk == "eu-central-1" else traces, "layout": layout})


@shows("viewer")
def say(request: HttpRequest, level: str) -> HttpResponse:
    getattr(messages, level)(request, f"A message of the level {level} <b>&</b>.")
    return render(request, "trial/message.html")


@public
def broken(request: HttpRequest, how: str) -> HttpResponse:
    if how == "refusal":
        raise Conflict("The connector is already disabled.")
    if how == "database":
        raise OperationalError("could not connect to server: secret-host")
    raise RuntimeError("a bug that nobody foresaw")


urlpatterns = [
    path("", region_list, name="overview"),
    path("log-in/", public(auth.LoginView.as_view()), name="login"),
    path("log-out/", public(auth.LogoutView.as_view()), name="logout"),
    path("area/", shell.area_select, name="area_select"),
    path("theme/", shell.theme_select, name="theme_select"),
    path("changes/", changes.changes, name="changes"),
    path("session/", log_in_again.session, name="session"),
    path("regions/", region_list, name="trial_list"),
    path("watch/", region_watch, name="trial_watch"),
    path("regions/add/", region_add, name="trial_add"),
    path("regions/<str:pk>/", region_detail, name="trial_detail"),
    path("regions/<str:pk>/disable/", region_disable, name="trial_disable"),
    path("regions/<str:pk>/delete/", region_delete, name="trial_delete"),
    path("regions/<str:pk>/chart.json", region_chart, name="trial_chart"),
    path("say/<str:level>/", say, name="trial_say"),
    path("broken/<str:how>/", broken, name="trial_broken"),
]
