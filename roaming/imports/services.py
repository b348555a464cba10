"""Import of client accounts from a CSV file: the upload, the preview, the decision, and the work in the background."""

from datetime import datetime, timedelta

from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from console.core.errors import Invalid
from console.core.sealed import seal, unseal
from console.exchange import encodings, reading
from console.models import Task, User
from console.work import tasks
from roaming.accounts import services as accounts
from roaming.imports import lines as import_lines
from roaming.imports.lines import Line
from roaming.imports.models import PURPOSE, AccountImport
from roaming.instances.models import Instance

KIND = "account.import"
KEEP = timedelta(days=1)


def import_create(
    *, instance: Instance, content: bytes | str, actor: User, encoding: str = "", language: str = ""
) -> AccountImport:
    """Keep an upload until its user decides. Raises ``Invalid`` when the content is no CSV of client accounts.

    ``encoding``: what the user chose; ``language``: the header Accept-Language of the user's browser.
    """
    sheet = import_lines.SHEET
    told = reading.read(content, sheet, encoding=encoding, language=language).told
    if isinstance(content, bytes):
        content, _ = encodings.decode(content, encoding=encoding, language=language)
    sealed = seal(PURPOSE, {"text": content, "told": told})
    return AccountImport.objects.create(instance=instance, owner=actor, content=sealed)


def import_told(draft: AccountImport) -> str:
    """Say how the file was read; "" for an upload of a release before."""
    return str(unseal(PURPOSE, draft.content).get("told", ""))


def import_lines_of(draft: AccountImport) -> list[Line]:
    """Return the file's lines with all that is wrong with the lines at this moment."""
    text = unseal(PURPOSE, draft.content).get("text", "")
    return import_lines.check(draft.instance, import_lines.read(text))


@transaction.atomic
def import_start(*, draft: AccountImport, only_good: bool, actor: User) -> Task:
    """Import in the background. Raises ``Invalid`` when a line is bad, unless ``only_good`` leaves bad lines out.

    Two clicks start one task: the upload is gone with the first.
    """
    lines = import_lines_of(draft)
    good = [line for line in lines if not line.problems]
    bad = len(lines) - len(good)
    if bad and not only_good:
        raise Invalid(
            f"{bad:,} of {len(lines):,} lines are wrong, so nothing was imported. Correct them first."
        )
    if not good:
        raise Invalid("No line of the file is good, so there is nothing to import.")
    if not AccountImport.objects.filter(pk=draft.pk).delete()[0]:
        raise Invalid("This file was imported already. Look at the list of tasks.")
    return tasks.start(
        kind=KIND,
        title=f"Import of {len(good):,} client accounts into {draft.instance.name}",
        items=map(_item, good),
        parameters={"instance": draft.instance_id},
        actor=actor,
    )


def _item(line: Line) -> tasks.Item:
    parameters = {
        "email": line.email,
        "username": line.username,
        "bandwidth_kbps": line.bandwidth_kbps,
        "static_ip": line.static_ip,
    }
    secret = {"password": line.password} if line.password else {}
    return tasks.Item(line.username, parameters, secret)


def prepare(step: tasks.Step) -> tuple[str, str]:
    """Return (the generated password or "", the hash); hashing is slow, hence before the transaction."""
    generated = "" if step.secret else accounts.new_password()
    return generated, accounts.hashed(step.secret.get("password") or generated)


def apply(step: tasks.Step) -> tasks.Outcome:
    generated, encoded = step.prepared
    instance = Instance(pk=step.task.parameters["instance"])
    accounts.account_create(instance=instance, **step.parameters, password_hash=encoded, actor=step.actor)
    if generated:
        return tasks.Outcome("Added with a generated password.", {"password": generated})
    return tasks.Outcome("Added with the given password.")


def url(task: Task) -> str:
    return reverse("roaming:accounts", args=[task.parameters["instance"]])


def imports_forget(now: datetime | None = None) -> int:
    """Let the worker remove uploads that nobody decided on for a day; return how many."""
    return AccountImport.objects.filter(created_at__lt=(now or timezone.now()) - KEEP).delete()[0]
