"""Client accounts as CSV: import with a preview, and export."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console import csv_export, web
from console.access import actor, role_required
from console.errors import Invalid, Refusal
from roaming import selectors
from roaming.models import AccountImport
from roaming.services import import_lines
from roaming.services import imports as services
from roaming.views.accounts import TABLE
from roaming.views.instances import instance_or_404

# As many wrong lines as the page itself lists; the file of wrong lines has all of them.
MOST_SHOWN = 1000
EXPORTED = (
    "username",
    "email",
    "bandwidth_kbps",
    "static_ip",
    "status",
    "traffic_this_month",
    "roamed_from",
    "roamed_to",
    "last_logon",
    "created",
)
BATCH = 1000


class ImportForm(forms.Form):
    file = forms.FileField(
        label="CSV file",
        required=False,
        widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}),
        help_text=f"UTF-8, at most 4 MB and {import_lines.MOST_LINES:,} accounts.",
    )
    text = forms.CharField(
        label="Or paste the lines",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false", "autocomplete": "off"}),
        help_text="The first line names the columns.",
    )

    def content(self) -> bytes | str:
        """What was uploaded or pasted. Raises ``Invalid`` unless it is exactly one of them."""
        file, text = self.cleaned_data["file"], self.cleaned_data["text"]
        if bool(file) == bool(text.strip()):
            raise Invalid("Choose a CSV file or paste its lines, not both.", field="file")
        if not file:
            return text
        if file.size > import_lines.MOST_BYTES:
            raise Invalid("The file is larger than 4 MB. Split it.", field="file")
        return file.read()


@sensitive_post_parameters("text")
@require_http_methods(["GET", "POST"])
@role_required("operator")
def import_new(request: HttpRequest, instance_id: str) -> HttpResponse:
    instance = instance_or_404(instance_id)
    form = ImportForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            draft = services.import_create(instance=instance, content=form.content(), actor=actor(request))
        except Refusal as refusal:
            web.form_refused(form, refusal)
        else:
            return HttpResponseRedirect(reverse("roaming:import", args=[draft.pk]))
    context = {"form": form, "instance": instance, "columns": import_lines.COLUMNS}
    if form.is_bound:
        # What was pasted may hold passwords: it is not written back into the page.
        form.data = {name: value for name, value in form.data.items() if name != "text"}
    return web.form_page(request, "roaming/imports/new.html", context)


@require_safe
@role_required("viewer")
def import_template(request: HttpRequest) -> StreamingHttpResponse:
    return csv_export.download("client-accounts.csv", tuple(import_lines.COLUMNS), import_lines.TEMPLATE)


def draft_or_404(request: HttpRequest, import_id: str) -> AccountImport:
    """One of the user's own uploads."""
    drafts = AccountImport.objects.select_related("instance__region__area")
    draft = drafts.filter(pk=import_id, owner=actor(request)).first()
    if draft is None:
        raise Http404(
            "This upload was imported already or is older than a day. Look at the tasks, or upload again."
        )
    return draft


@require_safe
@role_required("operator")
def import_preview(request: HttpRequest, import_id: str) -> HttpResponse:
    return _preview(request, draft_or_404(request, import_id))


def _preview(request: HttpRequest, draft: AccountImport, refusal: Refusal | None = None) -> HttpResponse:
    lines: list[import_lines.Line] = []
    try:
        lines = services.import_lines_of(draft)
    except Refusal as error:
        refusal = error
    bad = [line for line in lines if line.problems]
    context = {
        "draft": draft,
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


@require_safe
@role_required("operator")
def import_wrong_lines(request: HttpRequest, import_id: str) -> StreamingHttpResponse:
    lines = services.import_lines_of(draft_or_404(request, import_id))
    rows = (
        (line.number, line.username, line.email, " ".join(line.problems)) for line in lines if line.problems
    )
    return csv_export.download("wrong-lines.csv", ("line", "username", "email", "problem"), rows)


@require_POST
@role_required("operator")
def import_start(request: HttpRequest, import_id: str) -> HttpResponse:
    """``only_good=1`` leaves the wrong lines out."""
    draft = draft_or_404(request, import_id)
    only_good = request.POST.get("only_good") == "1"
    try:
        task = services.import_start(draft=draft, only_good=only_good, actor=actor(request))
    except Invalid as refusal:
        return _preview(request, draft, refusal)
    return web.done(request, reverse("tasks:detail", args=[task.pk]), "The import has begun.")


@require_POST
@role_required("operator")
def import_discard(request: HttpRequest, import_id: str) -> HttpResponse:
    draft = draft_or_404(request, import_id)
    url = reverse("roaming:accounts", args=[draft.instance_id])
    draft.delete()
    return web.done(request, url, "The upload was discarded; nothing was imported.")


@require_safe
@role_required("viewer")
def account_export(request: HttpRequest, instance_id: str) -> StreamingHttpResponse:
    """The list as CSV: what the search and the filters let through, in the list's order, sent while it is read."""
    instance = instance_or_404(instance_id)
    rows = TABLE.all_rows(request, selectors.accounts_of(instance))
    return csv_export.download(f"{instance.pk}-accounts.csv", EXPORTED, _exported(rows))


def _exported(rows: Any) -> Iterator[tuple[Any, ...]]:
    for account in rows.iterator(chunk_size=BATCH):
        source = account.source.instance_id if account.source else ""
        copies = " ".join(copy.instance_id for copy in account.copies.all())
        logon = account.last_logon_at.isoformat(timespec="seconds") if account.last_logon_at else ""
        yield (
            account.username,
            account.email,
            account.bandwidth_kbps,
            account.static_ip,
            "enabled" if account.enabled else "disabled",
            account.month_bytes or 0,
            source,
            copies,
            logon,
            account.created_at.isoformat(timespec="seconds"),
        )
