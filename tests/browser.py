"""Chromium for the tests: the system's own, and a page that fails its test when the browser reports an error."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

WITHOUT_BROWSER = "CAUSEWAY_TEST_WITHOUT_BROWSER"
EXPECT_MILLISECONDS = 20_000
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC_APPS = ("Google Chrome", "Chromium")
# Nothing but the pages under test: no calls home, no first-run pages, no QUIC; root may not use the sandbox.
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


def find_chromium() -> str | None:
    """The path of an installed Chromium or Chrome, or None."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    for folder in (Path("/Applications"), Path.home() / "Applications"):
        for app in MAC_APPS:
            if (program := folder / f"{app}.app/Contents/MacOS/{app}").exists():
                return str(program)
    return None


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """What pytest-playwright starts: fails, and says what to do, where there is no browser."""
    program = find_chromium()
    if program is None:
        pytest.fail(
            f"Chromium or Chrome was not found. Install one, or set {WITHOUT_BROWSER}=1.", pytrace=False
        )
    from playwright.sync_api import expect

    # What is awaited comes late on a machine that is busy with other things; 5 s is no judgement.
    expect.set_options(timeout=EXPECT_MILLISECONDS)
    # Playwright keeps an event loop in this thread, which Django would take for an async view.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    return browser_type_launch_args | {"executable_path": program, "args": ARGUMENTS}


@pytest.fixture
def browser_errors() -> list[str]:
    """What the browser has complained of so far. A test that provokes an error on purpose checks and clears it."""
    return []


@pytest.fixture
def page(page: Page, browser_errors: list[str]) -> Iterator[Page]:
    """A page whose test fails on script errors, failed loads and violations of the Content-Security-Policy."""

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            browser_errors.append(f"{message.text} ({message.location.get('url', '')})")

    page.on("console", on_console)
    page.on("pageerror", lambda error: browser_errors.append(str(error)))
    yield page
    assert not browser_errors, "the browser reported:\n" + "\n".join(browser_errors)


def log_in(page: Page, site: str, name: str, password: str, path: str = "/") -> None:
    """Log on at `site` in the browser and wait until the page at `path` is there.

    The whole address is awaited: a pattern would fit the log-in page as well, whose address names `path`, and the
    test's next step would break off the log-in that is still on its way.
    """
    from playwright.sync_api import expect

    page.goto(f"{site}/log-in/?next={path}")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site}{path}")


def settle(page: Page) -> None:
    """Wait until the page's scripts are in force; an earlier click would take the way without them."""
    page.locator("html[data-ready]").wait_for(state="attached")


@pytest.fixture
def page_without_javascript(browser: Browser) -> Iterator[Page]:
    """A page in a browser with JavaScript switched off."""
    context = browser.new_context(java_script_enabled=False)
    yield context.new_page()
    context.close()
