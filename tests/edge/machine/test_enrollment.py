"""Enrollment: all or nothing; renewal: the same keys, one rename."""

import asyncio
import datetime as dt
import os
import threading
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
from tests.running import causeway

NAMES = {
    "outer": ["server-1", "uri:connector-1"],
    "inner": ["connector-1"],
    "tunnel": ["gateway.causeway.internal", "gateway-1"],
    "access": ["127.0.0.1"],
}


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
async def test_an_enrollment_leaves_keys_certificates_identity_and_configuration(
    tmp_path: Path,
    console: FakeConsole,
    authority: Authority,
    kind: Kind,
    names: list[str],
    configuration: str,
) -> None:
    console.answers["enroll"] = lambda body: admit(authority, body)
    home = Home(tmp_path / "home")
    identity = await enroll(home, console.url, "ABCD-EFGH-JKMN", kind)
    body = console.bodies("enroll")[0]
    assert body["code"] == "ABCD-EFGH-JKMN" and sorted(body["csrs"]) == names
    assert home.identity == identity and identity.console == console.url
    assert home.read_json(configuration) == {"version": 3}
    expected = {"ca.pem", *(f"{name}.{kind}" for name in names for kind in ("key", "pem"))}
    assert set(home.read_pki()) == expected
    for name in expected:
        assert (home.path / "pki" / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("code", ["EnrollmentCodeUnknown", "EnrollmentCodeUsed", "EnrollmentCodeExpired"])
async def test_a_refused_code_leaves_nothing(tmp_path: Path, console: FakeConsole, code: str) -> None:
    console.answers["enroll"] = lambda body: (403, refusal(code, "This code does not do."))
    with pytest.raises(ApiRefused, match="This code does not do"):
        await enroll(Home(tmp_path / "home"), console.url, "X", "server")
    assert not (tmp_path / "home").exists()


async def test_certificates_for_another_key_are_not_taken(
    tmp_path: Path, console: FakeConsole, authority: Authority
) -> None:
    def answer(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        status, value = admit(authority, body)
        value["certificates"]["inner"] = authority.issue(["connector-1"])[1].decode()
        return status, value

    console.answers["enroll"] = answer
    with pytest.raises(EnrollmentError, match="inner is not for the key"):
        await enroll(Home(tmp_path / "home"), console.url, "X", "server")
    assert not (tmp_path / "home").exists()


async def test_an_enrolled_machine_is_not_enrolled_twice(
    tmp_path: Path, console: FakeConsole, authority: Authority
) -> None:
    console.answers["enroll"] = lambda body: admit(authority, body)
    home = Home(tmp_path / "home")
    await enroll(home, console.url, "X", "server")
    before = home.read_pki()
    with pytest.raises(EnrollmentError, match="enrolled already"):
        await enroll(home, console.url, "Y", "server")
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


async def test_a_console_that_is_away_and_an_address_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConsoleUnreachable):
        await enroll(Home(tmp_path / "home"), "http://127.0.0.1:1", "X", "server")
    with pytest.raises(EnrollmentError, match="must be like https"):
        await enroll(Home(tmp_path / "home"), "console.example", "X", "server")
    assert not (tmp_path / "home").exists()


async def test_renewal_keeps_the_keys_and_replaces_the_certificates(
    tmp_path: Path, console: FakeConsole, authority: Authority
) -> None:
    console.answers["enroll"] = lambda body: admit(authority, body)
    ca = {"ca": authority.pem.decode()}
    console.answers["renew"] = lambda body: (
        200,
        ca | {"certificates": signed(authority, body["csrs"], days=30)},
    )
    home = Home(tmp_path / "home")
    await enroll(home, console.url, "X", "server")
    before, due = home.read_pki(), renewal_due(home)
    assert dt.timedelta(days=6) < due - dt.datetime.now(dt.UTC) < dt.timedelta(days=7)

    async with ConsoleApi(home) as api:
        await renew(home, api)
    after = home.read_pki()
    assert after["outer.key"] == before["outer.key"] and after["outer.pem"] != before["outer.pem"]
    assert renewal_due(home) > due + dt.timedelta(days=10)
    assert "authorization" in console.calls[-1][2]
    assert len(list((home.path / "pki").glob("generation-*"))) == 1


@pytest.mark.processes
def test_the_command_enrolls_and_never_shows_code_or_traceback(
    tmp_path: Path, console: FakeConsole, authority: Authority
) -> None:
    place = ("--console", console.url, "--home", str(tmp_path / "home"))
    used = refusal("EnrollmentCodeUsed", "This code was used before.")
    console.answers["enroll"] = lambda body: (403, used)
    given = os.environ | {"CAUSEWAY_CODE": "SECRET-CODE"}
    refused = causeway("connector", "enroll", *place, env=given)
    assert refused.returncode == 1 and refused.stderr.strip().endswith("This code was used before.")
    console.answers["enroll"] = lambda body: admit(authority, body)
    done = causeway("connector", "enroll", *place, env=given)
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
