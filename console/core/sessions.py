"""Log-ins of the console: a row holds a hash of the cookie's key, so that who reads the database logs in as nobody."""

import base64
import hashlib
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.base_session import AbstractBaseSession
from django.contrib.sessions.models import Session
from django.utils import timezone


def stored(key: str) -> str:
    """Hash a cookie's key (SHA-256) into the 40 characters that Django's table has for it."""
    return base64.b85encode(hashlib.sha256(key.encode()).digest()).decode()


class SessionStore(DatabaseStore):
    """Django's store of sessions, whose rows are found by the hash alone; ``session_key`` stays the cookie's."""

    # By threads: Django's own asynchronous ways would go by the key itself.
    aload, aexists, acreate = SessionBase.aload, SessionBase.aexists, SessionBase.acreate
    asave, adelete = SessionBase.asave, SessionBase.adelete

    def _get_session_from_db(self) -> AbstractBaseSession | None:
        key, now = self.session_key, timezone.now()
        row = self.model.objects.filter(session_key=stored(key or ""), expire_date__gt=now).first()
        if row is None:
            self._session_key = None
        return row

    def exists(self, session_key: str) -> bool:
        return super().exists(stored(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        row = super().create_model_instance(data)
        row.session_key = stored(row.session_key)
        return row

    def delete(self, session_key: str | None = None) -> None:
        if (key := session_key or self.session_key) is not None:
            super().delete(stored(key))


def forget_expired() -> int:
    """Delete sessions whose time is over; return how many."""
    return Session.objects.filter(expire_date__lt=timezone.now()).delete()[0]
