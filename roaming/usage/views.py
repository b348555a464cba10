"""Monitoring tab of an instance and of an account: rates, bytes and connections over time."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page

from console.core.access import shows
from console.exchange.writing import download
from console.kit import charts, web
from roaming.accounts.selectors import account_or_404
from roaming.instances.selectors import instance_alone_or_404
from roaming.usage import monitoring


def _found(kind: monitoring.Kind, ids: dict[str, str]) -> Any:
    """Return the instance or the account that the URL names."""
    return account_or_404(**ids) if kind == "account" else instance_alone_or_404(**ids)


def _context(request: HttpRequest, kind: monitoring.Kind, key: str) -> dict[str, Any]:
    """Return what ``_charts.html`` and ``_words.html`` show of the range that the query string asks for."""
    chosen = monitoring.window(request.GET)
    found = monitoring.series(kind, key, chosen)
    return {
        "window": chosen,
        "ranges": monitoring.RANGES.values(),
        "series": found,
        "receive": charts.words(found.times, found.receive),
        "send": charts.words(found.times, found.send),
        "connections": charts.words(found.times, found.connections),
        "open": monitoring.open_now(kind, key),
        "key": key,
        "url": reverse(f"roaming:{kind}_monitoring", args=[key]),
        "words_url": reverse(f"roaming:{kind}_monitoring_words", args=[key]),
        "csv_url": reverse(f"roaming:{kind}_monitoring_csv", args=[key]),
        "rates_url": reverse(f"roaming:{kind}_monitoring_chart", args=[key, "rates"]),
        "connections_url": reverse(f"roaming:{kind}_monitoring_chart", args=[key, "connections"]),
    }


@shows("viewer")
@web.with_charts
def tab(request: HttpRequest, kind: monitoring.Kind, **ids: str) -> HttpResponse:
    row = _found(kind, ids)
    context = {"instance": row.instance if kind == "account" else row, kind: row, "tab": "monitoring"}
    return render(request, f"roaming/monitoring/{kind}.html", context | _context(request, kind, row.pk))


@shows("viewer")
def words(request: HttpRequest, kind: monitoring.Kind, **ids: str) -> HttpResponse:
    context = _context(request, kind, _found(kind, ids).pk)
    return render(request, "roaming/monitoring/_words.html", context)


@shows("viewer")
@cache_control(private=True, no_cache=True)
@conditional_page
def chart(request: HttpRequest, kind: monitoring.Kind, what: str, **ids: str) -> HttpResponse:
    """Answer with a Plotly figure of ``what``, rates or connections; the query string says the range."""
    found = monitoring.series(kind, _found(kind, ids).pk, monitoring.window(request.GET))
    if what == "connections":
        lines = [charts.Line("Connections", "3", found.connections)]
        return JsonResponse(charts.figure(found.times, lines, unit="connections", whole=True))
    lines = [charts.Line("Receive", "receive", found.receive), charts.Line("Send", "send", found.send)]
    return JsonResponse(charts.figure(found.times, lines, unit="bit/s"))


@shows("viewer")
def csv(request: HttpRequest, kind: monitoring.Kind, **ids: str) -> HttpResponseBase:
    chosen, found = monitoring.window(request.GET), _found(kind, ids)
    name = charts.file_name(found.pk, chosen.start, chosen.end)
    rows = monitoring.table(monitoring.series(kind, found.pk, chosen))
    return download(request, name, monitoring.COLUMNS, rows, of=found)
