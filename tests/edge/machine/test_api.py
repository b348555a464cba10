"""Calls to the console: signed, corrected for a wrong clock, and every failure told apart."""

import base64
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from edge.home import CONSOLE_CA, Home, Identity, NotEnrolled
from edge.machine.api import ApiRefused, ConsoleApi, ConsoleUnreachable
from edge.protocol.message import Message
from tests.edge.connector_lab import enrolled_server
from tests.edge.console_lab import FakeConsole, refusal
from tests.edge.gateway_pki import Authority
from tests.secured import server_context


@pytest.fixture
def home(tmp_path: Path, console: FakeConsole) -> Home:
    return enrolled_server(tmp_path / "home", Authority(), "server-1", "connector-1", console=console.url)


class Note(Message, frozen=True):
    """Message of a call that no machine makes."""

    text: str = ""


async def call(home: Home, note: Note = Note(), **options: Any) -> Note:  # noqa: B008
    async with ConsoleApi(home, **options) as api:
        return await api.call("telemetry", note, Note)


def claims_of(home: Home, token: str) -> dict[str, Any]:
    certificate = x509.load_pem_x509_certificate(home.read_pki()["outer.pem"])
    key = certificate.public_key()
    assert isinstance(key, EllipticCurvePublicKey)
    return jwt.decode(token, key, algorithms=["ES256"], options={"verify_iat": False})


async def test_a_call_is_signed_over_method_path_and_body(home: Home, console: FakeConsole) -> None:
    console.answers["telemetry"] = lambda body: (200, {"text": "taken", "of_a_newer_release": 1})
    assert await call(home, Note("ä")) == Note("taken")
    _, body, headers = console.calls[0]
    scheme, token = headers["authorization"].split()
    assert scheme == "Bearer" and jwt.get_unverified_header(token)["kid"] == "server-1"
    claims = claims_of(home, token)
    sent = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    digest = base64.urlsafe_b64encode(hashlib.sha256(sent).digest()).rstrip(b"=").decode()
    assert (claims["htm"], claims["htu"], claims["bsh"]) == ("POST", "/edge/v1/telemetry", digest)
    assert claims["exp"] - claims["iat"] == 60


async def test_a_wrong_clock_is_corrected_from_the_date_header(home: Home, console: FakeConsole) -> None:
    console.clock_offset = 7200.0

    def answer(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        token = console.calls[-1][2]["authorization"].split()[1]
        issued = jwt.decode(token, options={"verify_signature": False})["iat"]
        if abs(issued - time.time() - 7200) > 60:
            return 401, refusal("ClockSkew")
        return 200, {"text": "taken"}

    console.answers["telemetry"] = answer
    assert await call(home) == Note("taken")
    assert len(console.calls) == 2


async def test_a_clock_that_cannot_be_corrected_is_refused_once_more_and_then_told(
    home: Home, console: FakeConsole
) -> None:
    console.answers["telemetry"] = lambda body: (401, refusal("ClockSkew", "Your clock is wrong."))
    with pytest.raises(ApiRefused, match="Your clock is wrong"):
        await call(home)
    assert len(console.calls) == 2


async def test_a_refusal_carries_status_code_and_sentence(home: Home, console: FakeConsole) -> None:
    console.answers["telemetry"] = lambda body: (403, refusal("MachineUnknown", "This server was removed."))
    with pytest.raises(ApiRefused) as caught:
        await call(home)
    assert (caught.value.status, caught.value.code) == (403, "MachineUnknown")
    assert str(caught.value) == "This server was removed."


@pytest.mark.parametrize("status", [500, 503, 302])
async def test_a_failing_console_is_unreachable(home: Home, console: FakeConsole, status: int) -> None:
    console.answers["telemetry"] = lambda body: (status, {})
    with pytest.raises(ConsoleUnreachable):
        await call(home)


@pytest.mark.parametrize("answer", ["", "null", "[]", "7", '{"text": 7}'])
async def test_an_answer_of_another_kind_is_none(home: Home, answer: str) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text=answer))
    with pytest.raises(ConsoleUnreachable, match="answer"):
        await call(home, transport=transport)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("7", 7.0), ("999999999", 3600.0), ("-1", None), ("nan", None), ("Sat, 21 Nov 2026", None)],
)
async def test_when_to_come_back_is_passed_on(home: Home, said: str, seconds: float | None) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(503, headers={"Retry-After": said}))
    with pytest.raises(ConsoleUnreachable) as caught:
        await call(home, transport=transport)
    assert caught.value.retry_after == seconds


async def test_nobody_listening_is_unreachable(tmp_path: Path) -> None:
    home = enrolled_server(tmp_path / "home", Authority(), "server-1", "connector-1")
    with pytest.raises(ConsoleUnreachable, match="cannot be reached"):
        await call(home)


def test_a_folder_without_identity_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotEnrolled, match="run the enroll command first"):
        ConsoleApi(Home(tmp_path))
    home = Home(tmp_path)
    home.write_identity(Identity("server-1", "server", "http://127.0.0.1:1"))
    with pytest.raises(NotEnrolled, match=r"outer\.key"):
        ConsoleApi(home)


async def test_a_machine_trusts_its_console_by_the_ca_in_its_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machines' own CA, in the same home, does not speak for the console."""
    console, company = FakeConsole(), Authority()
    console.answers["telemetry"] = lambda body: (200, {"text": "taken"})
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with console.running(server_context(tmp_path, company, "127.0.0.1")):
        machines = Authority()
        home = enrolled_server(tmp_path / "home", machines, "server-1", "connector-1", console=console.url)
        with pytest.raises(ConsoleUnreachable, match="run the console's Deploy command again"):
            await call(home)
        home.write_atomic(CONSOLE_CA, machines.pem)
        with pytest.raises(ConsoleUnreachable, match="issued by CN=Test CA"):
            await call(home)
        home.write_atomic(CONSOLE_CA, company.pem)
        assert await call(home) == Note("taken")
