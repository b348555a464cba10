"""Monitoring tab of an instance and of an account: rates, bytes and connections over time."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page, require_safe

from console.core.access import role_required
from console.kit import charts, web
from console.kit.csv_export import download
from roaming.accounts.selectors import account_or_404
from roaming.instances.selectors import instance_alone_or_404
from roaming.usage import monitoring


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


def _csv(request: HttpRequest, kind: monitoring.Kind, key: str) -> HttpResponseBase:
    chosen = monitoring.window(request.GET)
    name = charts.file_name(key, chosen.start, chosen.end)
    return download(name, monitoring.COLUMNS, monitoring.table(monitoring.series(kind, key, chosen)))


def _chart(request: HttpRequest, kind: monitoring.Kind, key: str, what: str) -> JsonResponse:
    found = monitoring.series(kind, key, monitoring.window(request.GET))
    if what == "connections":
        lines = [charts.Line("Connections", "3", found.connections)]
        return JsonResponse(charts.figure(found.times, lines, unit="connections", whole=True))
    lines = [charts.Line("Receive", "receive", found.receive), charts.Line("Send", "send", found.send)]
    return JsonResponse(charts.figure(found.times, lines, unit="bit/s"))


@require_safe
@role_required("viewer")
@web.with_charts
def instance_monitoring(request: HttpRequest, instance_id: str) -> HttpResponse:
    instance = instance_alone_or_404(instance_id)
    context = {"instance": instance, "tab": "monitoring", **_context(request, "instance", instance.pk)}
    return render(request, "roaming/monitoring/instance.html", context)


@require_safe
@role_required("viewer")
def instance_monitoring_words(request: HttpRequest, instance_id: str) -> HttpResponse:
    context = _context(request, "instance", instance_alone_or_404(instance_id).pk)
    return render(request, "roaming/monitoring/_words.html", context)


@require_safe
@role_required("viewer")
@cache_control(private=True, no_cache=True)
@conditional_page
def instance_monitoring_chart(request: HttpRequest, instance_id: str, what: str) -> HttpResponse:
    """Answer with a Plotly figure of ``what``, rates or connections; the query string says the range."""
    return _chart(request, "instance", instance_alone_or_404(instance_id).pk, what)


@require_safe
@role_required("viewer")
def instance_monitoring_csv(request: HttpRequest, instance_id: str) -> HttpResponseBase:
    return _csv(request, "instance", instance_alone_or_404(instance_id).pk)


@require_safe
@role_required("viewer")
@web.with_charts
def account_monitoring(request: HttpRequest, account_id: str) -> HttpResponse:
    account = account_or_404(account_id)
    context = {"account": account, "instance": account.instance, **_context(request, "account", account.pk)}
    return render(request, "roaming/monitoring/account.html", context)


@require_safe
@role_required("viewer")
def account_monitoring_words(request: HttpRequest, account_id: str) -> HttpResponse:
    context = _context(request, "account", account_or_404(account_id).pk)
    return render(request, "roaming/monitoring/_words.html", context)


@require_safe
@role_required("viewer")
@cache_control(private=True, no_cache=True)
@conditional_page
def account_monitoring_chart(request: HttpRequest, account_id: str, what: str) -> HttpResponse:
    """Answer with a Plotly figure of ``what``, rates or connections; the query string says the range."""
    return _chart(request, "account", account_or_404(account_id).pk, what)


@require_safe
@role_required("viewer")
def account_monitoring_csv(request: HttpRequest, account_id: str) -> HttpResponseBase:
    return _csv(request, "account", account_or_404(account_id).pk)
