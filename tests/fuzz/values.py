"""Values that no field means: absurd texts, numbers, dates, addresses, bytes, JSON documents and files."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from random import Random
from typing import Any

from tests.console import absurd

# Text that runs when a page shows it as it is; pages are searched for it.
SCRIPT = '"><svg onload=alert(7)>'
ELSEWHERE = (
    "//evil.example/",
    "https://evil.example/",
    "/\\evil.example",
    "\\\\evil.example",
    "///evil.example",
)
NUMBERS = (
    *(
        "0",
        "-1",
        "1",
        "2",
        "00",
        "+1",
        "-0",
        "1.5",
        "1e9",
        "1e400",
        "NaN",
        "inf",
        "-Infinity",
        "0x10",
        "1_000",
        "٣",
    ),
    *(str(2**31 - 1), str(2**31), str(2**32), str(2**53 + 1), str(2**63 - 1), str(2**63), str(-(2**63) - 1)),
    *(
        str(2**64),
        "9" * 40,
        "9" * 400,
        "9" * 5000,
        "٢٠٢٦",
        "²",
        "1\0",
        " 1 ",
        "1,000",
        "1-65536",
        "65535-1",
        "80,,443",
    ),
)
DATES = (
    *(
        "0000-01-01",
        "0001-01-01",
        "9999-12-31",
        "10000-01-01",
        "2026-02-30",
        "2026-13-45",
        "-0001-01-01",
        "1969-12-31",
    ),
    *("0001-01-01T00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59", "9999-12-31T23:59:59-14:00"),
    *(
        "2026-01-01T00:00:00+99:99",
        "2026-11-01T01:30",
        "24:00",
        "25:61",
        "253402300800",
        "-62135596801",
        "1e20",
    ),
    *("Europe/Nowhere", "../UTC", "UTC\0", "Etc/GMT+25", "/etc/localtime", "now", "today"),
)
ADDRESSES = (
    *(
        "0.0.0.0/0",
        "::/0",
        "10.0.0.0/33",
        "10.0.0.1/8",
        "300.1.1.1",
        "fe80::1%eth0",
        "::ffff:10.0.0.1",
        "010.0.0.1",
    ),
    *(
        "10.0.0.0/0x8",
        "10.0.0.0/255.0.255.0",
        "1",
        "4294967296",
        "[::1]:99999",
        "http://[::1",
        "http://[v1.x]/",
    ),
    *(
        "http://x:99999999/",
        "https://user:pw@x/",
        "xn--a",
        "xn--\u0131",
        "a." * 127,
        "*.",
        "*",
        ".",
        "..",
        "-a.example",
    ),
    *(
        "a@b",
        "@",
        "a@" + "b" * 300,
        '"a b"@example.org',
        "a@example.org\r\nBcc: b@example.org",
        "a@[127.0.0.1]",
    ),
)
TEXTS = (
    *(
        "",
        " ",
        "\0",
        "a\0b",
        "\ud800",
        "\udfff\ud800",
        "💥",
        "\u202eevil",
        "\ufeff",
        "\u2028",
        "é" * 300,
        "ß" * 128,
    ),
    *(
        "x" * 129,
        "x" * 300,
        "x" * 5000,
        "a\r\nSet-Cookie: x=1",
        "a\nb",
        "\x1b[2J",
        "%00",
        "%ff",
        "%",
        "%s%n",
        "&=;?#",
    ),
    *(
        "../../etc/passwd",
        "{{ 7*7 }}",
        "{% debug %}",
        "'\"--",
        "' OR 1=1 --",
        SCRIPT,
        "javascript:alert(7)",
        "__class__",
    ),
    *(
        "=cmd|' /C calc'!A0",
        "@SUM(1)",
        "null",
        "None",
        "true",
        "[]",
        "{}",
        '{"a": 1}',
        '["a", null]',
        "[" * 3000,
        ",",
    ),
    *(
        "items",
        "_state",
        "pk",
        "password",
        "a,b,,",
        "a;b",
        "a|b",
        "on",
        "off",
        "-",
        "--",
        "-name",
        "—",
        "*" * 200,
        "\\",
    ),
    *(
        f"{prefix}-0123456789abcdef"
        for prefix in ("sag", "user", "connector", "server", "fs", "import", "gateway")
    ),
)
PLAIN = (*TEXTS, *NUMBERS, *DATES, *ADDRESSES, *ELSEWHERE)
MEGABYTE = "x" * 2**20
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")

CHANGES: tuple[Callable[[Random, str], str], ...] = (
    lambda rng, text: text + "\0",
    lambda rng, text: "-" + text,
    lambda rng, text: text.translate(ARABIC),
    lambda rng, text: text.swapcase(),
    lambda rng, text: text[::-1],
    lambda rng, text: (text or "x") * rng.choice((2, 50, 400)),
    lambda rng, text: text[: len(text) // 2] + "\ud800" + text[len(text) // 2 :],
    lambda rng, text: text[: len(text) // 2] + rng.choice("\r\n\t\u200b٣,;:/ \x7f") + text[len(text) // 2 :],
    lambda rng, text: f" {text} ",
    lambda rng, text: text[:-1],
    lambda rng, text: text + rng.choice(PLAIN),
)


def text(rng: Random, usual: str = "") -> str:
    """Return an absurd text, now and then a megabyte of it, or ``usual`` with an absurd change."""
    if rng.random() < 0.3:
        return rng.choice(CHANGES)(rng, usual)
    if rng.random() < 0.004:
        return MEGABYTE
    return rng.choice(PLAIN)


def encoded(value: str) -> bytes:
    """Return the bytes of a text, halves of characters too, as a hostile sender has them."""
    return value.encode("utf-8", "surrogatepass")


def document(rng: Random, usual: Any) -> Any:
    """Return a JSON document with an absurd change at one of its places."""
    if isinstance(usual, dict) and usual and rng.random() < 0.85:
        field = rng.choice([*usual, "new"])
        if rng.random() < 0.15:
            return {name: value for name, value in usual.items() if name != field}
        return usual | {field: document(rng, usual.get(field))}
    if isinstance(usual, list) and usual and rng.random() < 0.7:
        place = rng.randrange(len(usual))
        changed = [*usual[:place], document(rng, usual[place]), *usual[place + 1 :]]
        return changed * rng.choice((1, 1, 1, 3, 400))
    return _leaf(rng, usual)


def _leaf(rng: Random, usual: Any) -> Any:
    if isinstance(usual, str) and rng.random() < 0.5:
        return text(rng, usual)
    if isinstance(usual, int | float) and rng.random() < 0.5:
        return rng.choice(
            (-1, 0, usual * 1e9, -usual, usual + 0.5, 2**53, 2**63 - 1, 2**63, 2**31, 1e308, 1e-308)
        )
    value = rng.choice([*absurd.ABSURD, True, False, 0, 1, usual])
    return None if value is absurd.MISSING else value


def raw_json(rng: Random, usual: Any) -> bytes:
    """Return the bytes of a document, mostly with an absurd change, now and then broken as bytes."""
    if rng.random() < 0.08:
        return json.dumps(usual).encode()
    body = json.dumps(document(rng, usual)).encode()
    return rng.choice(BREAKS)(rng, body) if rng.random() < 0.15 else body


BREAKS: tuple[Callable[[Random, bytes], bytes], ...] = (
    lambda rng, body: body[: rng.randrange(len(body) or 1)],
    lambda rng, body: b"",
    lambda rng, body: b"\xef\xbb\xbf" + body,
    lambda rng, body: body.decode("utf-8", "replace").encode("utf-16"),
    lambda rng, body: gzip.compress(body, mtime=0),
    lambda rng, body: b"\x1f\x8b" + body,
    lambda rng, body: body + body,
    lambda rng, body: body.replace(b'"', b'"\xff', 1),
    lambda rng, body: body.replace(b"{", b'{"a": 1, "a": 2, ', 1).replace(b", }", b"}"),
    lambda rng, body: b"[" * 100_000,
    lambda rng, body: b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    lambda rng, body: b"9" * 5000,
    lambda rng, body: rng.choice(
        (b"null", b"NaN", b"-Infinity", b'"text"', b"[]", b"{}", b"1e999", b"\0", b"true")
    ),
    lambda rng, body: rng.randbytes(200),
)


def file(rng: Random, usual: str) -> bytes:
    """Return a file to upload: rows of ``usual`` with absurd cells, or no table at all."""
    if rng.random() < 0.6:
        rows = [[text(rng, cell) for cell in row.split(",")] for row in usual.splitlines() for _ in range(3)]
        lines = [usual.splitlines()[0], *(",".join(row) for row in rows)]
        return encoded(rng.choice(("\n", "\r\n", "\r")).join(lines))
    return rng.choice(FILES)(rng, usual.encode())


FILES: tuple[Callable[[Random, bytes], bytes], ...] = (
    lambda rng, body: b"",
    lambda rng, body: b"\0" * 1000,
    lambda rng, body: rng.randbytes(5000),
    lambda rng, body: b"\xef\xbb\xbf" + body,
    lambda rng, body: body.decode().encode("utf-16"),
    lambda rng, body: body.replace(b"\n", b"\0\n"),
    lambda rng, body: body + b'"' + b"x" * 200_000,
    lambda rng, body: body + b"x," * 100_000,
    lambda rng, body: body + b"\n" * 50_000,
    lambda rng, body: body * 50,
    lambda rng, body: body.replace(b",", b";"),
    lambda rng, body: b"PK\x03\x04" + body,
    lambda rng, body: body.splitlines()[0] + b"\n" + b"=1+1,@SUM(A1),-2,+3,\t4\n" * 20,
    lambda rng, body: body.splitlines()[0] + b"," + body.splitlines()[0] + b"\n1,2\n",
)
