"""Names of client accounts as people write them, ``user name@instance id`` or an id, and search by a part of one."""

from collections.abc import Iterable

from django.db.models import Q

from console.core.folding import fold
from roaming.models import ClientAccount


def named(texts: Iterable[str]) -> dict[str, ClientAccount]:
    """Map what was written, in lower case, to the account; a text that names none is left out. Run one query."""
    written = {text.lower().replace("\0", "") for text in texts}
    names = {text.rpartition("@")[0] for text in written if "@" in text}
    instances = {text.rpartition("@")[2] for text in written if "@" in text}
    accounts = ClientAccount.objects.filter(username_key__in=names, instance__in=instances) | (
        ClientAccount.objects.filter(pk__in=[text for text in written if "@" not in text])
    )
    found: dict[str, ClientAccount] = {}
    for account in accounts.select_related("instance__region"):
        found[account.pk] = account
        found[f"{account.username_key}@{account.instance_id}"] = account
    return found


def find(text: str, most: int, without: Iterable[str] = ()) -> list[tuple[str, str]]:
    """Find (id, ``user name@instance id``) of the first accounts that ``text`` names, or whose name or e-mail holds it.

    An empty text finds nothing: nobody chooses the first of 100,000.
    """
    text = fold(" ".join(text.replace("\0", " ")[:200].split()))
    if not text:
        return []
    wanted = Q(username_key__contains=text) | Q(email_key__contains=text) | Q(pk=text)
    name, at, instance = text.rpartition("@")
    if at:
        wanted |= Q(username_key=name, instance__id__startswith=instance)
    rows = ClientAccount.objects.filter(wanted).exclude(pk__in=list(without)).order_by("username_key", "pk")
    return [written(*row) for row in rows.values_list("pk", "username", "instance_id")[:most]]


def written(pk: str, username: str, instance: str) -> tuple[str, str]:
    return pk, f"{username}@{instance}"
