"""Address of the caller of a request, which the audit notes."""

import ipaddress
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from console.core import audit


def client_address(request: HttpRequest) -> str:
    """Return the caller's IP address.

    ``X-Forwarded-For`` is believed only with ``CAUSEWAY_TRUSTED_PROXY``, and then only its last entry, which the
    console's own proxy wrote; everything before it is the client's word.
    """
    if settings.TRUSTED_PROXY:
        last = request.headers.get("x-forwarded-for", "").rsplit(",", 1)[-1].strip()
        try:
            return str(ipaddress.ip_address(last))
        except ValueError:
            pass
    return str(request.META.get("REMOTE_ADDR", ""))


class AddressMiddleware:
    """Middleware that tells the audit where the request being served came from."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = audit.source.set(client_address(request))
        try:
            return self.get_response(request)
        finally:
            audit.source.reset(token)
