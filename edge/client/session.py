"""Session of a user: logged on, renewed at half its life, logged off."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import jwt

from edge.errors import EdgeError
from edge.machine.api import ApiError, ApiRefused, Caller
from edge.protocol import logon as wire
from edge.protocol.reports import Nothing


class SessionEnded(EdgeError):
    """End of the session by the console. The message is for the user."""


@dataclass(frozen=True)
class Grant:
    """Grant of a log-on. `gateways` are ``https://host:port``, `draining` those of them that are to be used last.

    Times are epoch seconds by the console's clock.
    """

    token: str
    username: str
    instance: str
    client_ip: str
    gateways: tuple[str, ...]
    draining: frozenset[str]
    ca: str
    issued_at: float
    expires_at: float


class Session:
    """Log-on with the console behind `api`, an unsigned caller."""

    def __init__(self, api: Caller, *, clock: Callable[[], float] = time.time) -> None:
        self._api = api
        self._clock = clock
        self._grant: Grant | None = None
        self._renew_at = 0.0

    @property
    def seconds_to_renewal(self) -> float:
        """Return the seconds until half of the session's life has passed, by this machine's clock."""
        return max(0.0, self._renew_at - self._clock())

    async def log_on(self, instance: str, username: str, password: str) -> Grant:
        """Log on. Raises `ApiRefused` (wrong pair, disabled, locked out) or `ConsoleUnreachable`."""
        login = wire.Login(instance=instance, username=username, password=password, kind="connect")
        return self._take(await self._api.call("login", login, wire.Grant, timeout=30.0))

    async def renew(self) -> Grant:
        """Exchange the token for a fresh one. Raises `SessionEnded`, `ApiRefused` or `ConsoleUnreachable`."""
        if self._grant is None:
            raise SessionEnded("There is no session.")
        try:
            token = wire.Token(self._grant.token)
            return self._take(await self._api.call("session/renew", token, wire.Grant))
        except ApiRefused as error:
            if error.status in (401, 403):
                raise SessionEnded(error.message) from error
            raise

    async def log_off(self) -> None:
        """Give the session back; without the console the session expires by itself."""
        if self._grant is not None:
            with contextlib.suppress(ApiError):
                await self._api.call("logout", wire.Token(self._grant.token), Nothing, timeout=2.0)
        self._grant = None

    def _take(self, answer: wire.Grant) -> Grant:
        # Read only the times here; the gateway judges the token.
        claims = jwt.decode(answer.token, options={"verify_signature": False})
        grant = Grant(
            token=answer.token,
            username=answer.session.username,
            instance=answer.session.instance,
            client_ip=answer.session.client_ip or "",
            gateways=tuple(gateway.proxy for gateway in answer.gateways),
            draining=frozenset(gateway.proxy for gateway in answer.gateways if gateway.draining),
            ca=answer.ca,
            issued_at=float(claims["iat"]),
            expires_at=float(claims["exp"]),
        )
        # Count from now, so that a clock that is wrong by hours does not matter.
        self._renew_at = self._clock() + (grant.expires_at - grant.issued_at) / 2
        self._grant = grant
        return grant
