"""Log of suspicious requests: a line each, by which no stranger fills the log."""

import io
import logging
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils.module_loading import import_string


@pytest.fixture
def log() -> Any:
    """What the console's handler writes, with the filters and the form that the settings give it."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    wanted: Any = settings.LOGGING
    for name in wanted["handlers"]["stderr"]["filters"]:
        handler.addFilter(import_string(wanted["filters"][name]["()"])())
    handler.setFormatter(logging.Formatter(wanted["formatters"]["line"]["format"]))
    logging.getLogger().addHandler(handler)
    yield written
    logging.getLogger().removeHandler(handler)


def lines(log: io.StringIO, name: str) -> list[str]:
    assert "Traceback" not in log.getvalue() and "  File" not in log.getvalue()
    return [line for line in log.getvalue().splitlines() if f" {name}: " in line]


@pytest.mark.django_db
def test_a_wrong_host_is_a_line(log: io.StringIO) -> None:
    answer = Client(raise_request_exception=False).get("/log-in/", HTTP_HOST="wrong.example.net")
    assert answer.status_code == 400
    (line,) = lines(log, "django.security.DisallowedHost")
    assert "wrong.example.net" in line


@pytest.mark.django_db
def test_a_refused_lookup_of_django_admin_is_a_line(superuser_client: Client, log: io.StringIO) -> None:
    superuser_client.raise_request_exception = False
    assert superuser_client.get("/admin/console/user/?password__regex=^argon2").status_code == 400
    assert len(lines(log, "django.security.DisallowedModelAdminLookup")) == 1


def test_a_failure_of_the_console_keeps_its_traceback(log: io.StringIO) -> None:
    try:
        raise RuntimeError("ours")
    except RuntimeError:
        logging.getLogger("django.request").exception("failed")
    assert "Traceback" in log.getvalue()
