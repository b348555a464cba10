"""Attempt to hand one message to one channel, without the database; the result is the receiver's answer."""

import asyncio
import re
import smtplib
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.utils import timezone

from console.core.smtp import REMEDY
from console.push import addresses, formats
from console.push.addresses import AddressRefused
from console.push.models import PushChannel, PushMessage
from edge.outbound.certificates import CertificateRefused, explained, fetch, refused_certificate
from edge.outbound.dialling import through
from edge.outbound.errors import OutboundError
from edge.outbound.http import transport
from edge.outbound.policy import Proxy, proxy_for

# Limit for one attempt with everything in it, however slowly a receiver drips.
ATTEMPT_SECONDS = 10.0
CONNECT_SECONDS = 4.0
MOST_ANSWER = 2000
SHOWN_ANSWER = 200
SHOWN_SENTENCE = 600  # of our own sentences, which hold names of certificates
SHORTEST_HIDDEN = 6
WORD = re.compile(r"[a-z_.-]+")
LONGEST_PAUSE = timedelta(hours=1)


@dataclass(frozen=True)
class Answer:
    """Answer of a receiver. ``text``: a sentence for people; ``pause``: seconds for which it wants to be left alone."""

    ok: bool
    text: str
    pause: float = 0.0


def send(channel: PushChannel, message: PushMessage, values: dict[str, Any]) -> Answer:
    """Try once; nothing that a receiver does raises. ``values``: the sealed values of the channel."""
    words = Words(hidden_of(values))
    try:
        if channel.kind == PushChannel.Kind.EMAIL:
            return _mail(message, values.get("recipients", []))
        return asyncio.run(_post(channel.kind, message, values, words))
    except AddressRefused as refused:
        return Answer(False, str(refused))
    except (OutboundError, httpx.ProxyError) as error:
        return Answer(False, words.of(str(error), SHOWN_SENTENCE))
    except TimeoutError:
        return Answer(False, f"The receiver did not answer within {ATTEMPT_SECONDS:.0f} s.")
    except httpx.ConnectError as error:
        return Answer(False, f"No connection: {words.of_error(error)}")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Answer(False, f"{type(error).__name__}: {words.of_error(error)}")
    except (smtplib.SMTPException, OSError) as error:
        return Answer(
            False, f"The mail server refused the message or cannot be reached: {words.of_error(error)}"
        )


def _mail(message: PushMessage, recipients: list[str]) -> Answer:
    """Send a mail whose Message-ID is that of the message, so that mail programs know a repeated one."""
    domain = urlsplit(settings.PUBLIC_URL).hostname or "causeway.invalid"
    headers = {"Message-ID": f"<{message.pk}@{domain}>", "X-Causeway-Message": message.pk}
    mail = EmailMessage(
        subject=" ".join(message.title.split()),
        body=formats.mail_text(message),
        to=recipients,
        headers=headers,
        connection=get_connection(timeout=ATTEMPT_SECONDS),
    )
    mail.send()
    return Answer(
        True, f"The mail server took it for {len(recipients)} recipient{'s' if len(recipients) > 1 else ''}."
    )


async def _post(kind: str, message: PushMessage, values: dict[str, Any], words: "Words") -> Answer:
    if not values.get("url"):
        return Answer(
            False, "The channel's address cannot be read any more: the console's secret key was changed."
        )
    target = addresses.parse(values["url"])
    request = formats.FORMATS[kind](message, values.get("secret", ""), timezone.now())
    proxy = proxy_for(target.scheme, target.host, target.port)
    async with asyncio.timeout(ATTEMPT_SECONDS):
        hosts = await asyncio.to_thread(_hosts, target, proxy)
        status, headers, body = await _exchange(target, hosts, proxy, request)
    said = f"{status}: {words.of(body)}" if body.strip() else f"{status}"
    if 200 <= status < 300:
        if refusal := formats.refused_in(kind, body):
            return Answer(False, words.of(refusal))
        return Answer(True, f"Answered {said}")
    if 300 <= status < 400:
        return Answer(False, f"Answered {status}: redirects are not followed. Give the final address.")
    return Answer(False, f"Answered {said}", _pause(headers.get("retry-after", "")))


