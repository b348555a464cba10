"""Applications as a CSV file: a form that takes a file in."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from connectors.applications import files as application_csv
from connectors.applications.forms import ImportForm
from console.core.access import actor, takes_form
from console.kit import web


@takes_form("operator")
def application_import(request: HttpRequest) -> HttpResponse:
    """Take all of the file or nothing, and name every line that cannot be taken."""
    form = ImportForm(request.POST, request.FILES) if request.method == "POST" else ImportForm()
    context: dict[str, object] = {"form": form, "columns": application_csv.COLUMNS}
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            result = application_csv.take(
                form.cleaned_data["file"].read(application_csv.SHEET.most_bytes + 1),
                encoding=form.cleaned_data["encoding"],
                language=request.headers.get("Accept-Language", ""),
                actor=actor(request),
            )
            if not result.errors:
                return web.done(request, reverse("connectors:applications"), result.sentence)
            form.add_error("file", f"Nothing was changed: {result.complaint}.")
            context["errors"] = result.errors
    return web.form_page(request, "connectors/application_import.html", context)
