"""Reading answers in tests."""

from __future__ import annotations

from typing import Any

HTMX_PANEL = {"HX-Request": "true", "HX-Target": "panel"}
HTMX_DIALOG = {"HX-Request": "true", "HX-Target": "dialog"}


def refusal(response: Any) -> tuple[int, str]:
    """(status, code) of an edge API error, whose shape is checked on the way."""
    error = response.json()["error"]
    assert set(error) == {"code", "message", "field"}
    assert error["message"].endswith("."), "a refusal is a sentence"
    return response.status_code, error["code"]


def text(response: Any) -> str:
    return response.content.decode()
