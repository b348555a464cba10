"""Backup and restore: the world comes back whole or stays untouched, and what must not go on has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from connectors.telemetry import partitions
from console.backup import archive, contents, keys, services, variables, world
from console.core.audit_chain import Walk
from console.machines import config, enrollment, logs, pki
from console.models import (
    AreaUpgrade,
    AuditRow,
    EnrollmentCode,
    Gateway,
    GatewayUpgrade,
    LogExport,
    LogIn,
    PasswordLink,
    PastEpoch,
    PushChannel,
    User,
)  # fmt: skip
from console.push import services as push
from edge.protocol.identity import TokenRefused
from roaming.models import UserSession
from roaming.sessions import tokens
from tests.connectors.factories import ACTOR
from tests.console.backup.commands import CONTENT, WHEEL, made, rows, run
from tests.console.everything import everything

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


def test_the_world_comes_back_whole_with_its_wheel_and_goes_on(
    folder: Path, operator: User, settings: Settings
) -> None:
    settings.PUSH_ALLOW_PRIVATE = True
    everything(operator)
    before, authority, session = rows(), pki.ca_pem(), UserSession.objects.get()
    file = made(folder)
    assert oct(file.stat().st_mode & 0o777) == "0o600"
    stamp = (settings.WHEEL_DIR / WHEEL).stat().st_mtime

    Gateway.objects.update(public_host="203.0.113.9")
    PushChannel.objects.all().delete()
    (settings.WHEEL_DIR / WHEEL).unlink()
    said = run("restore", file, "--replace", key=folder / "key")

    assert rows() == before and pki.ca_pem() == authority
    assert Walk().to_the_end().problem == ""
    wheel = settings.WHEEL_DIR / WHEEL
    assert wheel.read_bytes() == CONTENT and wheel.stat().st_mtime == int(stamp)
    assert oct(wheel.stat().st_mode & 0o777) == "0o600"
    assert "1 user sessions" in said
    row = AuditRow.objects.get(verb="backup.restore")
    assert row.after["file"] == "one" and row.after["user sessions ended"] == 1
    assert UserSession.objects.get(pk=session.pk).end_reason == "kicked"
    # Rows that are made now get ids behind those of the backup.
    hook = push.channel_create(name="hook", kind="webhook", url="http://127.0.0.1:9/x", actor=ACTOR)[0]
    assert AuditRow.objects.latest("id").target == hook.pk
    everything(operator)


def test_both_commands_write_audit_rows(folder: Path) -> None:
    file = made(folder)
    row = AuditRow.objects.get(verb="backup.create")
    assert (row.actor, row.after) == ("console command", {"file": "one", "bytes": file.stat().st_size})
    run("backup", file, "--check", key=folder / "key")
    assert AuditRow.objects.filter(verb__startswith="backup").count() == 1


def test_a_restore_begins_a_new_epoch_above_the_numbers_of_before(folder: Path) -> None:
    before = config.current()
    file = made(folder)
    run("restore", file, "--replace", key=folder / "key")
    now = config.current()
    assert now.epoch != before.epoch
    assert now.version > before.version and now.servers_version > before.servers_version
    assert PastEpoch.objects.get(pk=before.epoch).reason == "A backup was restored."
    row = AuditRow.objects.get(verb="configuration.epoch")
    assert row.after["reason"] == "A backup was restored."


def test_what_must_not_go_on_has_ended(folder: Path, operator: User, operator_client: Client) -> None:
    ids = everything(operator)
    token = tokens.sign(UserSession.objects.get())
    enrollment.code_create(kind="gateway", target="gateway-x", actor=ACTOR)
    LogExport.objects.all().delete()
    logs.export_ask(machine=str(ids["gateway_id"]), actor=ACTOR)
    run_ = AreaUpgrade.objects.create(
        area_id="mainland-china", version="9", wheel="w", sha256="0" * 64, drain_seconds=60, started_by="x"
    )
    step = GatewayUpgrade.objects.create(
        upgrade=run_, gateway_id=ids["gateway_id"], position=0, state="draining", started_at=timezone.now()
    )
    file, signed_by = made(folder), set(pki.session_public_keys())
    said = run("restore", file, "--replace", key=folder / "key")

    for words in (
        "2 log-ins",
        "1 links for passwords",
        "1 enrollment codes",
        "1 exports of logs",
        "1 upgrades of gateways",
    ):
        assert words in said
    assert not PasswordLink.objects.exists()
    assert not LogIn.objects.exists() and operator_client.get("/gateways/").status_code == 302
    assert not EnrollmentCode.objects.filter(used_at=None, revoked_at=None).exists()
    assert LogExport.objects.get().message == "Ended, because a backup was restored."
    run_.refresh_from_db()
    step.refresh_from_db()
    assert (run_.state, step.state) == ("cancelled", "skipped")
    with pytest.raises((tokens.TokenInvalid, TokenRefused)):
        tokens.read(token)
    assert not set(pki.session_public_keys()) & signed_by
    assert not UserSession.objects.filter(ended_at=None).exists()


@pytest.mark.postgres
def test_keys_indexes_and_days_are_made_as_they_were(folder: Path) -> None:
    partitions.ensure([date(2026, 1, 2), date(2026, 1, 3)])
    before, file = _shape(), made(folder)
    run("restore", file, "--replace", key=folder / "key")
    assert _shape() == before and partitions.days().keys() >= {date(2026, 1, 2), date(2026, 1, 3)}


def _shape() -> list[Any]:
    names = "SELECT c.relname, c.relkind, c.relpersistence, pg_get_expr(c.relpartbound, c.oid) FROM pg_class c WHERE"
    indexes = "SELECT indexrelid::regclass::text, indisvalid, pg_get_indexdef(indexrelid) FROM pg_index WHERE"
    constraints = (
        "SELECT conrelid::regclass::text, conname, convalidated, pg_get_constraintdef(oid) FROM pg_constraint"
    )
    schema = "current_schema()::regnamespace"
    queries = [
        f"{names} relnamespace = {schema} AND relkind IN ('r', 'p', 'S')",
        f"{indexes} indexrelid IN (SELECT oid FROM pg_class WHERE relnamespace = {schema})",
        f"{constraints} WHERE connamespace = {schema}",
    ]
    found = []
    with connection.cursor() as cursor:
        for query in queries:
            cursor.execute(query)
            found.append(sorted(map(str, cursor.fetchall())))
    return found


# -- Consistent while the console runs


def test_a_backup_is_of_one_moment_while_the_console_writes(folder: Path) -> None:
    """Each change is a channel and its audit row: at every moment there are as many of the one as of the other."""
    stop, written = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def write() -> None:
        try:
            number = 0
            while not stop.is_set():
                push.channel_create(
                    name=f"duty {number}", kind="email", recipients="a@corp.example", actor=ACTOR
                )
                number += 1
                if number == 3:
                    written.set()
        except BaseException as error:
            failures.append(error)
            written.set()
        finally:
            connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert written.wait(60)
        file = made(folder)
    finally:
        stop.set()
        thread.join(60)
    assert not failures
    run("restore", file, "--replace", key=folder / "key")
    channels = PushChannel.objects.count()
    assert channels >= 3 and AuditRow.objects.filter(verb="push_channel.create").count() == channels
    assert Walk().to_the_end().problem == ""


# -- Making


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_backup_leaves_the_one_before_and_no_half_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    file = made(folder)
    before = file.read_bytes()
    real = contents.members

    def interrupted() -> Iterator[bytes]:
        for place, block in enumerate(real()):
            if place == 5:
                os.kill(os.getpid(), number)
            yield block

    monkeypatch.setattr(contents, "members", interrupted)
    # A shell that starts a command in the background has it ignore an interrupt.
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises((SystemExit, KeyboardInterrupt)):
        run("backup", file, key=folder / "key")
    signal.signal(signal.SIGINT, heard)
    assert sorted(each.name for each in folder.iterdir()) == ["key", "one"]
    assert file.read_bytes() == before
    assert not list(Path(django_settings.STATE_DIR).glob(".backup-*"))


def test_a_backup_has_no_secret_in_clear_and_is_made_by_the_public_key_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = folder / "public"
    public.write_text((folder / "key").read_text().splitlines()[0].rpartition(" ")[2])
    run("backup", folder / "one", key=public)
    whole = (folder / "one").read_bytes()
    assert b"console_user" not in whole and django_settings.SECRET_KEY.encode() not in whole
    assert "is whole: release" in run("backup", folder / "one", "--check", key=folder / "key")
    monkeypatch.setenv("CAUSEWAY_SEALING_KEYS", public.read_text())
    with pytest.raises(CommandError, match="would lie in the backup"):
        run("backup", folder / "one", key=public)


@pytest.mark.processes
def test_settings_are_written_for_a_shell(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = "a 'quoted' \"word\" $HOME `id` \\ \n and a line"
    monkeypatch.setenv("CAUSEWAY_MAIL_PASSWORD", odd)
    monkeypatch.setenv("CAUSEWAY_STATE_DIR", "/of/the/old/place")
    file, target = made(folder), folder / "causeway.env"
    run("restore", file, "--settings-to", target, key=folder / "key")
    assert oct(target.stat().st_mode & 0o777) == "0o600"
    assert "CAUSEWAY_STATE_DIR" not in target.read_text() and "DATABASE_URL" not in target.read_text()
    shell = f'. {target}; printf %s "$CAUSEWAY_MAIL_PASSWORD"; printf \'|%s\' "$CAUSEWAY_SECRET_KEY"'
    said = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True, env={}).stdout
    assert said == f"{odd}|{django_settings.SECRET_KEY}"
    assert variables.present()["CAUSEWAY_MAIL_PASSWORD"] == odd
    with pytest.raises(CommandError, match="cannot be written"):
        run("restore", file, "--settings-to", target, key=folder / "key")


def test_a_backup_of_an_older_release_is_migrated(folder: Path, operator: User) -> None:
    call_command("migrate", "roaming", "0007", verbosity=0)
    try:
        assert not [name for name in world.applied()["roaming"] if name.startswith("0009")]
        archive.write(
            folder / "old", keys.public((folder / "key").read_text().splitlines()), contents.members()
        )
    finally:
        call_command("migrate", verbosity=0)
    run("restore", folder / "old", "--replace", key=folder / "key")
    assert [name for name in world.applied()["roaming"] if name.startswith("0009")]
    everything(User.objects.get(pk=operator.pk))


def test_what_is_other_than_in_the_backup_is_said(folder: Path, settings: Settings) -> None:
    file = made(folder)
    settings.PUBLIC_URL = "https://elsewhere.example"
    (settings.WHEEL_DIR / WHEEL).write_bytes(b"another")
    os.environ["CAUSEWAY_MAIL_HOST"] = "mail.example"
    try:
        found = services.restore(
            path=file, key=keys.secret(keys.lines_of(str(folder / "key"))), replace=True, actor=ACTOR
        )
    finally:
        del os.environ["CAUSEWAY_MAIL_HOST"]
    assert "Machines call http://testserver, and this console is https://elsewhere.example" in found.notes[0]
    assert found.notes[1] == "Settings other than in the backup: CAUSEWAY_MAIL_HOST."
    assert (settings.WHEEL_DIR / WHEEL).read_bytes() == CONTENT


def test_the_clock_of_the_backup_is_told(folder: Path) -> None:
    before = time.time()
    said = run("backup", made(folder), "--check", key=folder / "key")
    assert time.strftime("%Y-%m-%d", time.gmtime(before)) in said
