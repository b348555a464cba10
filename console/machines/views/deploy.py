"""Downloads of the commands in the Deploy panels: the script for each kind of machine, and the wheel it installs."""

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from console.core.access import public
from console.machines import console_ca, pki
from console.machines.wheels import NO_WHEEL, newest_wheel, wheels


@require_safe
@public
def script(request: HttpRequest, kind: str) -> HttpResponse:
    """Answer with the script that the deployment command pipes into a shell; there is no secret in it."""
    wheel = newest_wheel()
    if wheel is None:
        return HttpResponse(f"{NO_WHEEL}\n", status=503, content_type="text/plain; charset=utf-8")
    context = {
        "kind": kind,
        "console_url": settings.PUBLIC_URL,
        "wheel_url": settings.PUBLIC_URL + reverse("deploy:wheel", args=[wheel.name]),
        "wheel_name": wheel.name,
        "wheel_sha256": wheel.sha256,
        "console_ca": console_ca.console_ca(),
    }
    return render(request, "deploy/machine.sh", context, content_type="text/x-shellscript; charset=utf-8")


@require_safe
@public
def console_certificate(request: HttpRequest) -> HttpResponse:
    """Answer with the CA of the console's certificate; the Deploy command knows its digest."""
    found = console_ca.console_ca()
    if not found:
        sentence = "This console names no CA of its own: its certificate is one that systems trust.\n"
        return HttpResponse(sentence, status=404, content_type="text/plain; charset=utf-8")
    return _pem(found, "causeway-console-ca.pem")


@require_safe
@public
def gateways_certificate(request: HttpRequest) -> HttpResponse:
    """Answer with the CA of the gateways, which programs without ``causeway connect`` have to trust."""
    return _pem(pki.ca_pem(), "causeway-ca.pem")


def _pem(text: str, name: str) -> HttpResponse:
    answer = HttpResponse(text, content_type="application/x-pem-file")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@require_safe
@public
@cache_control(public=True, max_age=300)
def wheel(request: HttpRequest, name: str) -> HttpResponseBase:
    """Answer with an offered wheel by its exact name, which is compared and never joined to a path."""
    found = next((path for path in wheels() if path.name == name), None)
    if found is None:
        sentence = f"The console does not offer {name[:120]}.\n"
        return HttpResponse(sentence, status=404, content_type="text/plain; charset=utf-8")
    return FileResponse(found.open("rb"), filename=found.name, as_attachment=True)
