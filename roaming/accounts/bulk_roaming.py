"""Roaming of many client accounts in the background, with a result for each."""

from django.db.models import QuerySet
from django.urls import reverse

from console.core import audit
from console.core.errors import NotFound
from console.models import Task
from console.work import tasks
from roaming.accounts.models import ClientAccount
from roaming.accounts.roaming import account_roam, check_instances
from roaming.instances.models import Instance

KIND = "account.roam"


def accounts_roam_start(
    *, accounts: QuerySet[ClientAccount], source: Instance, destination: Instance, actor: audit.Actor
) -> Task:
    """Copy each of ``accounts``, which belong to ``source``. Raises ``Invalid`` when none is chosen.

    A limit that no account could keep is raised at once; a limit of one account becomes the result of that account.
    """
    check_instances(source, destination)
    names = list(accounts.values_list("pk", "username"))
    what = f"{len(names):,} client accounts" if len(names) != 1 else names[0][1]
    return tasks.start(
        kind=KIND,
        title=f"Roaming of {what} from {source.name} to {destination.name}",
        items=(tasks.Item(username, {"account": pk}) for pk, username in names),
        parameters={"instance": source.pk, "destination": destination.pk},
        actor=actor,
    )


def apply(step: tasks.Step) -> tasks.Outcome:
    account = ClientAccount.objects.filter(pk=step.parameters["account"]).first()
    if account is None:
        raise NotFound(f"{step.name} was removed meanwhile.", code="ClientUser.NameInvalid")
    destination = Instance(pk=step.task.parameters["destination"])
    copy = account_roam(account=account, destination=destination, actor=step.actor)
    leased = (
        f" The static client IP {account.static_ip} gave way to a leased one." if account.static_ip else ""
    )
    return tasks.Outcome(f"Copied. Logs on there with the instance ID {copy.instance_id}.{leased}")


def url(task: Task) -> str:
    return reverse("roaming:accounts", args=[task.parameters["instance"]])
