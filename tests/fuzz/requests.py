"""One made-up request: a method, an address, a query string, headers, cookies and a body, absurd here and there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from urllib.parse import quote_from_bytes

from tests.fuzz import values
from tests.fuzz.cast import MACHINES, PEOPLE, Cast
from tests.fuzz.targets import Map, Target, filled
from tests.fuzz.usual import usual

BOUNDARY = "fuzzfuzzfuzz"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
CSV = "username,email,name,type,addresses,ports,tags\nanna-berg,anna@example.org,wiki,host,wiki.example,80,office\n"
TYPES = (
    *(
        "",
        JSON,
        "text/plain",
        "application/xml",
        "multipart/form-data",
        f"multipart/form-data; boundary={BOUNDARY}",
    ),
    *(
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "x" * 300,
        "a" * 3000,
        FORM + "; charset=utf-16",
    ),
    *(
        FORM + "; charset=nowhere",
        FORM + "; charset=\xff",
        "multipart/mixed",
        ";;;=",
        "\xff/\xfe",
    ),
)
HEADERS = {
    "host": (
        "evil.example",
        "testserver:99999",
        "[::1",
        "",
        "testserver\xff",
        "a" * 300,
        "testserver@evil.example",
    ),
    "accept-language": ("zz-ZZ;q=9", "x" * 5000, "de,,;q=a", "\xff", "*", "../../x"),
    "accept": ("text/html;q=nan", "*/*;q=", "application/json", "\xff", "a/b" * 2000),
    "accept-encoding": ("gzip;q=nan", "br", "identity;q=0,*;q=0", "\xff"),
    # A server lets no other than a number through; a body may end before its length.
    "content-length": ("0", "5", "100000", "9999999999"),
    "content-encoding": ("gzip", "deflate", "x"),
    "transfer-encoding": ("chunked", "gzip, chunked"),
    "x-forwarded-for": ("999.1.1.1", "a, b", "\0", "1.2.3.4,\xff", "unknown", "[::1]:80", "9" * 5000),
    "x-forwarded-host": ("evil.example",),
    "x-forwarded-proto": ("https", "gopher", "\xff"),
    "hx-request": ("true", "false", "\xff"),
    "hx-target": ("panel", "dialog", "table", "page", "\xff", "x" * 3000),
    "hx-trigger": ("x", "%ff", "\xff"),
    "hx-trigger-name": ("x", "\xff"),
    "hx-prompt": ("%ff%fe", "x" * 9000),
    "hx-current-url": (
        "http://[",
        "//evil.example/x",
        "http://testserver/\xff",
        "%zz",
        "x" * 9000,
        "http://testserver/audit/",
    ),
    "hx-current-url-uri-autoencoded": ("true",),
    "hx-history-restore-request": ("true", "x"),
    "triggering-event": ("{", "[1]", "%7B%22a%22"),
    "referer": ("http://[", "//evil.example", "\xff"),
    "origin": ("null", "http://[", "https://evil.example"),
    "range": ("bytes=0-", "bytes=9-1", "lines=1"),
    "if-modified-since": ("Thu, 99 Foo 0000 99:99:99 GMT", "0", "\xff", "Fri, 31 Dec 9999 23:59:59 GMT"),
    "if-none-match": ("*", '"', "W/"),
    "authorization": (
        "Bearer",
        "Bearer a.b.c",
        "Basic AAAA",
        "\xff",
        "Bearer " + "x" * 9000,
        "bearer eyJhbGciOiJub25lIn0.e30.",
    ),
    "x-requested-with": ("XMLHttpRequest", "\xff"),
    "user-agent": ("", "x" * 9000, "\xff\xfe", "a\tb"),
    "x-http-method-override": ("DELETE",),
}
COOKIES = (
    *(
        "sessionid=",
        "sessionid=" + "x" * 4000,
        "sessionid=\xff",
        'sessionid="a\\000b"',
        "csrftoken=x",
        "area=nowhere",
    ),
    *(
        "area=\xff",
        'area="\\000"',
        "theme=dark",
        "theme=" + values.SCRIPT,
        "messages=x",
        "=;;=,",
        "a" * 5000,
        "messages=W1siX19qc29u",
    ),
)


@dataclass(frozen=True)
class Request:
    """A request as it goes out. ``path``: with its query string, as bytes on the wire are written in text."""

    role: str
    method: str
    path: str
    headers: dict[str, str]
    content_type: str
    body: bytes

    def __str__(self) -> str:
        shown = repr(self.body[:1500]) + (f" … {len(self.body)} bytes" if len(self.body) > 1500 else "")
        headers = {name: value[:300] for name, value in self.headers.items()}
        return f"{self.method} {self.path[:1500]} as {self.role}, {headers}, {self.content_type[:100]!r}: {shown}"


def plain(role: str, target: Target, cast: Cast) -> Request:
    """Make the request of a browser that follows a link."""
    return Request(role, "GET", target.url(cast.ids), {"cookie": cast.cookie(role)}, "", b"")


def made_up(rng: Random, role: str, known: Map, cast: Cast) -> Request:
    """Make up a request of a role to some URL."""
    if role in MACHINES or role == "account":
        return _call(rng, role, known.of("edge") if rng.random() < 0.96 else known.of("pages"), cast)
    doors = ("pages", "admin", "edge")
    heavy = {"staff": (4, 6, 0.2), "superuser": (3, 7, 0.2), "anonymous": (6, 2, 4)}.get(role, (9, 0.6, 0.2))
    door = rng.choices(doors, heavy)[0]
    if door == "edge":
        return _call(rng, role, known.of("edge"), cast)
    target = rng.choice(known.of(door))
    while target.takes_away and rng.random() < 0.85:
        target = rng.choice(known.of(door))
    return _visit(rng, role, target, known.names[door], cast)


def _visit(rng: Random, role: str, target: Target, names: Sequence[str], cast: Cast) -> Request:
    url = target.absurd_url(rng, cast.ids) if rng.random() < 0.2 else target.url(cast.ids)
    posts = rng.random() < (0.55 if target.fields else 0.25)
    method = (
        "POST"
        if posts
        else rng.choices(("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"), (40, 1, 1, 1, 1, 1))[0]
    )
    if rng.random() < (0.2 if posts else 0.75):
        url += "?" + _query(rng, target.query, names, cast)
    kind, body = _form(rng, target, names, cast) if posts or rng.random() < 0.05 else ("", b"")
    return Request(role, method, url, _headers(rng, cast.cookie(role)), kind, body)


def _query(rng: Random, known: dict[str, list[str]], names: Sequence[str], cast: Cast) -> str:
    pairs = []
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        name = rng.choice(list(known)) if known and rng.random() < 0.7 else rng.choice(names)
        honest = filled(rng.choice(known.get(name) or [""]), cast.ids)
        pairs.append((name, honest if rng.random() < 0.3 else values.text(rng, honest)[:5000]))
    if rng.random() < 0.1:
        return "&".join(
            f"{name}={rng.choice(('%ff', '%', '%zz', '%00', '%u1234', '%ed%a0%80'))}" for name, _ in pairs
        )
    return _urlencoded(pairs).decode()


def _urlencoded(pairs: Sequence[tuple[str, str]]) -> bytes:
    coded = (
        (quote_from_bytes(values.encoded(name)), quote_from_bytes(values.encoded(value)))
        for name, value in pairs
    )
    return "&".join(f"{name}={value}" for name, value in coded).encode()


def _form(rng: Random, target: Target, names: Sequence[str], cast: Cast) -> tuple[str, bytes]:
    """Make content type and body: fields of the page's form as it offers them, some of them absurd, gone or doubled."""
    fields = dict(target.fields) or {rng.choice(names): [] for _ in range(3)}
    buttons = [name for name in fields if name in target.buttons]
    pressed = rng.choice([*buttons, "", ""])
    wrong = set(rng.sample(sorted(fields), min(len(fields), rng.choice((0, 1, 1, 1, 2, 3, 50)))))
    pairs: list[tuple[str, str]] = []
    for name, known in fields.items():
        honest = usual(rng, name, known, cast.ids)
        if name in buttons and name != pressed:
            continue
        if name not in wrong:
            pairs.append((name, honest))
        elif rng.random() < 0.9:
            pairs += [(name, values.text(rng, honest)) for _ in range(rng.choice((1, 1, 1, 2)))]
    if rng.random() < 0.05:
        return rng.choice(TYPES), rng.choice(
            (b"", b"%ff=%fe&&&=%", b"a=" * 1100, json.dumps(dict(pairs)).encode())
        )
    if rng.random() < 0.01:
        return FORM, b"&".join(b"%d=1" % number for number in range(1100))
    if target.files or rng.random() < 0.1:
        return f"multipart/form-data; boundary={BOUNDARY}", _multipart(rng, pairs, target.files)
    return (FORM if rng.random() < 0.97 else rng.choice(TYPES)), _urlencoded(pairs)


