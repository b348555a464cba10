"""What a call asks the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def queries(call: Callable[..., Any], *args: Any, **more: Any) -> list[str]:
    """The SQL of every query of that call. A page that does not come costs nothing, and fails here."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        answer = call(*args, **more)
    assert getattr(answer, "status_code", 200) == 200, answer
    return [query["sql"] for query in captured.captured_queries]
