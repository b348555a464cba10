from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from console import overview, web
from console.access import role_required


@require_safe
@role_required("viewer")
@web.with_charts
def home(request: HttpRequest) -> HttpResponse:
    template = "console/overview.html"
    if web.htmx_target(request) == "figures":
        template += "#figures"
    return render(request, template, {"cards": overview.cards(), "charts": overview.charts})
