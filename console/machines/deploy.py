"""Deploy panels of gateways and connectors: the command that they show, and the codes that are still open."""

import secrets
import shlex

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from console.machines import console_ca
from console.machines.models.machines import EnrollmentCode
from console.machines.wheels import newest_wheel


def open_codes(target: str) -> QuerySet[EnrollmentCode]:
    """Return the codes with which a machine could still be enrolled for this connector or gateway."""
    unused = EnrollmentCode.objects.filter(target=target, used_at=None, revoked_at=None)
    return unused.filter(expires_at__gt=timezone.now())


def click_of(request: HttpRequest) -> str:
    """Return the click on *Create command* that a POST stands for, as the button's address names it, or ""."""
    return request.GET.get("click", "")[:32].replace("\0", "")


def fetch_command(url: str) -> str:
    """Return the command that prints a file of the console.

    Where machines may not trust the console's certificate, the command first fetches the CA and goes on only by the
    right one, whose SHA-256 it carries. Addresses are quoted: some shells take one of IPv6 for a pattern.
    """
    quoted = shlex.quote(url)
    ca = console_ca.console_ca()
    if not ca:
        return f"curl -fsSL {quoted}"
    file = "causeway-console-ca.pem"
    there = shlex.quote(settings.PUBLIC_URL + reverse("deploy:console_ca"))
    check = f"echo '{console_ca.fingerprint(ca)}  {file}' | sha256sum -c --status"
    wrong = f"{{ echo 'Error: {file} is not the CA of this console: fetch a new command.' >&2; false; }}"
    return f"curl -fsSkLo {file} {there} && {{ {check} || {wrong}; }} && curl -fsSL --cacert {file} {quoted}"


def panel(kind: str, target: str) -> dict[str, object]:
    """Return the context of a Deploy panel of either kind (``templates/deploy/_panel.html``), its code aside.

    ``fetch`` prints the script, for the shell to run. ``click`` names the next click.
    """
    return {
        "fetch": fetch_command(settings.PUBLIC_URL + reverse("deploy:script", kwargs={"kind": kind})),
        "ca_problem": console_ca.problem(),
        "click": secrets.token_hex(16),
        "open_codes": open_codes(target),
        "lifetime": settings.ENROLLMENT_CODE_LIFETIME,
        "wheel": newest_wheel(),
    }
