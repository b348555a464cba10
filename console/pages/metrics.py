"""Figures for Prometheus, which needs the token."""

import hmac

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from console.core.access import public
from console.machines import metrics


@require_safe
@public
def prometheus(request: HttpRequest) -> HttpResponse:
    """Answer ``Authorization: Bearer <token>`` alone; the page is not there unless CAUSEWAY_METRICS_TOKEN is set."""
    if not settings.METRICS_TOKEN:
        raise Http404("CAUSEWAY_METRICS_TOKEN is not set.")
    given = request.headers.get("Authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {settings.METRICS_TOKEN}".encode()):
        answer = HttpResponse(
            "This needs the token of CAUSEWAY_METRICS_TOKEN.\n", status=401, content_type="text/plain"
        )
        answer["WWW-Authenticate"] = 'Bearer realm="Causeway metrics"'
        return answer
    response = HttpResponse(metrics.text(), content_type=CONTENT_TYPE_LATEST)
    response["Cache-Control"] = "no-store"
    return response
