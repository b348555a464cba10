"""Log-in: Django's own by the password, and for a user with a second factor a page that asks for a code.

Between both the browser is logged in as nobody: its session knows who gave the right password, for some minutes.
"""

import time
from typing import Any

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth import views as auth
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from console.core import log_ins, second_factor
from console.core.access import public
from console.core.models.access import SecondFactor, User
from console.kit import web
from console.users.forms import CodeForm
from console.users.views import log_in_again

# Name in a session of who gave the right password, and for how many seconds that counts.
PENDING = "log_in_pending"
LASTS = 300


class LogInView(auth.LoginView):
    """Django's log-in, which goes on to a code for a user with a second factor."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        name = settings.OPENID_NAME if settings.OPENID_ISSUER else ""
        return super().get_context_data(openid_name=name, kept=self._kept, **kwargs)

    @property
    def _kept(self) -> str:
        """Form that met the end of a log-in, sealed; empty without one."""
        return self.request.POST.get("kept", "")

    def form_valid(self, form: Any) -> HttpResponse:
        user = form.get_user()
        if not SecondFactor.objects.filter(user=user).exists():
            response = super().form_valid(form)
            return log_in_again.resumed(self.request, self._kept) or response
        session = self.request.session
        session.flush()
        session.set_expiry(LASTS)
        session[PENDING] = {
            "user": user.pk,
            "backend": user.backend,
            "hash": user.get_session_auth_hash(),
            "at": time.time(),
            "next": self.get_success_url(),
            "kept": self._kept,
        }
        return HttpResponseRedirect(reverse("log_in_code"))


def _pending(request: HttpRequest) -> tuple[User, dict[str, Any]] | None:
    """Return who gave the right password a moment ago, and may still log in; None for nobody."""
    pending: dict[str, Any] = request.session.get(PENDING) or {}
    if not pending or not 0 <= time.time() - pending["at"] <= LASTS:
        return None
    user = User.objects.filter(pk=pending["user"], is_active=True).first()
    if user is None or not constant_time_compare(pending["hash"], user.get_session_auth_hash()):
        return None
    return user, pending


@public
@sensitive_post_parameters("code")
@require_http_methods(["GET", "POST"])
def log_in_code(request: HttpRequest) -> HttpResponse:
    """Ask for a code and log in. Wrong codes count as wrong passwords do, and lock out as these."""
    found = _pending(request)
    if found is None:
        return HttpResponseRedirect(reverse("login"))
    user, pending = found
    if locked := log_ins.locked_out(request, user.username):
        return locked
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            if second_factor.passes(user, form.cleaned_data["code"]):
                return _logged_in(request, user, pending)
            if locked := log_ins.guessed_wrong(request, user.username):
                return locked
            form.add_error("code", second_factor.WRONG)
    return web.form_page(request, "console/users/log_in_code.html", {"form": form, "person": user})


def _logged_in(request: HttpRequest, user: User, pending: dict[str, Any]) -> HttpResponse:
    del request.session[PENDING]
    request.session.set_expiry(None)
    login(request, user, backend=pending["backend"])
    request.session[second_factor.PASSED] = True
    if resumed := log_in_again.resumed(request, pending.get("kept", "")):
        return resumed
    url = pending["next"]
    good = url.startswith("/") and url_has_allowed_host_and_scheme(url, None)
    return HttpResponseRedirect(url if good else resolve_url("overview"))
