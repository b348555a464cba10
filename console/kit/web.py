"""Helpers of views: answers for plain and htmx requests alike, refusals in forms, the area."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from csp.decorators import csp_update
from django.contrib import messages
from django.forms import BaseForm
from django.forms.renderers import DjangoTemplates
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.loader import get_template, render_to_string
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.http import HttpResponseLocation

from console.core import conflicts
from console.core.conflicts import overtaken, told
from console.core.errors import Refusal
from console.core.versions import GONE, Stale

if TYPE_CHECKING:
    from console.core.models.geography import Area

AREA_COOKIE = "area"
THEME_COOKIE = "theme"
THEMES = ("light", "dark", "system")
OVERLAYS = ("panel", "dialog")

# Decorator of views with a chart, and of those whose panel may hold one (the page's policy holds for its panel too):
# Plotly saves a picture by way of a blob. Its styles need no permission (plotly.css, chart.js).
with_charts = csp_update({"img-src": ["blob:"]})


class FormRenderer(DjangoTemplates):
    """Renderer by which ``{{ form }}`` and ``{{ field.as_field_group }}`` draw the console's look."""

    form_template_name = "components/form.html"
    field_template_name = "components/field.html"

    def get_template(self, template_name: str) -> Any:
        own = template_name.startswith("components/")
        return get_template(template_name) if own else super().get_template(template_name)


def is_htmx(request: HttpRequest) -> bool:
    return bool(getattr(request, "htmx", False))


def htmx_target(request: HttpRequest) -> str | None:
    """Return the id of the element an htmx request fills; None for a plain request."""
    return request.htmx.target if is_htmx(request) else None  # type: ignore[attr-defined]


def done(
    request: HttpRequest, url: str, message: str | None = None, *, into: Literal["page", "panel"] = "page"
) -> HttpResponse:
    """Answer a successful POST: go to ``url`` and say ``message`` there.

    A plain request is redirected. For htmx the page's content is replaced in place, which closes panel and dialog; a
    dialog that stood over a panel gives way to the refreshed panel, unless its form carries ``data-leave`` because the
    panel's object is gone. ``into="panel"`` keeps the panel open and shows ``url`` in it.
    """
    if message:
        messages.success(request, message)
    if not is_htmx(request):
        return HttpResponseRedirect(url)
    if into == "panel":
        return HttpResponseLocation(url, target="#panel", swap="innerHTML")
    return HttpResponseLocation(url, target="#page", select="#page", swap="outerHTML")


def ask(
    request: HttpRequest,
    verb: str,
    name: object,
    *,
    action: str,
    back: str,
    template: str = "layout/question.html",
    **context: Any,
) -> HttpResponse:
    """Ask in a dialog whether to ``verb`` what is called ``name``; its button posts to ``action``.

    ``consequence`` in the context says in a sentence what breaks; a ``template`` of one's own says it in its body.
    ``next``: where the POST goes on.
    """
    question = {"verb": verb, "name": name, "action": action, "back": back}
    return render(request, template, context | question)


def form_page(request: HttpRequest, template: str, context: Mapping[str, Any]) -> HttpResponse:
    """Render a page whose context holds ``form``: 422 when the form was refused, else 200."""
    form: BaseForm = context["form"]
    return render(request, template, dict(context), status=422 if form.is_bound and form.errors else 200)


def form_refused(form: BaseForm, refusal: Refusal) -> None:
    """Put a service's refusal beside the field it names, or above the form when it names none of its fields.

    A form that was overtaken shows who changed what meanwhile, and asks for each field whose value shall stand.
    """
    if isinstance(refusal, Stale):
        form.overtaken = overtaken(form, refusal)  # type: ignore[attr-defined]
    form.add_error(refusal.field if refusal.field in form.fields else None, refusal.message)


@contextmanager
def refusals_in(form: BaseForm) -> Iterator[None]:
    """Call a service for a valid form: a refusal ends the block, and the form shows the refusal."""
    try:
        yield
    except Refusal as refusal:
        form_refused(form, refusal)


def safe_next(request: HttpRequest, default: str) -> str:
    """Return the ``next`` of a POST or GET if it is a path of this host, else ``default``."""
    url = request.POST.get("next") or request.GET.get("next") or ""
    return url if url.startswith("/") and url_has_allowed_host_and_scheme(url, None) else default


def areas(request: HttpRequest) -> "list[Area]":
    """Return every area in its order; one query a request."""
    from console.core.models.geography import Area

    if not hasattr(request, "_areas"):
        request._areas = list(Area.objects.order_by("position"))  # type: ignore[attr-defined]
    return request._areas  # type: ignore[attr-defined]


def current_area(request: HttpRequest) -> "Area | None":
    """Return the area chosen in the top bar, or the first one without a choice; None while there are no areas."""
    known = areas(request)
    chosen = request.COOKIES.get(AREA_COOKIE)
    return next((area for area in known if area.pk == chosen), known[0] if known else None)


def area_or_404(request: HttpRequest) -> "Area":
    """Return the area chosen in the top bar; a console without areas answers 404."""
    area = current_area(request)
    if area is None:
        raise Http404("There are no areas.")
    return area


def theme(request: HttpRequest) -> str:
    chosen = request.COOKIES.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else "system"


def error_response(
    request: HttpRequest, status: int, title: str, message: str, *, with_shell: bool = True
) -> HttpResponse:
    """Answer an error with a page in the shell's look, or with a short notice for htmx.

    ``with_shell=False`` asks nothing of session or database (500, 503).
    """
    context = {"status": status, "title": title, "message": message, "theme": theme(request)}
    if is_htmx(request):
        response = HttpResponse(render_to_string("errors/_notice.html", context), status=status)
        if htmx_target(request) not in OVERLAYS:
            response["HX-Retarget"] = "#notices"
            response["HX-Reswap"] = "innerHTML"
        elif request.method == "POST":
            # Above the form, which stays with what was typed.
            response["HX-Retarget"] = f"#{htmx_target(request)} .notices"
            response["HX-Reswap"] = "innerHTML"
        return response
    if with_shell:
        return render(request, "errors/error.html", context, status=status)
    return HttpResponse(render_to_string("errors/error.html", context), status=status)


def overtaken_answer(request: HttpRequest, refusal: Stale) -> HttpResponse:
    """Answer an action on what was changed meanwhile: who, what and when, and the same action to be asked for again."""
    target = htmx_target(request)
    if is_htmx(request) and target not in OVERLAYS:
        return error_response(request, refusal.status, "Changed meanwhile", refusal.message)
    came_from = urlsplit(request.headers.get("Referer", ""))
    context = {
        "overtaken_layout": f"layout/{target}.html" if target else "layout/dialog_page.html",
        "refusal": refusal,
        "told": told(refusal.rows),
        "gone": refusal.rows[-1].verb.endswith(GONE),
        "action": request.get_full_path(),
        "carried": conflicts.carried(request.POST),
        "back": safe_next(request, came_from.path or "/"),
    }
    return render(request, "layout/overtaken.html", context, status=refusal.status)