def _multipart(rng: Random, pairs: Sequence[tuple[str, str]], files: set[str]) -> bytes:
    parts = []
    for name, value in pairs:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'.encode(
            "utf-8", "surrogatepass"
        )
        content = values.encoded(value)
        if name in files:
            called = rng.choice(("a.csv", "", "../../x.csv", "\xff\0.csv", "x" * 500, 'a"b.csv', "a.xlsx"))
            head += b'; filename="%s"\r\nContent-Type: text/csv' % called.encode()
            content = values.file(rng, CSV)
        parts.append(head + b"\r\n\r\n" + content + b"\r\n")
    body = b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
    return body[: rng.randrange(len(body))] if rng.random() < 0.05 else body


def _headers(rng: Random, cookie: str) -> dict[str, str]:
    headers = {"cookie": cookie} if cookie else {}
    if rng.random() < 0.25:
        headers |= {"hx-request": "true", "hx-target": rng.choice(("panel", "dialog", "table", "page"))}
    if rng.random() < 0.2:
        headers |= {
            name: rng.choice(HEADERS[name]) for name in rng.sample(sorted(HEADERS), rng.choice((1, 1, 2, 4)))
        }
    if rng.random() < 0.05:
        headers["cookie"] = "; ".join(
            each for each in (rng.choice(COOKIES), cookie, rng.choice(COOKIES)) if each
        )
    return headers


def _call(rng: Random, role: str, routes: Sequence[Target], cast: Cast) -> Request:
    own = [each for each in routes if any(word in each.path for word in CALLS.get(role, ()))]
    target = rng.choice(own if own and rng.random() < 0.9 else routes)
    path, sender = target.url(cast.ids), role if role in MACHINES else "gateway"
    body = values.raw_json(rng, cast.call(sender, path))
    headers = _headers(rng, cast.cookie(role)) if role in PEOPLE or rng.random() < 0.1 else {}
    if role in MACHINES and rng.random() < 0.97:
        headers["authorization"] = cast.signature(rng, role, path, body)
    method = "POST" if rng.random() < 0.97 else rng.choice(("GET", "PUT", "DELETE", "OPTIONS"))
    return Request(role, method, path, headers, JSON if rng.random() < 0.97 else rng.choice(TYPES), body)


# Routes that a caller has something to say to, by words in their addresses.
CALLS = {
    "gateway": ("gateway/", "logs", "flows", "renew", "login"),
    "server": ("server/", "telemetry", "logs", "v1/renew", "enroll"),
    "account": ("login", "session/renew", "logout"),
}
