"""The Deploy panel, and what its command fetches: the script and the wheel."""

import hashlib
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from connectors import services
from connectors.models import Connector
from console import web
from console.access import has_role, public, role_required
from console.admin_services import actor
from console.errors import Forbidden
from console.models import EnrollmentCode

NO_WHEEL = (
    "The console has no causeway wheel to install from. Put one into its wheel directory (CAUSEWAY_WHEEL_DIR): "
    "python3 -m build --wheel.\n"
)


@require_http_methods(["GET", "POST"])
@never_cache
@role_required("viewer")
def connector_deploy(request: HttpRequest, connector_id: str) -> HttpResponse:
    """The commands for a server. A POST makes a one-use code, shown in this answer and nowhere else."""
    connector = get_object_or_404(Connector, pk=connector_id)
    context: dict[str, object] = {
        "connector": connector,
        "script": f"{settings.PUBLIC_URL}/deploy/connector.sh",
    }
    if request.method == "POST":
        if not has_role(request.user, "operator"):
            raise Forbidden("This needs the role of operator. Ask an administrator for it.")
        context["code"], context["record"] = services.server_code_create(
            connector=connector, actor=actor(request)
        )
    context["open_codes"] = EnrollmentCode.objects.filter(
        target=connector.pk, used_at=None, expires_at__gt=timezone.now()
    )
    context["lifetime"] = settings.ENROLLMENT_CODE_LIFETIME
    context["wheel"] = newest_wheel()
    return render(request, "connectors/deploy.html", context)


@require_POST
@role_required("operator")
def code_revoke(request: HttpRequest, connector_id: str) -> HttpResponse:
    """The code is named in the body: what stands in a URL stands in logs as well."""
    connector = get_object_or_404(Connector, pk=connector_id)
    digest = request.POST.get("code", "")[:64].replace("\0", "")
    services.server_code_revoke(connector=connector, digest=digest, actor=actor(request))
    url = reverse("connectors:deploy", args=[connector.pk])
    return web.done(request, url, "The code was revoked; nobody can use it any more.", into="panel")


def wheels() -> list[Path]:
    """The wheels that the console offers, the newest first."""
    found = [path for path in settings.WHEEL_DIR.glob("causeway-*.whl") if path.is_file()]
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def newest_wheel() -> Path | None:
    return next(iter(wheels()), None)


@lru_cache(maxsize=4)
def _digest(path: Path, modified: int, size: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@require_safe
@public
def script(request: HttpRequest) -> HttpResponse:
    """The script that the deployment command pipes into a shell. It holds no secret."""
    wheel = newest_wheel()
    if wheel is None:
        return HttpResponse(NO_WHEEL, status=503, content_type="text/plain; charset=utf-8")
    status = wheel.stat()
    context = {
        "console_url": settings.PUBLIC_URL,
        "wheel_url": f"{settings.PUBLIC_URL}{reverse('connectors:wheel', args=[wheel.name])}",
        "wheel_name": wheel.name,
        "wheel_sha256": _digest(wheel, status.st_mtime_ns, status.st_size),
    }
    return render(request, "deploy/connector.sh", context, content_type="text/x-shellscript; charset=utf-8")


@require_safe
@public
@cache_control(public=True, max_age=300)
def wheel(request: HttpRequest, name: str) -> HttpResponseBase:
    """One of the offered wheels, by its exact name: what is asked for is compared, never joined to a path."""
    found = next((path for path in wheels() if path.name == name), None)
    if found is None:
        sentence = f"The console does not offer {name[:120]}.\n"
        return HttpResponse(sentence, status=404, content_type="text/plain; charset=utf-8")
    return FileResponse(found.open("rb"), filename=found.name, as_attachment=True)
