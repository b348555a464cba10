"""Calls to the console's edge API, signed with the key that the machine made at its enrollment.

The errors::

    ApiError
      ApiRefused          the console understood and said no (4xx): trying the same again is of no use
      ConsoleUnreachable  no answer, or one that cannot be used (5xx, not the message it should be): try again later
"""

from __future__ import annotations

import base64
import hashlib
import logging
import time
import uuid
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, TypeVar

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from edge.errors import EdgeError
from edge.home import Home, NotEnrolled
from edge.outbound.http import client, failure, refused_by_proxy
from edge.protocol.codes import Code
from edge.protocol.marks import CLAIM, Marks
from edge.protocol.message import Message, MessageInvalid

logger = logging.getLogger(__name__)

PREFIX = "/edge/v1/"
TOKEN_SECONDS = 60
SIGNING_KEY = {"server": "outer", "gateway": "tunnel"}
REMEDY = (
    "If the console's certificate comes from a CA of your own, run the console's Deploy command again, or put the CA "
    "into this system's trust store."
)
M = TypeVar("M", bound=Message)


class ApiError(EdgeError):
    """Base of what a call may raise. `retry_after`: after how many seconds the console wants it again, or None."""

    retry_after: float | None = None


class ApiRefused(ApiError):
    """Refusal by the console. `code` is CamelCase, `message` a sentence, `retry_after` seconds or None."""

    def __init__(self, status: int, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


class ConsoleUnreachable(ApiError):
    """The console cannot be reached now; the call may be repeated later, after `retry_after` seconds if it said so.

    `code`: why, where the console itself says that it cannot do the call now; else empty.
    """

    def __init__(self, message: str, retry_after: float | None = None, code: str = "") -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.code = code


class Signer:
    """Maker of one machine's ``Authorization`` header. Keeps the distance of the machine's clock to the console's."""

    def __init__(
        self, home: Home, *, clock: Callable[[], float] = time.time, marks: Marks | None = None
    ) -> None:
        identity = home.identity
        file = home.path / "pki" / f"{SIGNING_KEY[identity.kind]}.key"
        try:
            key = load_pem_private_key(file.read_bytes(), password=None)
        except (OSError, ValueError) as error:
            raise NotEnrolled(f"The key {file} cannot be read: {error}.") from error
        if not isinstance(key, EllipticCurvePrivateKey):
            raise NotEnrolled(f"The key {file} is not an elliptic-curve key; enroll this machine again.")
        self._key = key
        self._id = identity.id
        self._clock = clock
        self._offset = 0.0
        self._marks = {CLAIM: marks.encode()} if marks is not None else {}

    def now(self) -> float:
        """Return the console's time (epoch s), by which all go where the clocks differ much."""
        return self._clock() + self._offset

    def authorization(self, path: str, body: bytes) -> str:
        """Return the header's value for a POST of `body` to `path`."""
        now = int(self.now())
        claims = {
            "iat": now,
            "exp": now + TOKEN_SECONDS,
            "jti": uuid.uuid4().hex,
            "htm": "POST",
            "htu": path,
            "bsh": base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode(),
            **self._marks,
        }
        return "Bearer " + jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": self._id})

    def follow_clock_of(self, response: httpx.Response) -> bool:
        """Take over the console's time from a ``ClockSkew`` answer; False when the answer names no time."""
        try:
            there = parsedate_to_datetime(response.headers["date"]).timestamp()
        except (KeyError, ValueError):
            return False
        self._offset = there - self._clock()
        logger.warning(
            "This machine's clock is %+.0f s from the console's; correcting for it.", -self._offset
        )
        return True


class Caller:
    """Caller of a console's edge API by JSON, unsigned unless given a `Signer`.

    `ca`: PEM of the CA of the console's certificate, trusted besides the system's store. `remedy`: the sentence for a
    certificate of an issuer whom nobody knows. Raises `OutboundError` when the environment names no usable way out.
    """

    def __init__(
        self,
        console: str,
        *,
        signer: Signer | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        timeout: float = 10.0,
        ca: str = "",
        remedy: str = REMEDY,
    ) -> None:
        self._signer = signer
        self._timeout = timeout
        self._remedy = remedy
        base = console.rstrip("/")
        self._client = client(base, ca=ca, transport=transport, timeout=timeout, base_url=base)

    async def __aenter__(self) -> Caller:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def now(self) -> float:
        """Return the time for this machine's records: see `Signer.now`; without a signer the machine's own."""
        return self._signer.now() if self._signer is not None else time.time()

    async def close(self) -> None:
        """Close the connections to the console."""
        await self._client.aclose()

    async def call(
        self,
        path: str,
        message: Message,
        answer: type[M],
        *,
        timeout: float | None = None,
        last: bool = False,
    ) -> M:
        """Post `message` to ``/edge/v1/<path>`` and read the answer. Raise as `document` does.

        An answer of another kind than `answer` counts as none: `ConsoleUnreachable`.
        """
        document = await self.document(path, message, timeout=timeout, last=last)
        try:
            return answer.decode(document)
        except MessageInvalid as error:
            raise ConsoleUnreachable(f"The console's answer to {path} cannot be used: {error}") from None

    async def document(
        self, path: str, message: Message, *, timeout: float | None = None, last: bool = False
    ) -> dict[str, Any]:
        """Post `message` and return the answer as it came, for configurations, which go to the disk like that.

        Raises `ApiRefused` for a 4xx answer and `ConsoleUnreachable` for everything that may pass by itself.
        A 401 ``ClockSkew`` is answered by correcting the offset and trying once more. `last`: there is no other call
        soon, so that the connection need not be held; thousands that do nothing would fill the console's seats.
        """
        body = message.json()
        response = await self._post(path, body, timeout, last)
        if response.status_code == 401 and self._signer is not None:
            skewed = _refusal(response).code == Code.CLOCK_SKEW and self._signer.follow_clock_of(response)
            if skewed:
                response = await self._post(path, body, timeout, last)
        return _answer(response)

    async def _post(self, path: str, body: bytes, timeout: float | None, last: bool) -> httpx.Response:
        """Sign exactly the bytes that go out, and post them."""
        target = PREFIX + path
        headers = {"Content-Type": "application/json"} | ({"Connection": "close"} if last else {})
        if self._signer is not None:
            headers["Authorization"] = self._signer.authorization(target, body)
        lead = f"The console at {self._client.base_url} cannot be reached"
        try:
            response = await self._client.post(
                target, content=body, headers=headers, timeout=timeout or self._timeout
            )
        except httpx.InvalidURL as error:
            raise ConsoleUnreachable(f"The console's address is not usable: {error}.") from error
        except httpx.HTTPError as error:
            told = await failure(error, self._client.base_url, lead=lead, remedy=self._remedy)
            raise ConsoleUnreachable(told) from error
        if refusal := refused_by_proxy(response):
            raise ConsoleUnreachable(f"{lead}: {refusal}")
        return response


class ConsoleApi(Caller):
    """Signed calls of an enrolled machine. Raises `NotEnrolled` when `home` holds no identity or key.

    `marks`: those of the agent that calls. `cloned`: called with the console's sentence when it refuses the machine as
    a copy of another one.
    """

    def __init__(
        self,
        home: Home,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        timeout: float = 10.0,
        clock: Callable[[], float] = time.time,
        marks: Marks | None = None,
        cloned: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        super().__init__(
            home.identity.console,
            signer=Signer(home, clock=clock, marks=marks),
            transport=transport,
            timeout=timeout,
            ca=home.console_ca,
        )
        self._cloned = cloned

    async def document(
        self, path: str, message: Message, *, timeout: float | None = None, last: bool = False
    ) -> dict[str, Any]:
        try:
            return await super().document(path, message, timeout=timeout, last=last)
        except ApiRefused as error:
            if error.code == Code.MACHINE_CLONED:
                self._cloned(error.message)
            raise


def pause_of(interval: object, usual: float) -> float:
    """Return the seconds that an answer's `interval` asks for; `usual` for one that is none, or over an hour."""
    if isinstance(interval, int | float) and 0 <= interval <= 3600:
        return float(interval)
    return usual


def _answer(response: httpx.Response) -> dict[str, Any]:
    if 400 <= response.status_code < 500:
        raise _refusal(response)
    if not response.is_success:
        code, message = _said(response)
        plain = f"The console answered with status {response.status_code}."
        raise ConsoleUnreachable(message or plain, _retry_after(response), code)
    try:
        value = response.json()
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ConsoleUnreachable("The answer did not come from a console: it is not a JSON object.")
    return value


def _refusal(response: httpx.Response) -> ApiRefused:
    code, message = _said(response)
    plain = f"The console refused with status {response.status_code}."
    return ApiRefused(response.status_code, code or "Refused", message or plain, _retry_after(response))


def _said(response: httpx.Response) -> tuple[str, str]:
    """Return code and sentence of the console's error; empty for what something in between (a proxy) answers."""
    try:
        error = response.json()["error"]
        return str(error["code"]), str(error["message"])
    except (ValueError, KeyError, TypeError):
        return "", ""


def _retry_after(response: httpx.Response) -> float | None:
    """Return the seconds that a ``Retry-After`` names; None without one, or for one that would be for ever."""
    try:
        seconds = float(response.headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return min(seconds, 3600.0) if seconds >= 0 else None
