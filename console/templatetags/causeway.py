"""Template tags and filters of the console's pages; loaded into every template by the settings."""

import math
import re
from datetime import UTC, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django import template
from django.forms import BaseForm, BoundField
from django.template.base import Parser, Token
from django.template.context import Context
from django.template.defaulttags import CsrfTokenNode
from django.template.loader_tags import BLOCK_CONTEXT_KEY
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from console.core import conflicts, zones

register = template.Library()

NOTHING = "—"
BADGES = ("success", "warning", "error", "notice", "muted")
NOTICES = {"important": "Important", "error": "Error", "success": "Done", "info": "Note"}
NOTICE_ICONS = {"important": "warning", "error": "error", "success": "success", "info": "info"}
STYLES = ("tokens", "base", "shell", "page", "forms", "tables", "badges", "panel", "charts")
SCRIPTS = (
    "page", "forms", "panel", "menu", "copy", "zone", "time", "theme", "live", "select", "chart-clock", "chart"
)  # fmt: skip
SPACE = re.compile(r"\s+")
# Tags of rows and cells with the blanks beside them, which show nowhere.
ROUND_CELLS = re.compile(r" ?(</?(?:t[rdh]|thead|tbody|table|ul|li|option)\b[^>]*>) ?")
# Units of a span: (seconds, name), the largest first.
AGES = ((86400, "day"), (3600, "hour"), (60, "minute"))


@register.filter
def dash(value: Any) -> Any:
    """Write a dash for an unknown value; 0 stays 0."""
    return NOTHING if value is None or value == "" else value


@register.filter
def bitrate(value: float | None) -> str:
    """Write bits per second with an SI prefix: 1500000 → "1.5 Mbit/s"; None → a dash."""
    return _scaled(value, 1000, ("bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"))


@register.filter(name="bytes")
def bytes_(value: float | None) -> str:
    """Write bytes as B, KB, MB, GB, TB (1,024 each); None → a dash."""
    return _scaled(value, 1024, ("B", "KB", "MB", "GB", "TB"))


def _scaled(value: float | None, step: int, units: tuple[str, ...]) -> str:
    if value is None or not isinstance(value, int | float) or not math.isfinite(value):
        return NOTHING
    size, unit = float(value), 0
    # Next unit from 999.95 on, which would be written as 1000.0.
    while abs(size) >= step - 0.05 and unit < len(units) - 1:
        size, unit = size / step, unit + 1
    digits = f"{size:.0f}" if unit == 0 or abs(size) >= 100 else f"{size:.1f}".removesuffix(".0")
    return f"{digits} {units[unit]}"


@register.filter
def datetime_iso(value: datetime | None) -> SafeString | str:
    """Make a time element: the time of the person's zone as text, the full ISO time on hover.

    The text says UTC where no other zone is known; time.js then writes the browser's.
    """
    if value is None:
        return NOTHING
    iso = value.astimezone(UTC).isoformat(timespec="seconds")
    return format_html(
        '<time datetime="{0}" title="{0}" data-time="full">{1}</time>', iso, zones.written(value)
    )


@register.filter
def clock(value: time | None) -> str:
    """Write a time of day (UTC) as the person's clock shows it today: "21:00"."""
    return NOTHING if value is None else f"{zones.clock_here(value):%H:%M}"


@register.filter
def ago(value: datetime | None) -> SafeString | str:
    """Write how long ago, such as "3 minutes ago"; time.js keeps it current and shows the full ISO time on hover."""
    if value is None:
        return NOTHING
    seconds = int((timezone.now() - value).total_seconds())
    iso = value.astimezone(UTC).isoformat(timespec="seconds")
    return format_html('<time datetime="{}">{}</time>', iso.replace("+00:00", "Z"), _age(seconds))


def _age(seconds: int) -> str:
    for length, unit in AGES:
        if abs(seconds) >= length:
            number = abs(seconds) // length
            text = f"{number} {unit}{'s' if number != 1 else ''}"
            return f"{text} ago" if seconds > 0 else f"in {text}"
    return "just now" if seconds > -5 else "in a moment"


@register.filter
def thousands(value: int) -> str:
    """Write a number with commas: 10000 → "10,000"."""
    return f"{value:,}"


@register.filter
def minutes(value: timedelta) -> str:
    """Write a span in whole minutes, at least one: "15 minutes"."""
    number = max(1, math.ceil(value.total_seconds() / 60))
    return f"{number} minute{'s' if number != 1 else ''}"


@register.filter
def duration(seconds: float | None) -> str:
    """Write a span in its two largest units: 93784 → "1 day 2 hours"; None → a dash."""
    if seconds is None:
        return NOTHING
    words: list[str] = []
    rest = int(seconds)
    for length, unit in AGES:
        number, rest = divmod(rest, length)
        if number or (unit == "minute" and not words):
            words.append(f"{number} {unit}{'s' if number != 1 else ''}")
    return " ".join(words[:2])


