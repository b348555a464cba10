"""Applications as a CSV file: a download of all, and a form that takes a file in."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse

from connectors.applications import files as application_csv
from connectors.applications.forms import ImportForm
from console.core.access import actor, shows, takes_form
from console.core.audit import Matter
from console.kit import csv_export, web


@shows("viewer")
def application_export(request: HttpRequest) -> HttpResponseBase:
    everything = Matter("application", "all applications")
    rows = application_csv.rows()
    return csv_export.download(
        "applications.csv", application_csv.COLUMNS, rows, by=actor(request), of=everything
    )


@takes_form("operator")
def application_import(request: HttpRequest) -> HttpResponse:
    """Take all of the file or nothing, and name every line that cannot be taken."""
    form = ImportForm(request.POST, request.FILES) if request.method == "POST" else ImportForm()
    context: dict[str, object] = {"form": form, "columns": application_csv.COLUMNS}
    if request.method == "POST" and form.is_valid():
        result = application_csv.take(form.cleaned_data["file"], actor=actor(request))
        if not result.errors:
            return web.done(request, reverse("connectors:applications"), result.sentence)
        form.add_error("file", f"Nothing was changed: {result.complaint}.")
        context["errors"] = result.errors
    return web.form_page(request, "connectors/application_import.html", context)
