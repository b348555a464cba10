"""What the commands of the Deploy panels fetch: the script for each kind of machine, and the wheel it installs."""

import hashlib
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.db.models import QuerySet
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from console.access import public
from console.models import EnrollmentCode

NO_WHEEL = (
    "The console has no causeway wheel to install from. Put one into its wheel directory (CAUSEWAY_WHEEL_DIR): "
    "python3 -m build --wheel.\n"
)


def wheels() -> list[Path]:
    """The wheels that the console offers, the newest first."""
    found = [path for path in settings.WHEEL_DIR.glob("causeway-*.whl") if path.is_file()]
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def newest_wheel() -> Path | None:
    return next(iter(wheels()), None)


def open_codes(target: str, now: datetime | None = None) -> QuerySet[EnrollmentCode]:
    """Codes with which a machine could still be enrolled for this connector or gateway."""
    return EnrollmentCode.objects.filter(target=target, used_at=None, expires_at__gt=now or timezone.now())


def panel(kind: str, target: str) -> dict[str, object]:
    """What a Deploy panel of either kind shows (``templates/deploy/_panel.html``), its code aside."""
    return {
        "script": settings.PUBLIC_URL + reverse("deploy:script", kwargs={"kind": kind}),
        "open_codes": open_codes(target),
        "lifetime": settings.ENROLLMENT_CODE_LIFETIME,
        "wheel": newest_wheel(),
    }


@lru_cache(maxsize=4)
def _digest(path: Path, modified: int, size: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@require_safe
@public
def script(request: HttpRequest, kind: str) -> HttpResponse:
    """The script that the deployment command pipes into a shell. It holds no secret."""
    wheel = newest_wheel()
    if wheel is None:
        return HttpResponse(NO_WHEEL, status=503, content_type="text/plain; charset=utf-8")
    status = wheel.stat()
    context = {
        "kind": kind,
        "console_url": settings.PUBLIC_URL,
        "wheel_url": settings.PUBLIC_URL + reverse("deploy:wheel", args=[wheel.name]),
        "wheel_name": wheel.name,
        "wheel_sha256": _digest(wheel, status.st_mtime_ns, status.st_size),
    }
    return render(request, "deploy/machine.sh", context, content_type="text/x-shellscript; charset=utf-8")


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
