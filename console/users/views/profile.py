"""Page of a user's own profile: who one is here, and the own log-ins."""

from typing import Any

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from console.core import people, sessions
from console.core.access import actor, acts, shows
from console.core.models.access import SecondFactor
from console.kit import web
from console.push import own
from console.push.models import PushChannel

PROFILE = "profile"


@shows("viewer")
def profile(request: HttpRequest) -> HttpResponse:
    log_ins = list(sessions.live(actor(request))[:100])
    factor = SecondFactor.objects.filter(user=actor(request)).first()
    context: dict[str, Any] = {"log_ins": log_ins, "own": sessions.public_id(request), "factor": factor}
    context["mailed"] = PushChannel.objects.filter(owner=actor(request)).exists()
    return render(request, "console/users/profile.html", context)


@acts("viewer")
def log_in_end(request: HttpRequest, log_in_id: str) -> HttpResponse:
    """End one of the own log-ins; ending the present one is a log-out."""
    if log_in_id == sessions.public_id(request):
        logout(request)
        return web.done(request, reverse("login"), "You are logged out.")
    people.log_in_end(user=actor(request), public_id=log_in_id, actor=actor(request))
    return web.done(request, reverse(PROFILE), "The log-in ended.")


@acts("viewer")
def sign_out_elsewhere(request: HttpRequest) -> HttpResponse:
    """End all own log-ins but the present one."""
    own = sessions.public_id(request)
    number = people.log_ins_end(user=actor(request), actor=actor(request), but=own)
    return web.done(request, reverse(PROFILE), f"{number} other log-in{'s' if number != 1 else ''} ended.")


@acts("viewer")
def messages_switch(request: HttpRequest, enabled: bool) -> HttpResponse:
    """Switch the console's messages by mail to the own address on or off."""
    own.own_channel_switch(user=actor(request), enabled=enabled, actor=actor(request))
    told = "Messages of the console are also mailed to you." if enabled else "Nothing more is mailed to you."
    return web.done(request, reverse(PROFILE), told)
