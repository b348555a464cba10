"""Stories: requests one after the other in one world, each judged by its answer."""

from __future__ import annotations

import io
import logging
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote_to_bytes, urlsplit

from django.conf import settings
from django.http import HttpResponse
from django.test import Client

from console.machines import config
from tests.fuzz import requests, targets, values
from tests.fuzz.cast import Cast
from tests.fuzz.requests import Request
from tests.responses import Response

LENGTH = 250
SLOW_SECONDS = 2.0
# Pages opened at the end of a story, with what the story stored.
LOOKS = 30


@dataclass
class Told:
    """What stories found: answers by role and status, faults with the request that caused each, slow answers."""

    counts: Counter[tuple[str, int]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return self.counts.total()


class Errors(logging.Handler):
    """Handler that keeps what the console logs as an error while it answers one request."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        # What Django calls suspicious is refused, and told there as an error of the sender.
        if not record.name.startswith("django.security"):
            self.records.append(record)

    def why(self) -> str:
        """Return the last lines of what was raised."""
        raised = [record.exc_info for record in self.records if record.exc_info]
        words = [record.getMessage() for record in self.records]
        lines = traceback.format_exception(*raised[-1])[-4:] if raised else words
        return "".join(lines)[-1500:]


class Story:
    """A world and its senders. ``roles``: who sends; ``number`` and ``seed`` make the same requests again."""

    def __init__(self, seed: int, number: int, roles: Sequence[str], told: Told) -> None:
        self.seed, self.number = seed, number
        self._roles, self._told = roles, told
        self.cast = Cast()
        self._errors = Errors()
        self._client = Client(raise_request_exception=False)

    def run(self, known: targets.Map, length: int = LENGTH) -> None:
        """Send ``length`` requests; the last of them open pages as they are."""
        with quiet(self._errors), patch.object(config.watcher, "wait_beyond"):
            for number in range(length):
                # Chance of its own for each: a story goes on alike where ids and signatures have other lengths.
                rng = Random(f"{self.seed}/{self.number}/{number}")
                self._send(number, self._request(rng, known, looks=number >= length - LOOKS))

    def _request(self, rng: Random, known: targets.Map, *, looks: bool) -> Request:
        if looks:
            target = rng.choice(known.of(rng.choice(("pages", "pages", "admin"))))
            return requests.plain("superuser", target, self.cast)
        return requests.made_up(rng, rng.choice(self._roles), known, self.cast)

    def _send(self, number: int, request: Request) -> None:
        self._errors.records.clear()
        began = time.process_time()
        try:
            answer = sent(self._client, request)
            status, wrong = answer.status_code, list(faults(answer))
            if status < 500 and self._errors.records:
                wrong.append("an error in the log")
        except Exception as problem:  # an answer that broke off while it was read
            status, wrong = 599, ["".join(traceback.format_exception(problem)[-3:])]
        self._told.counts[request.role, status] += 1
        where = f"seed {self.seed}, story {self.number}, request {number}"
        if wrong:
            what = f"{'; '.join(wrong)}\n  {request}\n  {self._errors.why()}"
            self._told.faults.append(f"{where}: {status}: {what}")
        if (took := time.process_time() - began) > SLOW_SECONDS:
            self._told.slow.append(f"{where}: {took:.1f} s of processor time\n  {request}")
        if status == 302 or "log-out" in request.path or "logout" in request.path:
            self.cast.log_in_again(request.role)


@contextmanager
def quiet(errors: Errors) -> Iterator[None]:
    """Send what the console logs to ``errors`` alone: thousands of refusals."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    root.handlers, root.level = [errors], logging.ERROR
    try:
        yield
    finally:
        root.handlers, root.level = handlers, level


class Broken(io.BytesIO):
    """Body of a sender who goes away in its midst."""

    def read(self, size: int | None = -1) -> bytes:
        if data := super().read(size):
            return data
        raise OSError("the sender went away")


def sent(client: Client, request: Request) -> Response:
    """Send a request as it stands, without the help of a browser."""
    client.cookies.clear()
    client.exc_info = None
    path, _, query = request.path.partition("?")
    length = request.headers.get("content-length", str(len(request.body)))
    extra: dict[str, Any] = {
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "wsgi.input": (Broken if int(length) > len(request.body) else io.BytesIO)(request.body),
        "CONTENT_TYPE": request.content_type,
        "CONTENT_LENGTH": length,
    }
    named = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in request.headers.items()}
    extra |= {name: value for name, value in named.items() if name != "HTTP_CONTENT_LENGTH"}
    return client.generic(request.method, "/", b"", request.content_type, **extra)


def faults(answer: HttpResponse | Response) -> Iterator[str]:
    """Read an answer to its end, and yield what is wrong with it."""
    turn = answer.status_code == 503 and answer.has_header("Retry-After")
    if answer.status_code >= 500 and not turn:
        yield f"status {answer.status_code}"
    for name in ("Location", "HX-Redirect", "HX-Location", "HX-Push-Url", "Refresh"):
        where = answer.get(name, "").replace("\\", "/")
        if where.startswith("//") or urlsplit(where).netloc not in ("", "testserver"):
            yield f"{name} leads to another host: {where[:200]}"
    text = answer.getvalue().decode("utf-8", "replace")
    if "Traceback (most recent call last)" in text:
        yield "a stack trace in the answer"
    if "html" in answer.get("Content-Type", "") and "<svg onload=alert(7)>" in text:
        yield f"{values.SCRIPT} in the page as it was sent"
    for secret in (settings.SECRET_KEY, "PRIVATE KEY-----", "md5$", "argon2$"):
        if secret in text:
            yield f"a secret in the answer: {secret[:12]}"