@register.filter
def message_kind(tags: str) -> str:
    """Return the notice kind of a Django message's level."""
    return {"error": "error", "warning": "important", "success": "success"}.get(tags, "info")


@register.filter
def notice_icon(kind: str) -> str:
    return NOTICE_ICONS[kind]


class FormNode(CsrfTokenNode):
    """Hidden fields of every form that writes: Django's token, and those of `console.kit.submissions`."""

    def render(self, context: Context) -> SafeString:
        drawn = super().render(context)
        basis = getattr(context.get("request"), "basis", None)
        if not drawn or basis is None:
            return conditional_escape(drawn)
        field = '<input type="hidden" name="{}" value="{}">'
        number = [] if basis.drawn is None else [("based_on", basis.drawn)]
        return conditional_escape(drawn) + format_html_join("", field, [("submission", basis.token), *number])


@register.tag
def csrf_token(parser: Parser, token: Token) -> FormNode:
    """Take the place of Django's tag, so that no form has to ask for more and none can be forgotten."""
    return FormNode()


@register.simple_tag(takes_context=True)
def watch(context: Context) -> SafeString:
    """Draw the place that tells what others change about the page's object while somebody looks at it."""
    request: Any = context.get("request")
    basis, match = getattr(request, "basis", None), getattr(request, "resolver_match", None)
    if basis is None or match is None or not any(not str(value).isdigit() for value in match.kwargs.values()):
        return SafeString("")
    query = urlencode({"of": request.path, "since": basis.drawn})
    place = f"changes-{getattr(getattr(request, 'htmx', None), 'target', None) or 'page'}"
    return format_html(
        '<div id="{}" data-live="{}?{}" data-every="5"></div>', place, reverse("changes"), query
    )


@register.simple_tag(takes_context=True)
def was(context: Context, form: BaseForm) -> SafeString:
    """Draw the hidden field by which a refused form tells what its sender changed; nothing for an empty form."""
    request = context.get("request")
    posted = request.POST.get(conflicts.WAS) if request is not None and request.method == "POST" else None
    if posted is None or getattr(form, "overtaken", None) is not None:
        posted = conflicts.was(form) if form.initial else None
    field = '<input type="hidden" name="was" value="{}">'
    return SafeString("") if posted is None else format_html(field, posted)


@register.simple_tag
def assets() -> SafeString:
    """Link the shell's style sheets and scripts, in order; chart.js loads Plotly where a chart is."""
    sheets = format_html_join(
        "\n", '<link rel="stylesheet" href="{}">', ((static(f"css/{n}.css"),) for n in STYLES)
    )
    scripts = format_html_join(
        "\n", '<script src="{}" defer></script>', ((static(f"js/{n}.js"),) for n in SCRIPTS)
    )
    return sheets + scripts


@register.simple_tag
def badge(kind: str, word: str) -> SafeString:
    """Draw a dot and a word. ``kind``: success, warning, error, notice or muted."""
    if kind not in BADGES:
        raise ValueError(f"Unknown badge {kind!r}; legal are {BADGES}.")
    return format_html('<span class="badge badge-{}">{}</span>', kind, word)


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """Draw an icon of static/img/icons.svg, hidden from screen readers unless it has a label."""
    href = f"{static('img/icons.svg')}#{name}"
    if label:
        return format_html('<svg class="icon" role="img" aria-label="{}"><use href="{}"/></svg>', label, href)
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}"/></svg>', href)


@register.simple_block_tag
def notice(content: str, kind: str, title: str | None = None) -> SafeString:
    """Draw a notice: important, error, success or info. ``title`` replaces the kind's word, "" leaves it out."""
    word = NOTICES[kind] if title is None else title
    heading = format_html("<strong>{}</strong>", word) if word else ""
    return format_html(
        '<div class="notice notice-{}" role="{}">{}<div>{}{}</div></div>',
        kind,
        "alert" if kind == "error" else "note",
        icon(NOTICE_ICONS[kind]),
        heading,
        mark_safe(content),  # nosec B703 # noqa: S308 (the block's own template, escaped where it was rendered)
    )


@register.simple_block_tag
def fact(content: str, label: str) -> SafeString:
    """Draw a line of a ``<dl class="facts">``: what is known, after its label."""
    drawn = mark_safe(content)  # nosec B703 # noqa: S308 (the block's own template, escaped where it was rendered)
    return format_html("<div><dt>{}</dt><dd>{}</dd></div>", label, drawn)


@register.simple_tag
def heads(*labels: str) -> SafeString:
    """Draw the head of a table of a few rows; lists have ``console.kit.tables``."""
    cells = format_html_join("", '<th scope="col">{}</th>', ((label,) for label in labels))
    return format_html("<thead><tr>{}</tr></thead>", cells)


