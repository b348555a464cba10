from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from console.backup import keys
from tests.console.backup.commands import CONTENT, WHEEL


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Path:
    """A folder for backups with a key, beside a console that has a wheel."""
    settings.WHEEL_DIR = tmp_path / "wheel"
    settings.WHEEL_DIR.mkdir()
    (settings.WHEEL_DIR / WHEEL).write_bytes(CONTENT)
    folder = tmp_path / "backups"
    folder.mkdir()
    keys.make(folder / "key")
    return folder


@pytest.fixture(autouse=True)
def known_to_later_tests() -> Iterator[None]:
    yield
    from django.contrib.contenttypes.models import ContentType

    ContentType.objects.clear_cache()
