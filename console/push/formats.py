"""Formats of a message for each kind of receiver, made without clock and network."""

import base64
import hashlib
import hmac
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from console.push.models import PushMessage

# Characters of a text at most: DingTalk refuses bodies of over 20,000 bytes, Slack texts of over 40,000 characters.
LONGEST_TEXT = 6000
SECRET_PREFIX = "whsec_"  # noqa: S105 (the mark of such a secret, none itself)


@dataclass(frozen=True)
class Request:
    """Body and headers to post; ``query`` is added to the address, as DingTalk wants its signature."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    query: str = ""


def webhook(message: PushMessage, secret: str, now: datetime) -> Request:
    """Make the documented JSON (docs/webhooks.md), signed as Standard Webhooks has it."""
    payload: dict[str, Any] = {
        "id": message.pk,
        "type": message.kind,
        "created_at": iso(message.created_at),
        "title": message.title,
        "text": message.text,
        "url": message.url or None,
        **message.body,
    }
    body = json.dumps(payload, ensure_ascii=False).encode()
    timestamp = str(int(now.timestamp()))
    headers = {
        "webhook-id": message.pk,
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1," + signature(secret, message.pk, timestamp, body),
    }
    return Request(body, headers)


def signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """Sign ``id.timestamp.body`` by HMAC-SHA256, in base64; the key is the part after ``whsec_``, base64 decoded."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def dingtalk(message: PushMessage, secret: str, now: datetime) -> Request:
    """Make a robot's markdown message; with a secret the robot also wants a signature over the time in milliseconds."""
    lines = [f"### {_markdown(message.title)}", _markdown(_short(message.text)).replace("\n", "\n\n")]
    if message.url:
        lines.append(f"[Open in the console]({message.url})")
    lines.append(f"`{message.pk}`")
    markdown = {"title": message.title, "text": "\n\n".join(lines)}
    query = ""
    if secret:
        timestamp = str(int(now.timestamp() * 1000))
        digest = hmac.digest(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256)
        query = f"timestamp={timestamp}&sign={quote(base64.b64encode(digest).decode(), safe='')}"
    body = json.dumps({"msgtype": "markdown", "markdown": markdown}, ensure_ascii=False).encode()
    return Request(body, query=query)


def slack(message: PushMessage, secret: str, now: datetime) -> Request:
    """Make the body of Slack's incoming webhook, which Mattermost, Rocket.Chat and others understand as well."""
    lines = [f"*{_mrkdwn(message.title)}*", _mrkdwn(_short(message.text))]
    if message.url:
        lines.append(f"<{message.url}|Open in the console>")
    lines.append(f"`{message.pk}`")
    return Request(json.dumps({"text": "\n".join(lines)}, ensure_ascii=False).encode())


FORMATS = {"webhook": webhook, "dingtalk": dingtalk, "slack": slack}


def refused_in(kind: str, body: str) -> str:
    """Find the refusal in DingTalk's body, whose status is always 200; empty when it took the message."""
    if kind != "dingtalk":
        return ""
    try:
        answer = json.loads(body)
        code = answer["errcode"]
    except (ValueError, KeyError, TypeError):
        return "The answer is not one of DingTalk's."
    return f"DingTalk: {answer.get('errmsg', '')} ({code})" if code != 0 else ""


def mail_text(message: PushMessage) -> str:
    parts = [message.text, message.url, f"Message {message.pk}. The same message may arrive more than once."]
    return "\n\n".join(part for part in parts if part) + "\n"


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT].rsplit("\n", 1)[0] + "\n…"


def _mrkdwn(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _markdown(text: str) -> str:
    """Escape a text, in which names come from machines and people: none may become a link or a mention of everybody."""
    return re.sub(r"([\\`*_\[\]<>#@])", r"\\\1", text)
