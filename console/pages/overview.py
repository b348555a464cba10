"""The overview: the cards and charts that apps contribute."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from console import ports
from console.core.access import shows
from console.kit import web


@shows("viewer")
@web.with_charts
def home(request: HttpRequest) -> HttpResponse:
    cards = sorted((card for cards in ports.cards for card in cards()), key=lambda card: card.order)
    context: dict[str, object] = {"cards": cards}
    if web.htmx_target(request) == "figures":
        return render(request, "console/overview.html#figures", context)
    context["charts"] = [(chart.label, chart.render(request)) for chart in ports.charts]
    return render(request, "console/overview.html", context)