def _hosts(target: addresses.Target, proxy: Proxy | None) -> list[str]:
    """Return what may be connected to: checked IP addresses, also by a proxy, which is not to look the name up itself.

    Where every address is allowed, the proxy gets the name: it may know names that this network's resolver does not.
    """
    if proxy is not None and settings.PUSH_ALLOW_PRIVATE:
        return [target.host]
    try:
        return [str(address) for address in addresses.allowed(target)]
    except addresses.HostUnknown as refused:
        if proxy is None:
            raise
        raise AddressRefused(
            f"{refused} The console looks a receiver's name up by itself before the proxy of {proxy.variable} may call "
            "the receiver; with CAUSEWAY_PUSH_ALLOW_PRIVATE the proxy looks it up."
        ) from refused


async def _exchange(
    target: addresses.Target, hosts: list[str], proxy: Proxy | None, request: formats.Request
) -> tuple[int, httpx.Headers, str]:
    """Post to the first checked address that accepts a connection; return (status, headers, start of the body)."""
    headers = {
        "content-type": "application/json; charset=utf-8",
        "accept-encoding": "identity",
        "user-agent": "Causeway",
        **request.headers,
        "host": target.netloc,
    }
    timeout = httpx.Timeout(ATTEMPT_SECONDS, connect=CONNECT_SECONDS)
    joined = request.query and ("&" if "?" in target.path else "?") + request.query
    way = transport(target.scheme, proxy)
    async with httpx.AsyncClient(
        transport=way, timeout=timeout, follow_redirects=False, trust_env=False
    ) as client:
        for number, host in enumerate(hosts, 1):
            try:
                # Certificate checked against the name, though the connection goes to the checked address.
                async with client.stream(
                    "POST",
                    target.at(host) + joined,
                    content=request.body,
                    headers=headers,
                    extensions={"sni_hostname": target.host},
                ) as response:
                    body = b""
                    async for chunk in response.aiter_raw():
                        body += chunk
                        if len(body) >= MOST_ANSWER:
                            break
                    return response.status_code, response.headers, body[:MOST_ANSWER].decode(errors="replace")
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if number == len(hosts):
                    await asyncio.to_thread(_explain, error, target, host, proxy)
                    raise
    raise AddressRefused("The host has no address.")


def _explain(error: Exception, target: addresses.Target, host: str, proxy: Proxy | None) -> None:
    """Raise `CertificateRefused` where a certificate was the reason; it is fetched from the checked address again."""
    if (refused := refused_certificate(error)) is None:
        return

    def connect() -> socket.socket:
        if proxy is not None:
            return through(proxy, host, target.port, timeout=CONNECT_SECONDS)
        return socket.create_connection((host, target.port), CONNECT_SECONDS)

    der = fetch(connect, target.host)
    raise CertificateRefused(explained(refused, der, target.host, target.port, remedy=REMEDY)) from error


def _pause(header: str) -> float:
    """Read Retry-After, seconds or a date, at most an hour; 0 when it says nothing."""
    try:
        seconds = float(header) if header.isdigit() else _until(header)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return max(0.0, min(seconds, LONGEST_PAUSE.total_seconds()))


def _until(header: str) -> float:
    return (parsedate_to_datetime(header) - timezone.now()).total_seconds() if header else 0.0


def hidden_of(values: dict[str, Any]) -> list[str]:
    """Find the parts of sealed values that no text may show, longest first: receivers like to repeat the request."""
    parts = urlsplit(values.get("url", ""))
    # Pieces of the path that may be a password: a word such as «webhooks» is none, one with digits or capitals may be.
    pieces = [piece for piece in parts.path.split("/") if len(piece) >= 8 and not WORD.fullmatch(piece)]
    pieces += [parts.path, parts.query, *(value for _, value in parse_qsl(parts.query))]
    secret = values.get("secret", "")
    pieces += [secret, secret.removeprefix(formats.SECRET_PREFIX)]
    found = {piece for piece in (*pieces, *map(unquote, pieces)) if len(piece) >= SHORTEST_HIDDEN}
    return sorted(found, key=len, reverse=True)


@dataclass(frozen=True)
class Words:
    """Texts of receivers and libraries as they may be shown. ``hidden``: the parts that none of them may hold."""

    hidden: Sequence[str]

    def of(self, text: str, longest: int = SHOWN_ANSWER) -> str:
        for piece in self.hidden:
            text = text.replace(piece, "…")
        shown = "".join(character if character.isprintable() else " " for character in text)
        return " ".join(shown.split())[:longest]

    def of_error(self, error: Exception) -> str:
        if isinstance(error, OSError) and error.strerror:
            return self.of(error.strerror)  # without its number
        return self.of(str(error) or type(error).__name__)