@register.simple_block_tag(takes_context=True)
def menu(context: Context, content: str, label: str = "More", key: str = "") -> SafeString:
    """Draw a button that opens a small menu. ``key`` makes its id unique, such as the row's primary key."""
    number = (context.render_context.get("menu_number") or 0) + 1
    context.render_context["menu_number"] = number
    name = f"menu-{key or number}"
    return format_html(
        '<button type="button" class="link menu-button" id="{0}-button" popovertarget="{0}">{1} {2}</button>'
        '<div class="menu" id="{0}" popover data-menu>{3}</div>',
        name,
        label,
        icon("down"),
        mark_safe(content),  # nosec B703 # noqa: S308 (as above)
    )


@register.simple_tag
def more(url: str, label: str = "More") -> SafeString:
    """Draw a menu that is fetched when it is opened, for lists, where a menu a row would outweigh the rows.

    ``url`` answers the menu's links to ``HX-Target: row-menu``, and a page of them without a script.
    """
    return format_html('<a href="{}" data-more>{}</a>', url, label)


@register.simple_block_tag
def compact(content: str) -> SafeString:
    """Take the templates' indentation out of a part, where it would be a third of a list. Not for ``<pre>``."""
    content = SPACE.sub(" ", content)
    return mark_safe(ROUND_CELLS.sub(r"\1", content))  # nosec B703 # noqa: S308 (escaped where it was rendered)


@register.simple_tag
def crumb(label: str, where: str, *args: str) -> SafeString:
    """Draw a step on the way to a page. ``where``: the name of a URL with its ``args``, or the URL itself."""
    url = where if where.startswith("/") else reverse(where, args=args)
    return format_html('<li><a href="{}">{}</a></li>', url, label)


@register.simple_tag
def copy(text: str, label: str = "") -> SafeString:
    """Draw a small button that copies ``text``."""
    return format_html(
        '<button type="button" class="copy" data-copy="{}" aria-label="{}">{}</button>',
        text,
        label or f"Copy {text}",
        icon("copy"),
    )


@register.simple_tag(takes_context=True)
def post(
    context: Context, label: str, where: str, *args: str, css: str = "link", form: str = ""
) -> SafeString:
    """Draw a button that posts by itself. ``where``: as for ``crumb``; ``form``: class of the form around it."""
    url = where if where.startswith("/") else reverse(where, args=args)
    return format_html(
        '<form{} method="post" action="{}">{}<button class="{}">{}</button></form>',
        format_html(' class="{}"', form) if form else "",
        url,
        FormNode().render(context),
        css,
        label,
    )


@register.simple_tag
def object_id(value: str) -> SafeString:
    """Draw an id as lists show it: small and grey; copy.js gives it a copy button."""
    return format_html('<code class="object-id">{}</code>', value)


@register.simple_tag
def unavailable(label: str, reason: str, css: str = "link") -> SafeString:
    """Draw an action that is not possible now: shown, not usable, with the reason on hover and focus."""
    return format_html(
        '<span class="unavailable" tabindex="0" role="link" aria-disabled="true" aria-label="{0}. {1}">'
        '<span class="{2}" aria-hidden="true">{0}</span><span class="tip" aria-hidden="true">{1}</span></span>',
        label,
        reason,
        css,
    )


@register.simple_block_tag(takes_context=True)
def operators(context: Context, content: str, label: str, css: str = "link") -> SafeString:
    """Draw what operators may do; a viewer sees ``label`` as an action that is not possible."""
    if context["user"].role == "viewer":
        return unavailable(label, "This needs the role of operator.", css)
    return mark_safe(content)  # nosec B703 # noqa: S308 (escaped where it was rendered)


@register.simple_tag
def widget(field: BoundField) -> SafeString:
    """Draw the field's control; a check box becomes a switch unless its widget has the class "plain"."""
    attrs: dict[str, Any] = {}
    if is_switch(field):
        attrs["role"] = "switch"
    return field.as_widget(attrs=attrs)


@register.filter
def is_switch(field: BoundField) -> bool:
    own = field.field.widget
    return (
        getattr(own, "input_type", "") == "checkbox"
        and not hasattr(own, "choices")
        and "plain" not in own.attrs.get("class", "")
    )


@register.filter
def is_choice_list(field: BoundField) -> bool:
    """Return whether the field is drawn as radio cards or a list of check boxes."""
    return field.widget_type in {"radioselect", "checkboxselectmultiple"}


@register.simple_tag(takes_context=True)
def repeat_block(context: Context, name: str) -> SafeString:
    """Draw a block of the page once more: the title stands in <title> and above the content."""
    block_context = context.render_context.get(BLOCK_CONTEXT_KEY)
    block = block_context.get_block(name) if block_context else None
    return block.render(context) if block else SafeString("")
