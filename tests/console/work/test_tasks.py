"""Background tasks: every item once, whatever happens to the worker."""

import csv
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from console import ports
from console.core import audit
from console.core.errors import Invalid
from console.models import AuditRow, Task, TaskItem, User
from console.work import tasks
from console.work.tasks import Step
from tests.console.factories import UserFactory
from tests.console.push_receivers import wait_for, worker
from tests.console.task_site import kind
from tests.queries import queries

ROOT = Path(__file__).parents[3]
SETTINGS = "tests.console.task_site.settings"
HTMX_DIALOG = {"HX-Request": "true", "HX-Target": "dialog"}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def known_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "task_kinds", ports.NamedPort(ports.task_kinds))
    kind.register()


def start(
    *names: str, actor: User | None = None, secret: dict[str, str] | None = None, **parameters: Any
) -> Task:
    items = [tasks.Item(name, parameters, secret or {}) for name in names]
    return tasks.start(kind=kind.NAME, title="Notes", items=items, actor=actor or audit.System("tests"))


def run(worker: str = "one", **kwargs: Any) -> None:
    while tasks.work(worker, **kwargs):
        pass


def noted() -> list[str]:
    return [row.after["item"] for row in AuditRow.objects.filter(verb=kind.VERB).order_by("id")]


def states(task: Task) -> list[str]:
    return list(task.items.order_by("position").values_list("state", flat=True))


def test_every_item_is_done_in_order_and_its_result_kept(operator: User) -> None:
    token = audit.source.set("192.0.2.7")
    task = start("a", "b", "c", actor=operator)
    audit.source.reset(token)
    run()
    task.refresh_from_db()
    assert (task.state, task.done, task.failed, task.percent) == ("done", 3, 0, 100)
    assert noted() == ["A", "B", "C"]
    assert list(task.items.values_list("message", flat=True)) == ["Noted."] * 3
    row = AuditRow.objects.filter(verb=kind.VERB).first()
    assert row
    assert (row.actor, row.source) == ("operator", "192.0.2.7"), "as if the one who started it had done it"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("refused", "This one is refused."),
        ("refused early", "This one is refused early."),
        ("broken", "An error of the console; its log says more."),
    ],
)
def test_a_failing_item_fails_alone_and_changes_nothing(name: str, sentence: str) -> None:
    task = start("a", name, "c")
    run()
    task.refresh_from_db()
    assert (task.state, task.done, task.failed) == ("done", 3, 1)
    assert states(task) == ["done", "failed", "done"]
    assert task.items.get(position=1).message == sentence
    assert noted() == ["A", "C"], "what a failed item did is undone"


def test_several_tasks_take_turns() -> None:
    slow, quick = start(*"abcdefgh"), start("z")
    while tasks.work("one", seconds=0):
        quick.refresh_from_db()
        slow.refresh_from_db()
        if quick.state == "done":
            break
    assert (quick.state, slow.state) == ("done", "running")


def test_two_workers_share_a_task_without_doing_anything_twice() -> None:
    task = start(*"abcdef")
    while tasks.work("one", seconds=0) | tasks.work("two", seconds=0):
        pass
    assert noted() == list("ABCDEF")
    task.refresh_from_db()
    assert task.done == 6


def test_a_living_workers_task_is_left_alone_and_a_dead_ones_taken_up() -> None:
    task = start("a")
    Task.objects.filter(pk=task.pk).update(state="running", worker="one", heartbeat_at=timezone.now())
    assert not tasks.work("two")
    Task.objects.update(heartbeat_at=timezone.now() - tasks.STALE - timedelta(seconds=1))
    assert tasks.work("two")
    assert noted() == ["A"]


def test_a_worker_that_lost_its_task_changes_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    task = start("a", "b")
    steps = []

    def slow(step: Step) -> str:
        steps.append(step.name)
        Task.objects.update(worker="two", heartbeat_at=timezone.now())
        return step.name

    ports.task_kinds.add(kind.NAME, ports.TaskKind(kind.apply, slow))
    tasks.work("one")
    task.refresh_from_db()
    assert (steps, noted(), task.done, task.worker) == (["a"], [], 0, "two")


def test_an_unknown_kind_fails_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    task = start("a")
    del ports.task_kinds[kind.NAME]
    run()
    task.refresh_from_db()
    assert task.state == "failed"
    assert task.message == "This console does not know tasks of the kind test.note."


def test_nothing_to_do_is_refused() -> None:
    with pytest.raises(Invalid, match="nothing was chosen"):
        start()


