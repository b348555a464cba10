"""The console behind a front of its own, as a stranger on the network meets it: TLS, limits, addresses."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.front.lanes import PAGES
from tests.console.front.served import Served, request, rest_of

pytestmark = [pytest.mark.processes, pytest.mark.slow]
ELSEWHERE = "127.0.0.9"
PER_ADDRESS = 200
linux = pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no address 127.0.0.9")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, made: Path) -> Iterator[Served]:
    console = Served(tmp_path_factory.mktemp("front"), made)
    with console.running(f"--per-address={PER_ADDRESS}"):
        yield console


def test_pages_come_by_tls_over_both_versions_of_http(served: Served) -> None:
    for http2, version in ((True, "HTTP/2"), (False, "HTTP/1.1")):
        with served.client(http2=http2) as client:
            page = client.get("/log-in/")
            assert (page.status_code, page.http_version) == (200, version)
            assert "Strict-Transport-Security" in page.headers, "the console knows that it was TLS"


def test_a_renewed_certificate_is_in_use_without_a_restart(served: Served) -> None:
    def shown() -> bytes | None:
        with served.connect() as connection:
            return connection.getpeercert(binary_form=True)  # type: ignore[attr-defined]

    with served.connect() as open_before:
        renewed = served.write_certificate()
        served.until(lambda: shown() == renewed, "the renewed certificate is shown")
        whole = served.certificate.read_bytes()
        served.certificate.write_bytes(served.authority.issue(["127.0.0.1"])[1])
        served.until(lambda: "does not belong to" in served.said(), "a certificate of another key is named")
        assert shown() == renewed
        served.certificate.write_bytes(whole)
        open_before.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert rest_of(open_before).startswith(b"HTTP/1.1 200 ")


@linux
def test_the_console_knows_a_client_by_its_connection_and_by_no_claim(served: Served) -> None:
    claims = {"X-Forwarded-For": "6.6.6.6", "X_Forwarded_For": "7.7.7.7", "Forwarded": "for=8.8.8.8"}
    claims |= {"X-Real-IP": "9.9.9.9", "X-Forwarded-Proto": "http"}
    for address in ("127.0.0.1", ELSEWHERE):
        with served.client(address) as client:
            wrong = {"instance": "sag-none", "username": "nobody", "password": "wrong", "kind": "connect"}
            answer = client.post("/edge/v1/login", json=wrong, headers=claims)
            assert answer.status_code == 401, answer.text
            client.get("/log-in/", headers=claims)
            token = client.cookies["csrftoken"]
            form = {"username": "admin", "password": "wrong", "csrfmiddlewaretoken": token}
            client.post("/log-in/", data=form, headers=claims | {"Referer": served.url})
    known = [("127.0.0.1",), (ELSEWHERE,)]
    counted = "SELECT DISTINCT address FROM roaming_logonfailures WHERE address <> '' ORDER BY 1"
    assert served.rows(counted) == known
    assert served.rows("SELECT DISTINCT ip_address FROM axes_accessattempt ORDER BY 1") == known


@pytest.mark.parametrize(
    "charset", ["rot13", "hex", "undefined", "utf-16", "latin-1", "utf-8; a*=nowhere''b"]
)
@pytest.mark.parametrize("path", ["/log-in/", "/edge/v1/login"])
def test_a_body_in_another_charset_is_refused_with_a_sentence(
    served: Served, path: str, charset: str
) -> None:
    with served.client() as client:
        answer = client.post(path, content=b"a=b", headers={"Content-Type": f"text/x; charset={charset}"})
    assert answer.status_code == 415 and "Send the body in UTF-8." in answer.text


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("/log-in/", 2**17, 413),
        ("/healthz", PAGES.largest + 1, 413),
        ("/edge/v1/login", 2**17, 413),
        ("/edge/v1/telemetry", 2**21, 401),
        ("/edge/v1/telemetry", 8 * 2**20, 401),
        ("/edge/v1/telemetry", 9 * 2**20, 413),
        ("/sase/applications/import/", 10_000_000, 403),  # no token of a form
        ("/sase/applications/import/", 12 * 2**20, 413),
    ],
)
def test_each_path_takes_bodies_up_to_a_size(served: Served, path: str, size: int, status: int) -> None:
    with served.client() as client:
        answer = client.post(path, content=b"0" * size)
    assert answer.status_code == status
    if status == 413 and path.startswith("/edge/"):
        assert answer.json()["error"]["code"] == "BodyTooLarge"


def test_who_is_slow_is_hung_up_on(served: Served) -> None:
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(served.connect(tls=False))
        unfinished = stack.enter_context(served.connect())
        unfinished.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        stalled = stack.enter_context(served.connect())
        stalled.sendall(request("POST /log-in/", b"username=", length=1000))
        assert rest_of(silent) == b""
        for connection in (unfinished, stalled):
            assert rest_of(connection).startswith(b"HTTP/1.1 408 ")


@linux
def test_an_address_has_so_many_connections_and_others_have_theirs(served: Served) -> None:
    def alive() -> int:
        return sum(still_open(each) for each in crowd)

    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(served.connect(ELSEWHERE, tls=False)) for _ in range(PER_ADDRESS + 50)]
        served.until(lambda: alive() == PER_ADDRESS, "so many of one address are open")
        assert served.answers(), "another address is served"
    served.until(lambda: reaches(served, ELSEWHERE), "places are free again")


def still_open(connection: object) -> bool:
    assert hasattr(connection, "setblocking") and hasattr(connection, "recv")
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def reaches(served: Served, address: str) -> bool:
    try:
        with served.connect(address) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            return rest_of(connection).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


@linux
def test_an_address_that_asks_too_often_is_told_so_and_others_are_served(served: Served) -> None:
    with served.client("127.0.0.8") as client:
        statuses: list[int] = []
        while 429 not in statuses and len(statuses) < 1000:
            answer = client.post("/sase/applications/import/", content=b"")
            statuses.append(answer.status_code)
        assert answer.status_code == 429 and answer.headers["Retry-After"] == "10"
        assert "from your address" in answer.text
    with served.client(ELSEWHERE) as other:
        assert other.post("/sase/applications/import/", content=b"").status_code == 403


@linux
def test_passwords_from_an_address_have_a_pace_of_their_own(served: Served) -> None:
    with served.client("127.0.0.10") as client:
        statuses: list[int] = []
        while 503 not in statuses and len(statuses) < 200:
            answer = client.post("/edge/v1/login", json={})
            statuses.append(answer.status_code)
        assert answer.status_code == 503 and answer.headers["Retry-After"] == "2"
        assert client.post("/edge/v1/session/renew", json={}).status_code == 422, "sessions go on"
    with served.client(ELSEWHERE) as other:
        assert other.post("/edge/v1/login", json={}).status_code == 422


@linux
def test_slow_bodies_and_silent_connections_keep_nobody_waiting(served: Served) -> None:
    with contextlib.ExitStack() as stack:
        for path in ("/log-in/", "/edge/v1/login", "/edge/v1/gateway/config", "/edge/v1/telemetry") * 12:
            slow = stack.enter_context(served.connect(ELSEWHERE))
            slow.sendall(request(f"POST {path}", b"{", length=60_000))
        for _ in range(100):
            stack.enter_context(served.connect(ELSEWHERE, tls=False))
        assert served.answers()
        with served.client() as client:
            assert client.get("/log-in/").status_code == 200
            assert client.post("/edge/v1/gateway/config", json={}).status_code == 401
            assert client.post("/edge/v1/telemetry", json={}).status_code == 401
