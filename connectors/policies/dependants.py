"""Dependants of client accounts: groups and policies that name an account, and lose it when it is deleted."""

from django.db.models import Exists, Model, OuterRef, QuerySet
from django.urls import reverse

from connectors.policies.models.groups import UserGroup
from connectors.policies.models.policies import Policy
from roaming.accounts.dependants import Dependant
from roaming.models import ClientAccount


def naming(accounts: QuerySet[ClientAccount]) -> list[Dependant]:
    """Return the groups and policies that name any of ``accounts`` one by one. Run two queries."""
    groups = _naming(
        UserGroup.objects.order_by("name__fold"), UserGroup.accounts.through, "usergroup", accounts
    )
    policies = _naming(Policy.objects.order_by("name__fold"), Policy.accounts.through, "policy", accounts)
    return [
        *(Dependant("user group", row.name, _url("connectors:groups", row.name)) for row in groups),
        *(
            Dependant("forwarding policy", row.name, _url("connectors:policies", row.name))
            for row in policies
        ),
    ]


def _naming(rows: QuerySet, through: type[Model], column: str, accounts: QuerySet[ClientAccount]) -> QuerySet:
    named = through._default_manager.filter(clientaccount__in=accounts.order_by().values("pk"))
    return rows.filter(Exists(named.filter(**{column: OuterRef("pk")})))


def _url(view: str, name: str) -> str:
    return reverse(view, query={"q": name})
