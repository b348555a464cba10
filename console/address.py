"""Where a request comes from."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """The caller's IP address.

    ``X-Forwarded-For`` is believed only with ``CAUSEWAY_TRUSTED_PROXY``, and then only its last entry, which our own
    proxy wrote; everything before it is the client's word.
    """
    if settings.TRUSTED_PROXY:
        last = request.headers.get("x-forwarded-for", "").rsplit(",", 1)[-1].strip()
        try:
            return str(ipaddress.ip_address(last))
        except ValueError:
            pass
    return str(request.META.get("REMOTE_ADDR", ""))
