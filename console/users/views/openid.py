"""Log-in by the provider of OpenID Connect."""

import logging

from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_lockout_response
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.signals import user_login_failed
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from console.core import openid, second_factor
from console.core.access import public
from console.core.errors import Refusal
from console.kit import web
from console.users import openid_client

log = logging.getLogger("causeway.openid")
BACKEND = "django.contrib.auth.backends.ModelBackend"
NEXT = "openid_next"
# Time that somebody has at the provider.
SECONDS = 600
# As whom failures count: no user name has brackets.
NOBODY = {"username": "(OpenID Connect)"}
FAILED = "The log-in by the provider failed. Try again, or ask an administrator: the console's log says why."


@public
@require_http_methods(["GET"])
def openid_begin(request: HttpRequest) -> HttpResponse:
    """Send the browser to the provider."""
    _configured_or_404()
    if not AxesProxyHandler.is_allowed(request, NOBODY):
        return get_lockout_response(request, credentials=NOBODY)
    url = web.safe_next(request, resolve_url(settings.LOGIN_REDIRECT_URL))
    if request.user.is_authenticated:
        return HttpResponseRedirect(url)
    # Strangers begin as well: what is kept for them goes soon.
    request.session.set_expiry(SECONDS)
    request.session[NEXT] = url
    try:
        return openid_client.way_there(request)
    except openid_client.Refused as refused:
        log.error("The provider of OpenID Connect cannot be used: %s", refused)
        return _back(request, "The provider cannot be reached now. Try again in a moment.")


@public
@require_http_methods(["GET"])
def openid_back(request: HttpRequest) -> HttpResponse:
    """Log in whom the provider names. The provider has asked for its second factor, so the console asks for none."""
    _configured_or_404()
    if not AxesProxyHandler.is_allowed(request, NOBODY):
        return get_lockout_response(request, credentials=NOBODY)
    try:
        user = openid.user_of(openid_client.came_back(request))
    except openid_client.Refused as refused:
        log.warning("A log-in by OpenID Connect failed: %s", refused)
        user_login_failed.send(sender=__name__, credentials=NOBODY, request=request)
        return _back(request, FAILED)
    except Refusal as refusal:
        user_login_failed.send(sender=__name__, credentials=NOBODY, request=request)
        return _back(request, refusal.message)
    url = request.session.pop(NEXT, resolve_url(settings.LOGIN_REDIRECT_URL))
    request.session.set_expiry(None)
    login(request, user, backend=BACKEND)
    request.session[second_factor.PASSED] = True
    return HttpResponseRedirect(url)


def _configured_or_404() -> None:
    if not settings.OPENID_ISSUER:
        raise Http404


def _back(request: HttpRequest, sentence: str) -> HttpResponse:
    messages.error(request, sentence)
    return HttpResponseRedirect(reverse("login"))
