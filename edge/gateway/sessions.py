"""Identity of clients: session tokens, and user names with passwords that the console checked once.

A verified pair of name and password is remembered as a keyed hash for the life of the session it opened, in memory
only. Refusals are not remembered, except a lock-out for as long as it lasts.
"""

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

from edge.gateway.state import GatewayState
from edge.machine.api import ApiError, ApiRefused, ConsoleApi, ConsoleUnreachable
from edge.protocol.codes import Code
from edge.protocol.identity import (
    BasicCredentials,
    BearerToken,
    IdentityError,
    SessionIdentity,
    TokenExpired,
    TokenRefused,
    verify_token,
)
from edge.protocol.logon import Grant, Login, Token

logger = logging.getLogger(__name__)

LOGON_SECONDS = 9.0  # seconds; Envoy waits 10 s for the whole decision
MAX_REMEMBERED = 200_000


class LogonFailed(Exception):
    """Refusal of a log-on: the client gets ``status`` (407, 403, 503) with ``message``; ``retry_after`` in seconds."""

    def __init__(self, status: int, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.retry_after = status, code, message, retry_after


@dataclass(slots=True)
class _Live:
    """Session known here, with its newest token; ``keys`` are the hashes that lead to it. ``renew_at``: in ticks."""

    identity: SessionIdentity
    token: str = field(repr=False)
    renew_at: float
    keys: set[bytes] = field(default_factory=set, repr=False)


class Sessions:
    def __init__(self, api: ConsoleApi, state: GatewayState) -> None:
        self._api = api
        self._state = state
        self._secret = secrets.token_bytes(32)
        self._live: dict[str, _Live] = {}
        self._keys: dict[bytes, str] = {}
        self._logging_on: dict[bytes, asyncio.Task[SessionIdentity]] = {}
        self._locked: dict[bytes, tuple[float, LogonFailed]] = {}
        self._renewing: set[str] = set()

    def __len__(self) -> int:
        return len(self._live)

    async def identify(self, credentials: BasicCredentials | BearerToken, client: str) -> SessionIdentity:
        """Return the session behind credentials; ``client`` is the address that sent them. Raises LogonFailed."""
        if isinstance(credentials, BearerToken):
            return self._by_token(credentials.token)
        return await self._by_password(credentials, client)

    def latest(self, identity: SessionIdentity) -> SessionIdentity:
        """Return the session as last renewed."""
        live = self._live.get(identity.session)
        return live.identity if live and live.identity.expires_at > identity.expires_at else identity

    def forget(self, sessions: Iterable[str]) -> None:
        """Forget a session: the next connection with the same password asks the console again."""
        for session in sessions:
            live = self._live.pop(session, None)
            for key in live.keys if live else ():
                self._keys.pop(key, None)

    def forget_all(self) -> None:
        """Forget all sessions after a change of the signing keys: tokens of an old key count no more."""
        self.forget(list(self._live))

    async def renew(self, wanted: Iterable[str]) -> None:
        """Renew the wanted sessions that have passed half of their life; other sessions may run out."""
        now = self._state.clock()
        for session, live in list(self._live.items()):
            if live.identity.expires_at <= now:
                self.forget([session])
        ticks = self._state.ticks()
        due = [s for s in set(wanted) if s in self._live and self._live[s].renew_at <= ticks]
        await asyncio.gather(*(self._renew(self._live[session]) for session in due))

    # -- Tokens --

    def _by_token(self, token: str) -> SessionIdentity:
        key = self._hash("token", token)
        known = self._lookup(key)
        if known is not None:
            return known
        try:
            identity = self._verify(token)
        except IdentityError as error:
            raise LogonFailed(407, error.code, error.message) from None
        self._remember(key, identity, token)
        return identity

    def _verify(self, token: str) -> SessionIdentity:
        keys = self._state.snapshot.session_keys if self._state.snapshot else {}
        return verify_token(token, keys)

    # -- Passwords --

    async def _by_password(self, credentials: BasicCredentials, client: str) -> SessionIdentity:
        key = self._hash("password", credentials.username, credentials.instance, credentials.password)
        known = self._lookup(key)
        if known is not None:
            return known
        self._refuse_locked(key)
        # A page of 50 connections is one log-on. The log-on goes on when the client that began it goes away.
        task = self._logging_on.get(key)
        if task is None:
            task = self._logging_on[key] = asyncio.create_task(self._log_on(key, credentials, client))
            task.add_done_callback(lambda done: self._logged_on(key, done))
        return await asyncio.shield(task)

    def _logged_on(self, key: bytes, task: asyncio.Task[SessionIdentity]) -> None:
        self._logging_on.pop(key, None)
        if not task.cancelled():
            task.exception()  # callers that wait get the error; without a caller the error is nobody's

    async def _log_on(self, key: bytes, credentials: BasicCredentials, client: str) -> SessionIdentity:
        login = Login(
            instance=credentials.instance,
            username=credentials.username,
            password=credentials.password,
            public_address=client,
            kind="proxy",
        )
        try:
            token = (await self._api.call("login", login, Grant, timeout=LOGON_SECONDS)).token
            identity = self._verify(token)
        except ApiRefused as error:
            failed = _failure(error)
            if error.code == Code.LOCKED_OUT and error.retry_after:
                self._locked[key] = (self._state.ticks() + error.retry_after, failed)
            raise failed from None
        except (ApiError, TokenRefused) as error:
            logger.warning("A log-on failed, since the console did not do it: %s", error)
            if isinstance(error, ConsoleUnreachable) and error.code:
                raise LogonFailed(503, error.code, str(error), error.retry_after) from None
            message = "The console, which checks passwords, cannot be reached now. Try again later."
            raise LogonFailed(503, Code.CONSOLE_UNREACHABLE, message) from None
        logger.info("Session %s is opened for the account %s.", identity.session, identity.account)
        self._remember(key, identity, token)
        return identity

    def _refuse_locked(self, key: bytes) -> None:
        until, failed = self._locked.get(key, (0.0, None))
        now = self._state.ticks()
        if failed is not None and until > now:
            failed.retry_after = until - now
            raise failed
        if failed is not None:
            self._locked = {each: lock for each, lock in self._locked.items() if lock[0] > now}

    # -- Memory --

    def _hash(self, *parts: str) -> bytes:
        """Hash by a key that dies with the process; lengths keep ``a|bc`` and ``ab|c`` apart."""
        digest = hashlib.blake2b(key=self._secret, digest_size=32)
        for part in parts:
            data = part.encode("utf-8", "surrogateescape")
            digest.update(len(data).to_bytes(4))
            digest.update(data)
        return digest.digest()

    def _lookup(self, key: bytes) -> SessionIdentity | None:
        live = self._live.get(self._keys.get(key, ""))
        if live is None or live.identity.expires_at <= self._state.clock():
            return None
        return live.identity

    def _remember(self, key: bytes, identity: SessionIdentity, token: str) -> None:
        if len(self._keys) >= MAX_REMEMBERED:
            self.forget([next(iter(self._live))])
        live = self._live.get(identity.session)
        if live is None or live.identity.expires_at < identity.expires_at:
            keys = live.keys if live else set()
            half = self._state.ticks() + (identity.expires_at - self._state.clock()) / 2
            live = self._live[identity.session] = _Live(identity, token, half, keys)
        live.keys.add(key)
        self._keys[key] = identity.session

    async def _renew(self, live: _Live) -> None:
        session = live.identity.session
        if session in self._renewing:
            return
        self._renewing.add(session)
        try:
            token = (await self._api.call("session/renew", Token(live.token), Grant)).token
            identity = self._verify(token)
        except ApiRefused as error:
            logger.info("The console does not renew the session %s: %s", session, error)
            if error.code == Code.SESSION_ENDED:
                self.forget([session])
            else:
                live.renew_at = self._state.ticks() + 60
        except (ApiError, TokenRefused, TokenExpired) as error:
            logger.warning("The session %s could not be renewed yet: %s", session, error)
            live.renew_at = self._state.ticks() + 30
        else:
            if session in self._live:  # the session may have been cut off meanwhile
                for key in list(live.keys):
                    self._remember(key, identity, token)
        finally:
            self._renewing.discard(session)


def _failure(error: ApiRefused) -> LogonFailed:
    """Return the refusal that the client of a refused log-on sees."""
    if error.code == Code.LOGON_REFUSED or error.status == 400:
        return LogonFailed(407, Code.LOGON_REFUSED, error.message)
    if error.status in (403, 429):
        return LogonFailed(403, error.code, error.message, error.retry_after)
    # another 401: the console does not accept this gateway
    logger.error("The console refused this gateway's call: %s %s", error.code, error.message)
    return LogonFailed(503, Code.CONSOLE_REFUSED, "The console does not accept log-ons by this gateway now.")
