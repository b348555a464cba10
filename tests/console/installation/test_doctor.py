"""``causeway-console doctor``: each fault of a deployment is found, and its fix is named."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from django.conf import LazySettings

from console.core import audit, environment_file
from console.installation.checks import data, served
from console.work import heartbeat
from tests.console.factories import UserFactory
from tests.console.installation.installed import Installed
from tests.edge.gateway_pki import Authority
from tests.ports import free_port


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    made = Installed(tmp_path_factory.mktemp("doctor"))
    made.prepare()
    done = made.setup()
    assert done.returncode == 0, done.stderr
    return made


@contextmanager
def changed(place: Installed, **variables: str) -> Iterator[None]:
    before = place.settings()
    values = {f"CAUSEWAY_{name}": value for name, value in variables.items()}
    environment_file.write(place.file, before | values, "of a test")
    try:
        yield
    finally:
        environment_file.write(place.file, before, "of a test")


@contextmanager
def moved(path: Path) -> Iterator[None]:
    away = path.with_name(f".{path.name}.away")
    path.rename(away)
    try:
        yield
    finally:
        away.rename(path)


@contextmanager
def opened(path: Path) -> Iterator[None]:
    before = path.stat().st_mode & 0o777
    path.chmod(0o755)
    try:
        yield
    finally:
        path.chmod(before)


Break = Callable[[Installed], object]
FAULTS: dict[str, tuple[Break, str, str, str]] = {
    "open file": (lambda p: opened(p.file), "environment file", "holds the keys", "chmod 600"),
    "open folder": (lambda p: opened(p.state), "state directory", "may look into", "chmod go="),
    "no key of its own": (
        lambda p: changed(p, SEALING_KEYS=""),
        "environment file",
        "is not set",
        "rotate_secrets",
    ),
    "no static files": (lambda p: moved(p.state / "static"), "static files", "were not collected", "setup"),
    "no wheel": (lambda p: moved(p.state / "wheel"), "wheel", "holds no wheel", "setup --wheel"),
    "no tables": (lambda p: moved(p.state / "causeway.sqlite3"), "tables", "are not applied", "setup"),
    "a setting": (lambda p: changed(p, AUDIT_KEPT_DAYS="x"), "settings", "AUDIT_KEPT_DAYS", "Put "),
    "no certificate": (
        lambda p: changed(p, TLS_CERTIFICATE="/x", TLS_KEY="/y"),
        "certificate",
        "/x cannot",
        "Renew",
    ),
    "nobody at the mail server": (
        lambda p: changed(p, MAIL_FROM="c@example.com", MAIL_HOST="127.0.0.1", MAIL_PORT=str(free_port())),
        "mail",
        "takes no mail",
        "CAUSEWAY_MAIL_",
    ),
    "nobody at the address": (
        lambda p: opened(p.wheel),
        "address",
        "cannot be reached",
        "Nothing listens at",
    ),
    "no worker": (lambda p: opened(p.wheel), "worker", "No worker has run", "worker"),
    "no backup": (lambda p: opened(p.wheel), "backup", "No backup", "manage backup"),
}


@pytest.mark.processes
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_with_its_fix(place: Installed, fault: str) -> None:
    broken, name, finding, fix = FAULTS[fault]
    with broken(place):  # type: ignore[attr-defined]
        found = place.findings()[name]
    assert found["severity"] != "ok" and finding in found["finding"] and fix in found["fix"], found


@pytest.mark.processes
def test_words_for_people_name_the_fix_and_the_exit_code_tells(place: Installed) -> None:
    done = place.run("doctor", "--wait", "0")
    assert done.returncode == 1
    assert "  error   worker: No worker has run on this machine" in done.stdout
    assert "          Do this: systemctl restart causeway-worker" in done.stdout
    assert "          Better: causeway-console manage backup" in done.stdout


@pytest.mark.processes
def test_a_port_that_another_program_has_is_told_apart(place: Installed) -> None:
    with closing(socket.create_server(("127.0.0.1", place.port))) as other:
        other.settimeout(0)
        found = place.findings()["address"]
    assert "ss -ltnp" in found["fix"], found


@pytest.mark.parametrize(
    ("names", "days", "severity", "words"),
    [
        (["console.example.com"], 80, "ok", "holds until"),
        (["*.example.com"], 80, "ok", "holds until"),
        (["*.com"], 80, "error", "is not of console.example.com"),
        (["console.example.com"], 10, "warning", "in 9 days"),
        (["console.example.com"], -0.002, "error", "has ended"),
    ],
)
def test_a_certificate_is_looked_at(
    tmp_path: Path, settings: LazySettings, names: list[str], days: float, severity: str, words: str
) -> None:
    key, certificate = Authority().issue(names, days=days)
    settings.PUBLIC_URL, settings.TLS_CERTIFICATE, settings.TLS_KEY = (
        "https://console.example.com",
        str(tmp_path / "chain"),
        str(tmp_path / "key"),
    )
    (tmp_path / "chain").write_bytes(certificate)
    (tmp_path / "key").write_bytes(key)
    (found,) = served.certificate()
    assert found.severity == severity and words in found.finding


@pytest.mark.parametrize(
    ("seconds", "severity"), [(0, "ok"), (3600, "error"), (-3600, "warning"), (None, "error")]
)
def test_a_worker_is_known_by_its_signs_of_life(
    tmp_path: Path, settings: LazySettings, seconds: float | None, severity: str
) -> None:
    settings.STATE_DIR = tmp_path
    if seconds is not None:
        heartbeat.beat()
        then = time.time() - seconds
        os.utime(tmp_path / heartbeat.FILE, (then, then))
    (found,) = data.worker()
    assert found.severity == severity and bool(found.fix) == (severity != "ok")


@pytest.mark.django_db
def test_backup_administrator_and_secrets_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "CONNECTIONS", 1)  # whatever the PostgreSQL of the tests allows
    assert [each.severity for each in data.administrator()] == ["error"]
    user = UserFactory(role="administrator", is_staff=True)
    assert [each.severity for each in data.administrator()] == ["ok"]
    assert [each.severity for each in data.backup()] == ["warning"]
    audit.record(actor=user, verb="backup.create", target=user)
    (found,) = data.backup()
    assert found.severity == "ok" and "0 seconds old" in found.finding
    assert [each.severity for each in (*data.secrets(), *data.tables(), *data.database())] == ["ok"] * 3
