"""What the commands of the Deploy panels fetch: the script for each kind of machine, and the wheel it installs."""

import secrets
import shlex
from datetime import datetime

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
from console.wheels import NO_WHEEL, newest_wheel, wheels


def open_codes(target: str, now: datetime | None = None) -> QuerySet[EnrollmentCode]:
    """Codes with which a machine could still be enrolled for this connector or gateway."""
    unused = EnrollmentCode.objects.filter(target=target, used_at=None, revoked_at=None)
    return unused.filter(expires_at__gt=now or timezone.now())


def click_of(request: HttpRequest) -> str:
    """Which click on *Create command* a POST stands for; the button's address names it. Empty: it does not say."""
    return request.GET.get("click", "")[:32].replace("\0", "")


def panel(kind: str, target: str) -> dict[str, object]:
    """What a Deploy panel of either kind shows (``templates/deploy/_panel.html``), its code aside.

    ``script`` is a word of a shell: some take an IPv6 address for a pattern. ``click``: of the next one.
    """
    return {
        "script": shlex.quote(settings.PUBLIC_URL + reverse("deploy:script", kwargs={"kind": kind})),
        "click": secrets.token_hex(16),
        "open_codes": open_codes(target),
        "lifetime": settings.ENROLLMENT_CODE_LIFETIME,
        "wheel": newest_wheel(),
    }


@require_safe
@public
def script(request: HttpRequest, kind: str) -> HttpResponse:
    """The script that the deployment command pipes into a shell. It holds no secret."""
    wheel = newest_wheel()
    if wheel is None:
        return HttpResponse(f"{NO_WHEEL}\n", status=503, content_type="text/plain; charset=utf-8")
    context = {
        "kind": kind,
        "console_url": settings.PUBLIC_URL,
        "wheel_url": settings.PUBLIC_URL + reverse("deploy:wheel", args=[wheel.name]),
        "wheel_name": wheel.name,
        "wheel_sha256": wheel.sha256,
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
