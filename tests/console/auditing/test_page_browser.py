"""Page of the audit in Chromium: a value of any length stays within the window."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from playwright.sync_api import Page

from console.core import audit
from console.models import User
from tests.browser import log_in
from tests.console.factories import PASSWORD


@pytest.mark.parametrize("width", [1280, 1440])
def test_a_long_name_of_a_file_makes_no_row_wider_than_the_window(
    page: Page, live_server: Any, transactional_db: None, administrator: User, width: int
) -> None:
    name = "causeway_console-" + "0123456789abcdef" * 8 + ".tar.gz"
    target = audit.Matter("connector", name)
    with transaction.atomic():
        audit.record(actor=administrator, verb="logs.download", target=target, after={"file": name})
    page.set_viewport_size({"width": width, "height": 900})
    log_in(page, live_server.url, "administrator", PASSWORD, "/audit/")
    assert name[:40] in page.locator("td.changes").all_inner_texts()[-1]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
