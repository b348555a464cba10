from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from console import overview, web
from console.access import role_required


@require_safe
@role_required("viewer")
@web.with_charts
def home(request: HttpRequest) -> HttpResponse:
    context: dict[str, object] = {"cards": overview.cards()}
    if web.htmx_target(request) == "figures":
        return render(request, "console/overview.html#figures", context)
    context["charts"] = [(chart.label, chart.render(request)) for chart in overview.charts]
    return render(request, "console/overview.html", context)