def test_secrets_are_encrypted_until_done_and_told_once(operator_client: Client, operator: User) -> None:
    task = start("a", "b", actor=operator, secret={"password": "drowssap"})
    assert "drowssap" not in str(list(TaskItem.objects.values()))
    take = reverse("tasks:secrets", args=[task.pk])
    assert operator_client.post(take).status_code == 409
    run()
    assert "password" not in str(list(TaskItem.objects.values()))
    answer = operator_client.post(take)
    rows = list(csv.reader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))
    assert rows[0] == ["No.", "Item", "Result", "Details", "Password"]
    assert rows[1] == ["1", "a", "Done", "Noted.", "password"]
    assert "no-store" in answer["Cache-Control"]
    assert operator_client.post(take).status_code == 409, "only once"
    assert not TaskItem.objects.exclude(secret="").exists()


def test_secrets_are_for_the_one_who_started_the_task(administrator_client: Client) -> None:
    task = start("a", actor=UserFactory(role="operator"), secret={"password": "drowssap"})
    run()
    answer = administrator_client.post(reverse("tasks:secrets", args=[task.pk]))
    assert answer.status_code == 403
    assert TaskItem.objects.exclude(secret="").exists()


def test_secrets_nobody_fetched_are_erased_and_old_tasks_forgotten(operator: User) -> None:
    task = start("a", actor=operator, secret={"password": "drowssap"})
    run()
    now = timezone.now()
    assert tasks.forget_old(now + tasks.KEEP_SECRETS - timedelta(minutes=1)) == 0
    assert tasks.forget_old(now + tasks.KEEP_SECRETS + timedelta(minutes=1)) == 1
    assert task.items.get().secret == ""
    tasks.forget_old(now + tasks.KEEP_TASKS + timedelta(minutes=1))
    assert not Task.objects.exists()


@pytest.mark.parametrize("headers", [{}, HTMX_DIALOG], ids=["plain", "htmx"])
def test_cancelling_leaves_the_rest_undone(operator_client: Client, headers: dict[str, Any]) -> None:
    task = start("a", "b", "c", secret={"password": "x"})
    tasks.work("one", seconds=0)
    answer = operator_client.post(reverse("tasks:cancel", args=[task.pk]), headers=headers)
    assert answer.status_code == (200 if headers else 302)
    run()
    task.refresh_from_db()
    assert (task.state, task.done) == ("cancelled", 1)
    assert states(task) == ["done", "cancelled", "cancelled"]
    assert noted() == ["A"]
    assert not task.items.filter(state="cancelled").exclude(secret="").exists()
    again = operator_client.post(reverse("tasks:cancel", args=[task.pk]))
    assert again.status_code == 409
    assert "is over already" in again.text


def test_the_pages_show_progress_and_results(viewer_client: Client) -> None:
    task = start("a", "refused", "=c")
    tasks.work("one", seconds=0)
    page = viewer_client.get(reverse("tasks:detail", args=[task.pk])).text
    assert 'value="1"' in page
    assert "data-live" in page
    run()
    page = viewer_client.get(reverse("tasks:detail", args=[task.pk])).text
    assert "3 of 3, 1 failed" in " ".join(page.split())
    assert "This one is refused." in page
    assert "data-live" not in page, "what is over asks no more"
    assert "Notes" in viewer_client.get(reverse("tasks:list")).text
    answer = viewer_client.get(reverse("tasks:results", args=[task.pk]))
    rows = list(csv.reader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))
    assert rows[2] == ["2", "refused", "Failed", "This one is refused."]
    assert rows[3][1] == "'=c", "no cell runs as a formula"


@pytest.mark.parametrize("number", [3, 60])
def test_a_tasks_page_costs_the_same_for_any_number_of_items(viewer_client: Client, number: int) -> None:
    task = start(*(f"item {n}" for n in range(number)))
    assert len(queries(viewer_client.get, reverse("tasks:detail", args=[task.pk]))) <= 8


def pretend_time_passed() -> None:
    """So that the dead worker is noticed now and not in half a minute."""
    Task.objects.filter(state="running").update(heartbeat_at=timezone.now() - tasks.STALE * 2)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.processes
def test_a_worker_killed_in_the_middle_loses_and_repeats_nothing(tmp_path: Path) -> None:
    task = start("a", "kills once", "c", "d", mark=str(tmp_path / "mark"))
    with worker(SETTINGS) as first:
        assert first.wait(40) == -9
    task.refresh_from_db()
    assert (task.state, task.done, noted()) == ("running", 1, ["A"])
    pretend_time_passed()
    with worker(SETTINGS):
        wait_for(lambda: Task.objects.get().state == "done")
    assert noted() == ["A", "KILLS ONCE", "C", "D"]
    assert states(task) == ["done"] * 4


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.processes
def test_an_item_that_always_kills_the_worker_is_given_up() -> None:
    task = start("a", "kills always", "c")
    for _ in range(tasks.MOST_ATTEMPTS):
        with worker(SETTINGS) as doomed:
            assert doomed.wait(40) == -9
        pretend_time_passed()
    with worker(SETTINGS):
        wait_for(lambda: Task.objects.get().state == "done")
    assert states(task) == ["done", "failed", "done"]
    assert "the worker ended 3 times" in task.items.get(position=1).message
    assert noted() == ["A", "C"]
