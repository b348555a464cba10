"""Log-ins of the console: a row holds a hash of the cookie's key, so that who reads the database logs in as nobody.

Rows know whose they are, so that a user sees the own log-ins and ends one of them.
"""

import base64
import hashlib
import secrets
from datetime import datetime
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db.models import QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone

from console.core import audit
from console.core.address import client_address
from console.core.models.access import LogIn, User
from console.core.models.audit import AuditRow

# Name in a session under which the session knows how it began.
BEGAN = "log_in"


def stored(key: str) -> str:
    """Hash a cookie's key (SHA-256) into the 40 characters that the table has for it."""
    return base64.b85encode(hashlib.sha256(key.encode()).digest()).decode()


class SessionStore(DatabaseStore):
    """Django's store of sessions, whose rows are found by the hash alone; ``session_key`` stays the cookie's."""

    # Number of the newest audit row when the session was read: pages go by it, and have no query more for that.
    newest_change: int | None = None
    # By threads: Django's own asynchronous ways would go by the key itself.
    aload, aexists, acreate = SessionBase.aload, SessionBase.aexists, SessionBase.acreate
    asave, adelete = SessionBase.asave, SessionBase.adelete

    @classmethod
    def get_model_class(cls) -> type[LogIn]:
        return LogIn

    def _get_session_from_db(self) -> AbstractBaseSession | None:
        key, now = self.session_key, timezone.now()
        newest = AuditRow.objects.order_by("-id").values("id")[:1]
        mine = self.model.objects.filter(session_key=stored(key or ""), expire_date__gt=now)
        row = mine.annotate(newest_change=Subquery(newest)).first()
        if row is None:
            self._session_key = None
        else:
            self.newest_change = row.newest_change or 0
        return row

    def exists(self, session_key: str) -> bool:
        return super().exists(stored(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        row: Any = super().create_model_instance(data)
        row.session_key = stored(row.session_key)
        if (began := data.get(BEGAN)) and SESSION_KEY in data:
            row.user_id, row.public_id = data[SESSION_KEY], began["id"]
            row.address, row.agent = began["address"], began["agent"]
            row.began_at = datetime.fromisoformat(began["at"])
        return row

    def delete(self, session_key: str | None = None) -> None:
        if (key := session_key or self.session_key) is not None:
            super().delete(stored(key))


def note(request: HttpRequest) -> None:
    """Have the session of a user who just logged in know when, from where and by which browser that was."""
    agent = audit.storable(request.headers.get("user-agent", ""))[:200]
    request.session[BEGAN] = {
        "id": secrets.token_hex(8),
        "address": client_address(request)[:60],
        "agent": "".join(each if each.isprintable() else "\ufffd" for each in agent),
        "at": timezone.now().isoformat(),
    }


def public_id(request: HttpRequest) -> str:
    """Return the name of the request's own log-in; "" for one from before such names."""
    return str(request.session.get(BEGAN, {}).get("id", ""))


def live(user: User) -> QuerySet[LogIn]:
    """Return a user's log-ins that hold now, the newest first."""
    return LogIn.objects.filter(user=user, expire_date__gt=timezone.now()).order_by("-began_at")


def forget_expired() -> int:
    """Delete sessions whose time is over; return how many."""
    return LogIn.objects.filter(expire_date__lt=timezone.now()).delete()[0]
