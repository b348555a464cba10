"""The datagrams by which a connector server measures its way to a gateway: small, signed, answered by as many bytes.

::

    4 bytes "CWe1", 1 byte (0: question, 1: answer), 1 byte (1: with news), 2 bytes 0, 8 bytes time in ms (with news:
    the version of the servers' configuration that the gateway heard of), 8 bytes of the asker's choice, 16 bytes
    HMAC-SHA256 of all before

The key comes with both machines' configurations. Without it, or with an old question, there is no answer, and an
answer is never longer than its question: nobody can have a third party flooded by way of a gateway.
"""

import hashlib
import hmac
import struct

_HEAD = struct.Struct("!4sBB2xQQ")
_MAC_BYTES = 16
SIZE = _HEAD.size + _MAC_BYTES
# How far the two clocks may be apart.
FRESH_SECONDS = 300.0
_MAGIC = b"CWe1"
_QUESTION, _ANSWER = 0, 1


def question(key: bytes, number: int, now: float) -> bytes:
    """``number``: 64 bits by which the answer is recognised; ``now``: epoch seconds."""
    return _signed(key, _HEAD.pack(_MAGIC, _QUESTION, 0, int(now * 1000), number))


def answer(key: bytes, data: bytes, now: float, news: int = 0) -> bytes | None:
    """What to send back; None to what is no fresh question of somebody who knows the key.

    ``news``: the version by which servers should work, so that they hear of a change within a second and not only when
    they report next. It is a hint: what is in force, the console says.
    """
    parts = _read(key, data, _QUESTION)
    if parts is None or abs(parts[1] / 1000 - now) > FRESH_SECONDS:
        return None
    return _signed(key, _HEAD.pack(_MAGIC, _ANSWER, bool(news), news, parts[2]))


def answered(key: bytes, data: bytes) -> tuple[int, int] | None:
    """The number of the question that this answers, and the news, 0 for none; None if it is no answer."""
    parts = _read(key, data, _ANSWER)
    return None if parts is None else (parts[2], parts[1] if parts[0] else 0)


def _read(key: bytes, data: bytes, kind: int) -> tuple[int, int, int] | None:
    if len(data) != SIZE or not key:
        return None
    head = data[: _HEAD.size]
    magic, found, news, first, number = _HEAD.unpack(head)
    if magic != _MAGIC or found != kind or not hmac.compare_digest(_signed(key, head), data):
        return None
    return news, first, number


def _signed(key: bytes, head: bytes) -> bytes:
    return head + hmac.new(key, head, hashlib.sha256).digest()[:_MAC_BYTES]
