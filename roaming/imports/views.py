"""Pages of client accounts as CSV: import with a preview, and export."""

from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters

from console.core.access import actor, acts, shows, takes_form
from console.core.errors import Invalid, Refusal
from console.exchange import writing
from console.kit import web
from roaming.accounts.selectors import accounts_of
from roaming.accounts.tables import TABLE
from roaming.imports import lines as import_lines
from roaming.imports import services
from roaming.imports.forms import ImportForm
from roaming.imports.models import AccountImport
from roaming.imports.selectors import draft_or_404
from roaming.instances.selectors import instance_or_404

# Wrong lines that the page itself lists; the file of wrong lines has all of them.
MOST_SHOWN = 1000


@sensitive_post_parameters("text")
@takes_form("operator")
def import_new(request: HttpRequest, instance_id: str) -> HttpResponse:
    instance = instance_or_404(instance_id)
    form = ImportForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            draft = services.import_create(
                instance=instance,
                content=form.content(),
                encoding=form.cleaned_data["encoding"],
                language=request.headers.get("Accept-Language", ""),
                actor=actor(request),
            )
            return HttpResponseRedirect(reverse("roaming:import", args=[draft.pk]))
    context = {"form": form, "instance": instance, "columns": import_lines.COLUMNS}
    if form.is_bound:
        # Pasted text may hold passwords, so it is not written back into the page.
        form.data = {name: value for name, value in form.data.items() if name != "text"}
    return web.form_page(request, "roaming/imports/new.html", context)


@shows("viewer")
def import_template(request: HttpRequest) -> StreamingHttpResponse:
    return writing.plain(request, "client-accounts.csv", tuple(import_lines.COLUMNS), import_lines.TEMPLATE)


@shows("operator")
def import_preview(request: HttpRequest, import_id: str) -> HttpResponse:
    return _preview(request, draft_or_404(import_id, actor(request)))


def _preview(request: HttpRequest, draft: AccountImport, refusal: Refusal | None = None) -> HttpResponse:
    lines: list[import_lines.Line] = []
    try:
        lines = services.import_lines_of(draft)
    except Refusal as error:
        refusal = error
    bad = [line for line in lines if line.problems]
    context = {
        "draft": draft,
        "told": services.import_told(draft),
        "instance": draft.instance,
        "lines": len(lines),
        "good": len(lines) - len(bad),
        "bad": len(bad),
        "generated": sum(1 for line in lines if not line.problems and not line.password),
        "shown": bad[:MOST_SHOWN],
        "hidden": len(bad[MOST_SHOWN:]),
        "refusal": refusal,
    }
    return render(request, "roaming/imports/preview.html", context, status=422 if refusal else 200)


@shows("operator")
def import_wrong_lines(request: HttpRequest, import_id: str) -> StreamingHttpResponse:
    lines = services.import_lines_of(draft_or_404(import_id, actor(request)))
    rows = (
        (line.number, line.username, line.email, " ".join(line.problems)) for line in lines if line.problems
    )
    return writing.plain(request, "wrong-lines.csv", ("line", "username", "email", "problem"), rows)


@acts("operator")
def import_start(request: HttpRequest, import_id: str) -> HttpResponse:
    """Start the import in the background; ``only_good=1`` leaves the wrong lines out instead of refusing the file."""
    draft = draft_or_404(import_id, actor(request))
    only_good = request.POST.get("only_good") == "1"
    try:
        task = services.import_start(draft=draft, only_good=only_good, actor=actor(request))
    except Invalid as refusal:
        return _preview(request, draft, refusal)
    return web.done(request, reverse("tasks:detail", args=[task.pk]), "The import has begun.")


@acts("operator")
def import_discard(request: HttpRequest, import_id: str) -> HttpResponse:
    draft = draft_or_404(import_id, actor(request))
    url = reverse("roaming:accounts", args=[draft.instance_id])
    draft.delete()
    return web.done(request, url, "The upload was discarded; nothing was imported.")


@shows("viewer")
def account_export(request: HttpRequest, instance_id: str) -> HttpResponseBase:
    """Send the accounts as CSV, narrowed and ordered as in their list; rows are sent while they are read."""
    instance = instance_or_404(instance_id)
    return TABLE.file(request, accounts_of(instance), of=instance)
