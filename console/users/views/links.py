"""Page of a one-use link, by which somebody sets the own password. Whoever has the link needs no log-in."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from console.core import password_links
from console.core.access import public
from console.kit import web
from console.users.forms import NewPasswordForm


@sensitive_post_parameters()
@sensitive_variables()
@require_http_methods(["GET", "POST"])
def _password_link(request: HttpRequest, token: str) -> HttpResponse:
    """Show the form, and take the new password. A look uses nothing up: programs look at links in mails as well."""
    user = password_links.link_user(token)
    form = NewPasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            password_links.link_use(token=token, password=form.cleaned_data["password"])
            messages.success(request, "Your password was set. Log in with it.")
            return HttpResponseRedirect(reverse("login"))
    return web.form_page(request, "console/users/password_link.html", {"form": form, "person": user})


@public
def password_link(request: HttpRequest, token: str) -> HttpResponse:
    """Answer with a page whose address, which holds the token, goes into no Referer, not even the console's own.

    By ``no-referrer`` a browser would also send the form as coming from nowhere, and the form would be refused.
    """
    response = _password_link(request, token)
    response["Referrer-Policy"] = "strict-origin"
    return response
