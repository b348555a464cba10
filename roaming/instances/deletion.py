"""Deletion of an instance: at once when the instance is small, else cut off at once and removed in the background.

A hundred thousand accounts take minutes to remove, too long for a request and for the locks of a transaction. So the
click ends every session and lets nobody in any more, and a task removes accounts and history in portions.
"""

from django.db import transaction
from django.urls import reverse

from console.core import audit
from console.core.errors import Conflict, NotFound
from console.machines import config
from console.models import Task
from console.work import tasks
from roaming.accounts.models import ClientAccount
from roaming.instances import services as instances
from roaming.instances.models import Instance
from roaming.sessions import services as sessions
from roaming.sessions.models import UserSession

KIND = "instance.delete"
# More accounts, or more past log-ons, than these are left to the worker.
MOST_ACCOUNTS, MOST_SESSIONS = 1000, 10_000
# So many rows are removed in one transaction: well under a second, so that nobody waits long behind its locks.
ACCOUNTS, SESSIONS = 500, 5000


@transaction.atomic
def instance_delete(*, instance: Instance, with_accounts: bool = False, actor: audit.Actor) -> Task | None:
    """Remove an instance, with its client accounts only if ``with_accounts`` says so. Else raises ``Conflict``.

    A large instance is cut off now and removed by the task that is returned. If that task was cancelled, or failed in
    part, deleting again goes on with what is left.
    """
    instance = instances.lock(instance.pk, deleting=True)
    if instance.is_deleting and _task(instance) is not None:
        raise Conflict(f"{instance.name} is being deleted already; its task says how far it is.")
    accounts = instance.accounts.count()
    if accounts and not with_accounts:
        raise Conflict(
            f"{instance.name} has client accounts ({accounts:,}). "
            "Remove them first, or choose to remove them with it."
        )
    past = instance.sessions.count()
    audit.record(
        actor=actor,
        verb="instance.delete",
        target=instance,
        before={"name": instance.name, "region": instance.region_id, "accounts": accounts},
    )
    config.publish(cut=f"instance.delete {instance.name}", target=instance.pk)
    if accounts <= MOST_ACCOUNTS and past <= MOST_SESSIONS:
        instance.delete()
        return None
    sessions.end(UserSession.objects.filter(instance=instance), UserSession.End.INSTANCE_INACTIVE)
    Instance.objects.filter(pk=instance.pk).update(status=Instance.Status.DELETING)
    return tasks.start(
        kind=KIND,
        title=f"Deletion of {instance.name} with {accounts:,} client accounts",
        items=_items(instance, accounts, past),
        parameters={"instance": instance.pk},
        actor=actor,
    )


def _task(instance: Instance) -> Task | None:
    """Return the task that deletes the instance, while there is one."""
    active = Task.objects.filter(kind=KIND, state__in=Task.ACTIVE)
    return active.filter(parameters__instance=instance.pk).first()


def _items(instance: Instance, accounts: int, past: int) -> list[tasks.Item]:
    """Cut the deletion into portions; each takes what is there then, so that the portions done before do not matter."""
    portions = [
        tasks.Item(f"Client accounts {first + 1:,}–{min(first + ACCOUNTS, accounts):,}", {"what": "accounts"})
        for first in range(0, accounts, ACCOUNTS)
    ]
    portions += [
        tasks.Item(f"Past sessions {first + 1:,}–{min(first + SESSIONS, past):,}", {"what": "sessions"})
        for first in range(0, past, SESSIONS)
    ]
    return [*portions, tasks.Item(f"Instance {instance.pk}", {"what": "instance"})]


def apply(step: tasks.Step) -> tasks.Outcome:
    found = Instance.objects.filter(pk=step.task.parameters["instance"], status=Instance.Status.DELETING)
    instance = found.first()
    if instance is None:
        raise NotFound("The instance is gone already.", code="SAG.InstanceNoFound")
    if step.parameters["what"] == "accounts":
        gone = _remove_accounts(instance)
        return tasks.Outcome(f"{gone:,} removed.")
    if step.parameters["what"] == "sessions":
        past = instance.sessions.order_by("pk").values_list("pk", flat=True)[:SESSIONS]
        gone = UserSession.objects.filter(pk__in=list(past)).delete()[0]
        return tasks.Outcome(f"{gone:,} removed.")
    if left := instance.accounts.count():
        raise Conflict(f"{left:,} client accounts are left. Delete the instance again to remove them.")
    instances.lock(instance.pk, deleting=True).delete()
    config.publish()
    return tasks.Outcome("The instance was deleted.")


def _remove_accounts(instance: Instance) -> int:
    """Remove a portion of the accounts, locked in the order of their keys, as in all services; return how many."""
    rows = instance.accounts.order_by("pk").select_for_update().values_list("pk", flat=True)[:ACCOUNTS]
    keys = list(rows)
    ClientAccount.objects.filter(pk__in=keys).delete()
    return len(keys)


def url(task: Task) -> str:
    return reverse("roaming:instances")
