"""Tables of long work in the background: tasks and their items, each of which is done exactly once."""

from django.db import models
from django.utils import timezone

from console.core.constraints import one_of
from console.core.ids import new_id
from console.core.models.access import User
from console.core.sealed import SealedField

# Purpose for which secrets of items are sealed.
PURPOSE = "tasks"


def new_task_id() -> str:
    return new_id("task")


class Task(models.Model):
    """Work on many items. ``done`` counts the items dealt with, ``failed`` those among them that failed.

    ``based_on``: the newest audit row when the page was drawn that started the task; what was changed since is refused,
    item by item. ``worker`` names the process that has the task in hand, empty between two turns; a worker that is
    named but shows no heartbeat has died.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "Waiting"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    ACTIVE = (State.QUEUED, State.RUNNING)

    id = models.CharField(primary_key=True, max_length=40, default=new_task_id, editable=False)
    kind = models.CharField(max_length=40)
    title = models.CharField(max_length=200)
    actor = models.CharField("started by", max_length=150)
    owner = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="tasks")
    source = models.CharField(max_length=60, blank=True, help_text="The address of who started it.")
    parameters = models.JSONField(default=dict)
    based_on = models.PositiveBigIntegerField(null=True, blank=True, editable=False)
    state = models.CharField(max_length=20, choices=State.choices, default=State.QUEUED)
    message = models.CharField(max_length=300, blank=True)
    total = models.PositiveIntegerField()
    done = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=40, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            one_of("state", ["queued", "running", "done", "failed", "cancelled"], name="task_state_known")
        ]
        indexes = [
            models.Index(
                fields=["heartbeat_at"],
                condition=models.Q(state__in=["queued", "running"]),
                name="task_active",
            ),
            models.Index(fields=["-created_at"], name="task_age"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_active(self) -> bool:
        return self.state in self.ACTIVE

    @property
    def succeeded(self) -> int:
        return self.done - self.failed

    @property
    def percent(self) -> int:
        return self.done * 100 // self.total if self.total else 100


class TaskItem(models.Model):
    """An item of a task and its result.

    ``secret`` is encrypted: values that the item needs until it is done and, afterwards, those that only the one who
    started the task is told, once.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Not done"

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="items")
    position = models.PositiveIntegerField()
    name = models.CharField(max_length=200)
    parameters = models.JSONField(default=dict)
    secret = SealedField(purpose=PURPOSE, blank=True, editable=False)
    state = models.CharField(max_length=20, choices=State.choices, default=State.WAITING)
    message = models.CharField(max_length=500, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["task", "position"]
        constraints = [
            models.UniqueConstraint(fields=["task", "position"], name="task_item_place_once"),
            one_of("state", ["waiting", "done", "failed", "cancelled"], name="task_item_state_known"),
        ]
        indexes = [
            models.Index(
                fields=["task", "position"], condition=models.Q(state="waiting"), name="task_item_waiting"
            ),
            models.Index(fields=["task"], condition=~models.Q(secret=""), name="task_item_secret"),
        ]

    def __str__(self) -> str:
        return self.name
