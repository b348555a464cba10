"""A console's database and static files, made once for all tests of its front."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.console.front.served import Served


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a console that does not run."""
    console = Served(tmp_path_factory.mktemp("made"))
    console.make()
    return console.folder
