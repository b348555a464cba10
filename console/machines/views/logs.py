"""Pages on which the logs of a gateway or a connector server are asked for, watched and fetched."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from console.core.access import actor, acts, shows
from console.machines import logs
from console.machines.models.logs import LogExport


def _context(machine_id: str) -> dict[str, Any]:
    return {
        "machine": machine_id,
        "name": logs.name_of(machine_id),
        "export": logs.newest(machine_id),
        "kept": settings.LOGS_KEPT,
    }


@shows("operator")
def show(request: HttpRequest, machine_id: str) -> HttpResponse:
    return render(request, "console/logs/show.html", _context(machine_id))


@shows("operator")
def state(request: HttpRequest, machine_id: str) -> HttpResponse:
    """Show how far the archive is; the page asks again while the machine is at it."""
    return render(request, "console/logs/_state.html", _context(machine_id))


@acts("operator")
def ask(request: HttpRequest, machine_id: str) -> HttpResponse:
    logs.export_ask(machine=machine_id, actor=actor(request))
    # Redirect that browser and htmx follow alike: to the dialog, or the page of the same, with the new state.
    return HttpResponseRedirect(reverse("logs:show", args=[machine_id]))


@shows("operator")
@never_cache
def download(request: HttpRequest, machine_id: str, export_id: str) -> HttpResponseBase:
    export = get_object_or_404(LogExport, machine=machine_id, pk=export_id)
    pieces = logs.export_download(export=export, actor=actor(request))
    response = StreamingHttpResponse(pieces, content_type="application/gzip")
    response["Content-Length"] = str(export.size)
    name = f"causeway-logs-{machine_id}-{export.ready_at:%Y%m%d-%H%M%S}.tar.gz"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
