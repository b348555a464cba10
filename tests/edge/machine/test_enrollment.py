"""Enrollment: all or nothing; renewal: the same keys, one rename."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from edge.home import Home
from edge.machine.api import ApiRefused, ConsoleApi, ConsoleUnreachable
from edge.machine.enrollment import EnrollmentError, enroll, renew, renewal_due
from edge.protocol.enrollment import Kind
from tests.edge.console_lab import FakeConsole, refusal
from tests.edge.gateway_pki import Authority

NAMES = {
    "outer": ["server-1", "uri:connector-1"],
    "inner": ["connector-1"],
    "tunnel": ["gateway.causeway.internal", "gateway-1"],
    "access": ["127.0.0.1"],
}


@pytest.fixture
def console() -> Iterator[FakeConsole]:
    with FakeConsole().running() as running:
        yield running


@pytest.fixture
def authority() -> Authority:
    return Authority()


def signed(authority: Authority, requests: dict[str, str], *, days: float = 10) -> dict[str, str]:
    keys = {name: x509.load_pem_x509_csr(pem.encode()).public_key() for name, pem in requests.items()}
    return {name: authority.sign(key, NAMES[name], days=days).decode() for name, key in keys.items()}


def admit(authority: Authority, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    server = body["kind"] == "server"
    return 200, {
        "id": "server-1" if server else "gateway-1",
        "kind": body["kind"],
        **({"connector": "connector-1"} if server else {}),
        "certificates": signed(authority, body["csrs"]),
        "ca": authority.pem.decode(),
        "config": {"version": 3},
    }


@pytest.mark.parametrize(
    ("kind", "names", "configuration"),
    [("server", ["inner", "outer"], "config.json"), ("gateway", ["access", "tunnel"], "snapshot.json")],
)
def test_an_enrollment_leaves_keys_certificates_identity_and_configuration(
    tmp_path: Path,
    console: FakeConsole,
    authority: Authority,
    kind: Kind,
    names: list[str],
    configuration: str,
) -> None:
    console.answers["enroll"] = lambda body: admit(authority, body)
    home = Home(tmp_path / "home")
    identity = asyncio.run(enroll(home, console.url, "ABCD-EFGH-JKMN", kind))
    body = console.bodies("enroll")[0]
    assert body["code"] == "ABCD-EFGH-JKMN" and sorted(body["csrs"]) == names
    assert home.identity == identity and identity.console == console.url
    assert home.read_json(configuration) == {"version": 3}
    expected = {"ca.pem", *(f"{name}.{kind}" for name in names for kind in ("key", "pem"))}
    assert set(home.read_pki()) == expected
    for name in expected:
        assert (home.path / "pki" / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("code", ["EnrollmentCodeUnknown", "EnrollmentCodeUsed", "EnrollmentCodeExpired"])
def test_a_refused_code_leaves_nothing(tmp_path: Path, console: FakeConsole, code: str) -> None:
    console.answers["enroll"] = lambda body: (403, refusal(code, "This code does not do."))
    with pytest.raises(ApiRefused, match="This code does not do"):
        asyncio.run(enroll(Home(tmp_path / "home"), console.url, "X", "server"))
    assert not (tmp_path / "home").exists()


def test_certificates_for_another_key_are_not_taken(
    tmp_path: Path, console: FakeConsole, authority: Authority
) -> None:
    def answer(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        status, value = admit(authority, body)
        value["certificates"]["inner"] = authority.issue(["connector-1"])[1].decode()
        return status, value

    console.answers["enroll"] = answer
    with pytest.raises(EnrollmentError, match="inner is not for the key"):
        asyncio.run(enroll(Home(tmp_path / "home"), console.url, "X", "server"))
    assert not (tmp_path / "home").exists()


def test_an_enrolled_machine_is_not_enrolled_twice(
    tmp_path: Path, console: FakeConsole, authority: Authority
) -> None:
    console.answers["enroll"] = lambda body: admit(authority, body)
    home = Home(tmp_path / "home")
    asyncio.run(enroll(home, console.url, "X", "server"))
    before = home.read_pki()
    with pytest.raises(EnrollmentError, match="enrolled already"):
        asyncio.run(enroll(home, console.url, "Y", "server"))
    assert home.read_pki() == before and len(console.calls) == 1


def test_a_second_enrollment_at_the_same_time_takes_nothing_from_the_first(
    tmp_path: Path, console: FakeConsole, authority: Authority
) -> None:
    asked, answered = threading.Event(), threading.Event()

    def answer(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if body["code"] != "FIRST":
            return 403, refusal("EnrollmentCodeUsed", "This code was used before.")
        asked.set()
        assert answered.wait(30)
        return admit(authority, body)

    console.answers["enroll"] = answer
    home = Home(tmp_path / "home")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(lambda: asyncio.run(enroll(home, console.url, "FIRST", "server")))
        assert asked.wait(30)
        try:
            with pytest.raises(
                EnrollmentError, match=r"at this moment\. Wait for that command; this code was not used"
            ):
                asyncio.run(enroll(home, console.url, "SECOND", "server"))
        finally:
            answered.set()
        assert first.result(30) == home.identity
    assert set(home.read_pki()) == {"ca.pem", "inner.key", "inner.pem", "outer.key", "outer.pem"}


def test_a_console_that_is_away_and_an_address_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConsoleUnreachable):
        asyncio.run(enroll(Home(tmp_path / "home"), "http://127.0.0.1:1", "X", "server"))
    with pytest.raises(EnrollmentError, match="must be like https"):
        asyncio.run(enroll(Home(tmp_path / "home"), "console.example", "X", "server"))
    assert not (tmp_path / "home").exists()


def test_renewal_keeps_the_keys_and_replaces_the_certificates(
    tmp_path: Path, console: FakeConsole, authority: Authority
) -> None:
    console.answers["enroll"] = lambda body: admit(authority, body)
    console.answers["renew"] = lambda body: (
        200,
        {"certificates": signed(authority, body["csrs"], days=30), "ca": authority.pem.decode()},
    )
    home = Home(tmp_path / "home")
    asyncio.run(enroll(home, console.url, "X", "server"))
    before, due = home.read_pki(), renewal_due(home)
    assert dt.timedelta(days=6) < due - dt.datetime.now(dt.UTC) < dt.timedelta(days=7)

    async def run() -> None:
        async with ConsoleApi(home) as api:
            await renew(home, api)

    asyncio.run(run())
    after = home.read_pki()
    assert after["outer.key"] == before["outer.key"] and after["outer.pem"] != before["outer.pem"]
    assert renewal_due(home) > due + dt.timedelta(days=10)
    assert "authorization" in console.calls[-1][2]
    assert len(list((home.path / "pki").glob("generation-*"))) == 1


def causeway(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge.cli", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.processes
def test_the_command_enrolls_and_never_shows_code_or_traceback(
    tmp_path: Path, console: FakeConsole, authority: Authority
) -> None:
    place = ("--console", console.url, "--home", str(tmp_path / "home"))
    console.answers["enroll"] = lambda body: (
        403,
        refusal("EnrollmentCodeUsed", "This code was used before."),
    )
    refused = causeway("connector", "enroll", *place, CAUSEWAY_CODE="SECRET-CODE")
    assert refused.returncode == 1 and refused.stderr.strip().endswith("This code was used before.")
    console.answers["enroll"] = lambda body: admit(authority, body)
    done = causeway("connector", "enroll", *place, CAUSEWAY_CODE="SECRET-CODE")
    assert done.returncode == 0 and "server-1" in done.stdout
    without = causeway("connector", "enroll", *place)
    assert without.returncode == 1 and "CAUSEWAY_CODE" in without.stderr
    everything = "".join(each.stdout + each.stderr for each in (refused, done, without))
    assert "SECRET-CODE" not in everything and "Traceback" not in everything


@pytest.mark.processes
def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    run = causeway("connector", "run", "--home", str(tmp_path))
    assert run.returncode == 1 and "run the enroll command first" in run.stderr
    assert "Traceback" not in run.stderr
