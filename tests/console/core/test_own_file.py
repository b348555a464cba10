"""Files of the console are readable to nobody else on its machine."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db.utils import ConnectionHandler
from pytest_django import Settings


@pytest.mark.django_db
def test_a_database_in_a_file_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "causeway.sqlite3"
    file.touch(0o644)
    engine = {"ENGINE": "django.db.backends.sqlite3", "NAME": file}
    connection = ConnectionHandler({"default": engine})["default"]
    try:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("CREATE TABLE secrets (one TEXT)")
            modes = {each.name: oct(each.stat().st_mode & 0o777) for each in tmp_path.iterdir()}
            assert modes == dict.fromkeys((file.name, f"{file.name}-wal", f"{file.name}-shm"), "0o600")
    finally:
        connection.close()


@pytest.mark.django_db
def test_a_state_directory_that_is_open_to_others_is_warned_of(tmp_path: Path, settings: Settings) -> None:
    settings.STATE_DIR = tmp_path
    for mode, warned in ((0o755, True), (0o700, False)):
        tmp_path.chmod(mode)
        said = StringIO()
        call_command("check", "--deploy", stderr=said)
        assert ("causeway.W001" in said.getvalue()) is warned
