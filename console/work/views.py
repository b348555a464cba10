"""Pages of background tasks: what is going on, how far it is, and the result of every item."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from console import ports
from console.core.access import actor, acts, shows
from console.exchange import writing
from console.kit import tables, web
from console.work import tasks
from console.work.models import Task, TaskItem

TABLE = tables.Table(
    columns=(
        tables.Column("title", "Task", ("title",)),
        tables.Column("state", "State", ("state",)),
        tables.Column("progress", "Progress", width="m"),
        tables.Column("actor", "Started by", ("actor",)),
        tables.Column("created", "Started", ("created_at",)),
        tables.Column("finished", "Finished", ("finished_at",)),
        tables.Column("actions", "Actions"),
    ),
    row_template="console/tasks/_row.html",
    search=("title", "id", "actor"),
    search_label="Search by task or person",
    filters=(tables.Filter("state", "State", Task.State.choices),),
    default_sort="-created",
    label="Tasks",
    empty="There were no tasks yet",
    empty_hint="Imports and actions on many accounts go on in the background and are listed here.",
    live_seconds=3,
    csv=(
        ("task", "title"),
        ("id", "pk"),
        ("state", "get_state_display"),
        ("done", "done"),
        ("failed", "failed"),
        ("total", "total"),
        ("started_by", "actor"),
        ("started", "created_at"),
        ("finished", "finished_at"),
    ),
)
ITEMS = tables.Table(
    columns=(
        tables.Column("position", "No.", ("position",), width="xs", align="end"),
        tables.Column("name", "Item", ("name",)),
        tables.Column("state", "Result", ("state",)),
        tables.Column("message", "Details"),
    ),
    row_template="console/tasks/_item_row.html",
    search=("name", "message"),
    search_label="Search by item or detail",
    filters=(tables.Filter("state", "Result", TaskItem.State.choices),),
    default_sort="position",
    id="items",
    label="Results",
    csv=(
        ("No.", lambda item: item.position + 1),
        ("Item", "name"),
        ("Result", "get_state_display"),
        ("Details", "message"),
    ),
)


def task_or_404(task_id: str) -> Task:
    return get_object_or_404(Task, pk=task_id)


@shows("viewer")
def task_list(request: HttpRequest) -> HttpResponseBase:
    return tables.render(request, "console/tasks/list.html", TABLE.page(request, Task.objects.all()))


@shows("viewer")
def task_detail(request: HttpRequest, task_id: str) -> HttpResponseBase:
    """Show the results in their table, which is live as long as the task runs."""
    task = task_or_404(task_id)
    page = replace(ITEMS, live_seconds=3 if task.is_active else 0).page(request, task.items.all())
    return tables.render(request, "console/tasks/detail.html", page, _context(request, task), of=task)


@shows("viewer")
def task_progress(request: HttpRequest, task_id: str) -> HttpResponse:
    """Show the bar alone, for any page that holds it; once the task is over the bar asks no more."""
    return render(request, "console/tasks/_progress.html", {"task": task_or_404(task_id)})


@shows("viewer")
def task_secrets_offer(request: HttpRequest, task_id: str) -> HttpResponse:
    return render(request, "console/tasks/_secrets.html", _context(request, task_or_404(task_id)))


def _context(request: HttpRequest, task: Task) -> dict[str, Any]:
    kind = ports.task_kinds.get(task.kind)
    secrets = (
        not task.is_active and task.owner_id == request.user.pk and task.items.exclude(secret="").exists()
    )
    return {"task": task, "back": kind.url(task) if kind and kind.url else "", "secrets": secrets}


@shows("viewer")
def task_results(request: HttpRequest, task_id: str) -> HttpResponseBase:
    """Send every item and its result as CSV."""
    task = task_or_404(task_id)
    return ITEMS.file(request, task.items.all(), of=task)


def _rows(task: Task) -> Iterator[tuple[Any, ...]]:
    for item in task.items.order_by("position").iterator(chunk_size=2000):
        yield item.position + 1, item.name, item.get_state_display(), item.message


@acts("operator")
def task_secrets(request: HttpRequest, task_id: str) -> StreamingHttpResponse:
    """Send the results with secrets told once, such as generated passwords, which this answer erases."""
    task = task_or_404(task_id)
    secrets = tasks.take_secrets(task=task, user=actor(request))
    names = sorted({name for values in secrets.values() for name in values})
    # Rows read now: the answer must hold all secrets that were just erased.
    rows = [
        (*row, *(secrets.get(row[0] - 1, {}).get(name, "") for name in names)) for row in list(_rows(task))
    ]
    header = (*(head for head, _ in ITEMS.csv), *(name.capitalize() for name in names))
    return writing.plain(request, f"{task.pk}.csv", header, rows)


@shows("operator")
def task_confirm_cancel(request: HttpRequest, task_id: str) -> HttpResponse:
    task = task_or_404(task_id)
    return web.ask(
        request,
        "Cancel",
        task,
        action=reverse("tasks:cancel", args=[task.pk]),
        back=reverse("tasks:detail", args=[task.pk]),
        template="console/tasks/confirm_cancel.html",
        task=task,
    )


@acts("operator")
def task_cancel(request: HttpRequest, task_id: str) -> HttpResponse:
    task = tasks.cancel(task=task_or_404(task_id), actor=actor(request))
    message = f"“{task.title}” was cancelled: {task.done:,} of {task.total:,} were done."
    return web.done(request, reverse("tasks:detail", args=[task.pk]), message)
