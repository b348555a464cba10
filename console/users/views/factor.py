"""Pages of the own second factor: set up, new recovery codes, removed."""

import base64
import io
from collections.abc import Callable

import qrcode
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from qrcode.image.svg import SvgPathFillImage

from console.core import people, second_factor, sessions
from console.core.access import actor, before_the_factor, takes_form
from console.core.models.access import SECOND_FACTORS, SecondFactor, User
from console.core.sealed import Unopened, open_text, seal_text
from console.kit import web
from console.users.forms import CodeForm

# Name in a session of the secret that is being set up, sealed as it will lie in the table.
SETTING_UP = "second_factor_secret"
PROFILE = "profile"


def _secret(request: HttpRequest) -> str:
    """Return the secret that is being set up, the same until it is."""
    try:
        return open_text(SECOND_FACTORS, request.session.get(SETTING_UP, ""))
    except Unopened:
        secret = second_factor.new_secret()
        request.session[SETTING_UP] = seal_text(SECOND_FACTORS, secret)
        return secret


def _picture(text: str) -> str:
    """Draw a text as a QR code, as the address of an image."""
    drawn = io.BytesIO()
    qrcode.make(text, image_factory=SvgPathFillImage, box_size=12).save(drawn)
    return "data:image/svg+xml;base64," + base64.b64encode(drawn.getvalue()).decode()


@before_the_factor
@sensitive_post_parameters("code")
@takes_form("viewer")
def set_up(request: HttpRequest) -> HttpResponse:
    """Set up an app, proved by its first code. Other log-ins of the user, which were begun without, end."""
    user, form = actor(request), CodeForm(request.POST or None)
    if SecondFactor.objects.filter(user=user).exists():
        return render(request, "console/users/factor_there.html", {"required": second_factor.required(user)})
    secret = _secret(request)
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            codes = second_factor.factor_create(user=user, secret=secret, code=form.cleaned_data["code"])
            del request.session[SETTING_UP]
            request.session[second_factor.PASSED] = True
            people.log_ins_end(user=user, actor=user, but=sessions.public_id(request))
            return _told(request, codes)
    address = second_factor.address(user, secret)
    context = {"form": form, "secret": secret, "picture": _picture(address), "address": address}
    context["required"] = second_factor.lacks(request)
    return web.form_page(request, "console/users/factor.html", context)


@sensitive_post_parameters("code")
@takes_form("viewer")
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """Make new recovery codes, which are shown in the answer to the POST and nowhere else."""

    def renew(user: User, code: str) -> HttpResponse:
        return _told(request, second_factor.recovery_codes_renew(user=user, code=code))

    return _by_code(request, "console/users/factor_codes.html", renew)


@sensitive_post_parameters("code")
@takes_form("viewer")
def remove(request: HttpRequest) -> HttpResponse:
    def removed(user: User, code: str) -> HttpResponse:
        second_factor.factor_remove(user=user, code=code)
        return web.done(
            request, reverse(PROFILE), "Your second factor was removed: the password alone logs in."
        )

    return _by_code(request, "console/users/factor_remove.html", removed)


def _by_code(request: HttpRequest, template: str, act: Callable[[User, str], HttpResponse]) -> HttpResponse:
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            return act(actor(request), form.cleaned_data["code"])
    return web.form_page(request, template, {"form": form})


def _told(request: HttpRequest, codes: list[str]) -> HttpResponse:
    return render(request, "console/users/factor_told.html", {"codes": codes})
