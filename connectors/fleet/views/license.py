"""Page of the license: what it allows, and a form to enter another."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from connectors.fleet import licensing, services
from connectors.fleet.forms import LicenseForm
from console.core.access import actor, takes_form
from console.kit import web


@takes_form("administrator")
def license_edit(request: HttpRequest) -> HttpResponse:
    state = licensing.state()
    initial = {"connectors": state.connectors, "valid_until": state.valid_until}
    form = LicenseForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            services.license_update(actor=actor(request), **form.cleaned_data)
            return web.done(request, reverse("connectors:list"), "The license was changed.")
    return web.form_page(request, "connectors/license.html", {"form": form, "license": state})
