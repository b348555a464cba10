"""Page of the license: what it allows, and a form to enter another."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from connectors.fleet import licensing, services
from connectors.fleet.forms import LicenseForm
from console.core.access import actor, role_required
from console.kit import web


@require_http_methods(["GET", "POST"])
@role_required("administrator")
def license_edit(request: HttpRequest) -> HttpResponse:
    state = licensing.state()
    initial = {"connectors": state.connectors, "valid_until": state.valid_until}
    form = LicenseForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            services.license_update(actor=actor(request), **form.cleaned_data)
            return web.done(request, reverse("connectors:list"), "The license was changed.")
    return web.form_page(request, "connectors/license.html", {"form": form, "license": state})
