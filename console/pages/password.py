"""Page on which a user changes the own password."""

from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters

from console.core import log_ins, people
from console.core.access import actor, shows, takes_form
from console.kit import web


@sensitive_post_parameters()
@takes_form("viewer")
def password_change(request: HttpRequest) -> HttpResponse:
    """Change the password; this session stays logged in, the user's others are logged out.

    A wrong old password counts as a failed log-in: a stolen cookie guesses no faster than a stranger.
    """
    user = actor(request)
    if request.method == "POST" and (locked := log_ins.locked_out(request, user.username)):
        return locked
    form = PasswordChangeForm(user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        people.user_password_change(user=user, password=form.cleaned_data["new_password1"])
        update_session_auth_hash(request, user)
        return web.done(request, reverse("overview"), "Your password was changed.")
    if form.has_error("old_password", "password_incorrect") and (
        locked := log_ins.guessed_wrong(request, user.username)
    ):
        return locked
    return web.form_page(request, "registration/password_change.html", {"form": form})


@shows("viewer")
def of_django_admin(request: HttpRequest) -> HttpResponse:
    """Lead from Django admin's change of the own password to the console's, so that each change is in the audit."""
    return HttpResponseRedirect(reverse("password_change"))
