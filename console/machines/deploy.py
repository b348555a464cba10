"""Deploy panels of gateways and connectors: the command that they show, and the codes that are still open."""

import secrets
import shlex

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from console.machines.models.machines import EnrollmentCode
from console.machines.wheels import newest_wheel


def open_codes(target: str) -> QuerySet[EnrollmentCode]:
    """Return the codes with which a machine could still be enrolled for this connector or gateway."""
    unused = EnrollmentCode.objects.filter(target=target, used_at=None, revoked_at=None)
    return unused.filter(expires_at__gt=timezone.now())


def click_of(request: HttpRequest) -> str:
    """Return the click on *Create command* that a POST stands for, as the button's address names it, or ""."""
    return request.GET.get("click", "")[:32].replace("\0", "")


def panel(kind: str, target: str) -> dict[str, object]:
    """Return the context of a Deploy panel of either kind (``templates/deploy/_panel.html``), its code aside.

    ``script`` is quoted for shells, some of which take an IPv6 address for a pattern. ``click`` names the next click.
    """
    return {
        "script": shlex.quote(settings.PUBLIC_URL + reverse("deploy:script", kwargs={"kind": kind})),
        "click": secrets.token_hex(16),
        "open_codes": open_codes(target),
        "lifetime": settings.ENROLLMENT_CODE_LIFETIME,
        "wheel": newest_wheel(),
    }
