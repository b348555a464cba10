"""Reads of users, their log-ins and the history of log-ins."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from console.core.log_ins import cleaned
from console.core.models.access import User
from console.core.models.audit import AuditRow

IN, OUT, FAILED, LOCKED, ENDED = "in", "out", "failed", "locked", "ended"
VERBS = {
    IN: "user.log_in",
    OUT: "user.log_out",
    FAILED: "user.log_in_failed",
    LOCKED: "user.lock_out",
    ENDED: "user.sign_out",
}
WORDS = {
    IN: ("success", "Logged in"),
    OUT: ("muted", "Logged out"),
    FAILED: ("error", "Failed"),
    LOCKED: ("error", "Locked out"),
    ENDED: ("warning", "Signed out"),
}
OUTCOMES = {verb: outcome for outcome, verb in VERBS.items()}
# Outcomes of attempts, which one row counts for all names that were tried from one address in one minute.
ATTEMPTS = (FAILED, LOCKED)


def users() -> QuerySet[User]:
    """Return every user with the number of log-ins that hold now, ``live``, and what else users log in by."""
    return User.objects.select_related("second_factor", "open_identity").annotate(
        live=Count("log_ins", filter=Q(log_ins__expire_date__gt=timezone.now()))
    )


def with_state(rows: QuerySet[User], state: str) -> QuerySet[User]:
    """Narrow users to those who are enabled, disabled, or invited and without a password yet."""
    if state == "disabled":
        return rows.filter(is_active=False)
    without = Q(password__startswith=UNUSABLE_PASSWORD_PREFIX, open_identity=None)
    active = rows.filter(is_active=True)
    return active.filter(without) if state == "invited" else active.exclude(without)


def history() -> QuerySet[AuditRow]:
    """Return all log-ins, log-outs, failures and lock-outs of users of the console, the newest first."""
    return AuditRow.objects.filter(verb__in=VERBS.values(), target_kind="user")


def history_of(user: User) -> QuerySet[AuditRow]:
    """Return the log-ins of one user. A row of failures counts for each of the names that it has."""
    name = cleaned(user.username)
    named = Q(target_name=name) | Q(target_name__startswith=f"{name}, ")
    named |= Q(target_name__endswith=f", {name}") | Q(target_name__contains=f", {name}, ")
    attempts = Q(verb__in=[VERBS[outcome] for outcome in ATTEMPTS]) & named
    own = Q(verb__in=[VERBS[outcome] for outcome in (IN, OUT, ENDED)], target=str(user.pk))
    return history().filter(own | attempts)


def told(rows: Iterable[Any], whose: User | None) -> None:
    """Give rows of the history their words: ``outcome`` (badge, word), ``who`` and ``details``. One query.

    A name that was tried and is nobody's may be a password that was typed into the wrong field: such names are counted.
    ``whose``: the user to whose history alone the rows belong.
    """
    rows = list(rows)
    tried = {str(name) for row in rows for name in _names(row)}
    known = (
        set()
        if whose or not tried
        else set(User.objects.filter(username__in=tried).values_list("username", flat=True))
    )
    for row in rows:
        outcome = OUTCOMES[row.verb]
        row.outcome = WORDS[outcome]
        if outcome in ATTEMPTS:
            row.who = whose.username if whose else _who(_names(row), known)
            row.details = _attempts(row, outcome)
        else:
            row.who = row.target_name
            row.details = f"By {row.actor}" if outcome == ENDED and row.actor != row.target_name else ""


def _names(row: AuditRow) -> list[Any]:
    names = row.after.get("user_names") if isinstance(row.after, dict) else None
    return names if isinstance(names, list) else []


def _who(names: list[Any], known: set[str]) -> str:
    users = [str(name) for name in names if str(name) in known]
    others = len(names) - len(users)
    if others:
        users.append(f"{others} name{'s' if others > 1 else ''} that nobody has")
    return ", ".join(users)


def _attempts(row: AuditRow, outcome: str) -> str:
    key = "failures" if outcome == FAILED else "locked_out"
    number = row.after.get(key, 1) if isinstance(row.after, dict) else 1
    return f"{number} time{'s' if number != 1 else ''} within a minute" if outcome == FAILED else ""
