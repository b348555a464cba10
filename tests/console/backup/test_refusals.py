"""A restore or a check that is refused names the reason and touches nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError
from django.db import connection
from pytest_django import Settings

from console.backup import contents, keys, services, world
from console.core.audit_chain import Walk
from console.machines import config
from console.models import User
from tests.console.backup.commands import made, rows, run
from tests.console.everything import everything

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


@pytest.fixture
def untouched(operator: User, folder: Path) -> Iterator[Path]:
    """A backup of an older moment; the world of now must not change, nor anything come into the folders."""
    file = made(folder)
    everything(operator)
    before, version = rows(), config.current().version
    yield file
    assert rows() == before and config.current().version == version
    assert not [each.name for each in folder.parent.rglob("*") if ".restoring" in each.name]


def refused(file: Path, *arguments: str, key: Path | None = None) -> str:
    with pytest.raises(CommandError) as refusal:
        run("restore", file, *arguments, key=key or file.parent / "key")
    return str(refusal.value)


def test_a_world_is_not_lost_unless_that_is_said(untouched: Path) -> None:
    assert refused(untouched) == world.HOLDS_A_WORLD


def test_a_database_that_others_use_is_left_alone(untouched: Path) -> None:
    other = connection.copy()
    other.ensure_connection()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM console_user")
            cursor.fetchall()
        assert "End console and worker first" in refused(untouched, "--replace")
    finally:
        other.close()


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "without the last byte": (lambda whole: whole[:-1], "damaged or cut short"),
    "half of it": (lambda whole: whole[: len(whole) // 2], "damaged or cut short"),
    "another byte": (lambda whole: whole[:60_000] + b"?" + whole[60_001:], "damaged or cut short"),
    "a byte more": (lambda whole: whole + b"?", "damaged or cut short"),
    "without a piece": (lambda whole: whole[:70_000] + whole[135_552:], "damaged or cut short"),
    "its first line": (lambda whole: whole[:100], "no backup"),
    "another file": (lambda whole: b"hello", "no backup"),
    "nothing": (lambda whole: b"", "no backup"),
}


def test_a_damaged_backup_is_named_before_anything_is_touched(untouched: Path) -> None:
    whole = untouched.read_bytes()
    assert len(whole) > 200_000
    for name, (damage, sentence) in DAMAGES.items():
        damaged = untouched.with_name("damaged")
        damaged.write_bytes(damage(whole))
        assert sentence in refused(damaged, "--replace"), name
        with pytest.raises(CommandError, match=sentence):
            run("backup", damaged, "--check", key=untouched.parent / "key")


def test_another_key_and_the_public_one_are_told_apart(untouched: Path) -> None:
    other = untouched.with_name("other")
    public = keys.make(other)
    assert "The key does not open" in refused(untouched, "--replace", key=other)
    other.write_text(public)
    assert "the public key alone" in refused(untouched, "--replace", key=other)
    other.write_text("a passphrase\n")
    assert "must hold a line with a public key" in refused(untouched, "--replace", key=other)
    assert "cannot be read" in refused(untouched, "--replace", key=untouched.with_name("nowhere"))
    run("backup", untouched.with_name("two"), key=untouched.parent / "key")


def test_a_newer_release_is_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(contents, "version", lambda: "99.1.0")
        file = made(folder)
    assert "Install 99.1.0 or a newer one" in refused(file, "--replace")
    with monkeypatch.context() as newer:
        newer.setattr(world, "applied", lambda: {"console": ["0001_initial", "9999_of_tomorrow"]})
        file = made(folder)
    assert "does not know console.9999_of_tomorrow" in refused(file, "--replace")


def test_keys_that_are_missing_are_named_and_not_shown(untouched: Path, settings: Settings) -> None:
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another-" + "c" * 40
    sentence = refused(untouched, "--replace")
    assert "CAUSEWAY_SECRET_KEY" in sentence and "--settings-to" in sentence and old not in sentence
    settings.SECRET_KEY_FALLBACKS = [old]
    settings.PUBLIC_URL = "https://elsewhere.example"
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = old, []


AUDIT_KEYS = ["newer-" + "n" * 40, "older-" + "o" * 40]


@pytest.mark.parametrize("here", [[], AUDIT_KEYS[:1], AUDIT_KEYS[1:]])
def test_a_key_of_the_audit_that_is_missing_is_named_and_not_shown(
    folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, here: list[str]
) -> None:
    monkeypatch.setenv("CAUSEWAY_AUDIT_KEY", ",".join(AUDIT_KEYS))
    settings.AUDIT_KEYS = AUDIT_KEYS
    run("backup", folder / "before", key=folder / "key")  # its row is signed by the newer key
    file = made(folder)
    settings.AUDIT_KEYS, settings.SEALING_KEYS = here, AUDIT_KEYS  # a key of the sealing chains nothing
    sentence = refused(file, "--replace")
    assert "keys of the backup: CAUSEWAY_AUDIT_KEY. Write" in sentence and "--settings-to" in sentence
    assert not [key for key in AUDIT_KEYS if key in sentence]

    settings.AUDIT_KEYS, settings.SEALING_KEYS = AUDIT_KEYS, []
    assert Walk().to_the_end().problem == ""
    run("restore", file, "--replace", key=folder / "key")
    assert Walk().to_the_end().problem == ""


NO_BACKUPS = {
    "a database": b"SQLite format 3\0" + bytes(4080),
    "its -wal": b"\x37\x7f\x06\x82" + bytes(28),
    "an empty file": b"",
    "nearly a backup": b"age-encryption.org/v2\n",
}


@pytest.mark.parametrize("content", NO_BACKUPS.values(), ids=NO_BACKUPS)
def test_a_backup_takes_the_place_of_no_other_file(folder: Path, content: bytes) -> None:
    other = folder / "other"
    other.write_bytes(content)
    assert "exists and is no backup" in not_made(other)
    assert other.read_bytes() == content


def test_a_backup_takes_the_place_of_no_key_folder_or_link(folder: Path) -> None:
    secret = (folder / "key").read_bytes()
    (folder / "link").symlink_to(folder / "key")
    (folder / "folder").mkdir()
    for name in ("key", "link", "folder"):
        assert "Give a name that nothing has" in not_made(folder / name), name
    assert (folder / "key").read_bytes() == secret and (folder / "link").is_symlink()


def test_a_file_that_comes_while_the_backup_is_made_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The -wal of an SQLite database that nobody uses comes when the backup itself reads that database."""
    late, real = folder / "late", contents.members

    def members() -> Iterator[bytes]:
        late.write_bytes(b"changes")
        yield from real()

    monkeypatch.setattr(contents, "members", members)
    assert "exists and is no backup" in not_made(late)
    assert late.read_bytes() == b"changes"


def not_made(target: Path) -> str:
    """Return why a backup is refused, of which nothing is left."""
    before = sorted(target.parent.iterdir())
    with pytest.raises(CommandError) as refusal:
        run("backup", target, key=target.parent / "key")
    assert set(target.parent.iterdir()) <= {*before, target}
    return str(refusal.value)


def test_a_restore_that_fails_midway_leaves_all_as_it_was(
    untouched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> dict[str, int]:
        raise KeyboardInterrupt

    monkeypatch.setattr(services, "_end_the_past", fail)
    with pytest.raises(KeyboardInterrupt):
        run("restore", untouched, "--replace", key=untouched.parent / "key")
    monkeypatch.undo()
