"""Forms in Chromium: a double click, two people at one object, the end of a log-in in the middle, a filled form closed.

The forms are those of the map of URLs; a new one is covered without a word.
"""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, Locator, Page, expect

from connectors.applications import services
from connectors.models import Application, Connector
from console.models import AuditRow, LogIn, Submission, User
from tests.browser import log_in, settle
from tests.connectors import factories
from tests.console import drawn
from tests.console.everything import everything
from tests.console.factories import PASSWORD, UserFactory
from tests.console.test_forms import WIDE, WITH_FORMS
from tests.console.test_roles import ABSENT
from tests.console.test_roles import Page as Address
from tests.demo import wait_until
from tests.fuzz.usual import EMPTY, VALUES

ADDING = [page for page in WITH_FORMS if "/add/" in page.path and page.path not in ABSENT]
EDITING = [
    page
    for page in WITH_FORMS
    if page.path not in ABSENT
    and page.path.endswith(
        (
            *("/edit/", "/rename/", "/network/", "/license/", "/upgrade-window/", "/alerts/settings/"),
            *(
                "/<str:kind>/",
                "/<str:channel_id>/",
                "/<str:policy_id>/",
                "/<str:group_id>/",
                "/<str:application_id>/",
            ),
        )
    )
    and "/add/" not in page.path
]


@pytest.fixture
def site(live_server: Any, transactional_db: None, administrator: User, wheel: Any) -> str:
    return str(live_server.url)


@pytest.fixture
def ids(site: str, administrator: User) -> dict[str, Any]:
    found = everything(administrator)
    Connector.objects.update(upgrade_start=datetime.time(20), upgrade_end=datetime.time(23))
    return found


def own(administrator: User, url: str) -> drawn.Drawn:
    client = Client()
    client.force_login(administrator, backend="django.contrib.auth.backends.ModelBackend")
    return drawn.form(client, url)


def open_over(page: Page, site: str, url: str, overlay: str = "panel") -> Locator:
    """Open a form over a page, as the links of lists do."""
    page.goto(f"{site}/tasks/")
    settle(page)
    page.evaluate(
        "([url, overlay]) => htmx.ajax('GET', url, {target: `#${overlay}`, swap: 'innerHTML'})",
        [url, overlay],
    )
    place = page.locator(f"dialog#{overlay}")
    expect(place.locator("form").first).to_be_visible()
    return place


def overlay_of(client: Client, url: str) -> str:
    """Tell whether a form is one of the panel or of the dialog: asked for by the other, it is a whole page."""
    answer = client.get(url, headers={"HX-Request": "true", "HX-Target": "panel"})
    return "dialog" if "<html" in answer.text else "panel"


def fill(place: Locator, form: drawn.Drawn) -> None:
    """Type what the form lacks."""
    said, drawn_as = form.filled(VALUES, EMPTY, WIDE), form.sent()
    for name in [name for name, values in said.items() if drawn_as.get(name) != values]:
        field, value = place.locator(f'[name="{name}"]').first, said[name][0]
        if field.get_attribute("type") in ("checkbox", "radio"):
            chosen = "" if field.get_attribute("value") is None else f'[value="{value}"]'
            place.locator(f'[name="{name}"]{chosen}').check(force=True)
        elif field.evaluate("field => field.localName") == "select":
            field.select_option(value)
        else:
            field.fill(value)


def main_button(place: Locator) -> Locator:
    return place.locator("button.primary:visible").last


# Every form in the panel, as people meet it; the other two ways, which all forms share, by one.
WAYS = [*((each, "panel") for each in ADDING), (ADDING[0], "page"), (ADDING[0], "without scripts")]


@pytest.mark.parametrize(
    ("address", "way"), WAYS, ids=lambda value: value.path if isinstance(value, Address) else value
)
def test_a_double_click_adds_one(
    page: Page,
    browser: Browser,
    site: str,
    ids: dict[str, Any],
    administrator: User,
    address: Address,
    way: str,
) -> None:
    url = address.url(ids)
    form = own(administrator, url)
    context = browser.new_context(java_script_enabled=False) if way == "without scripts" else None
    here = context.new_page() if context else page
    log_in(here, site, "administrator", PASSWORD, "/tasks/")
    before = AuditRow.objects.filter(verb__endswith=".create").count()
    if way == "panel":
        place = open_over(here, site, url)
    else:
        here.goto(f"{site}{url}")
        place = here.locator("main")
    fill(place, form)
    main_button(place).dblclick(no_wait_after=True)
    wait_until(lambda: AuditRow.objects.filter(verb__endswith=".create").count() > before, 60)
    wait_until(lambda: not Submission.objects.filter(ended_at=None).exists(), 60)
    here.wait_for_load_state("networkidle")
    assert AuditRow.objects.filter(verb__endswith=".create").count() == before + 1
    if context:
        context.close()


@pytest.mark.parametrize("address", EDITING, ids=lambda address: address.path)
def test_of_two_at_one_object_the_second_sees_the_first_and_chooses(
    page: Page,
    browser_errors: list[str],
    site: str,
    ids: dict[str, Any],
    administrator: User,
    address: Address,
) -> None:
    url = address.url(ids)
    log_in(page, site, "administrator", PASSWORD, "/tasks/")
    UserFactory(username="bob", role="administrator")
    bob = Client()
    assert bob.post("/log-in/", {"username": "bob", "password": PASSWORD}).status_code == 302
    panel = open_over(page, site, url, overlay_of(bob, url))
    field = (
        panel.locator(
            "input:not([type=hidden], [type=search], [type=checkbox], [type=radio], [type=password]), textarea"
        )
        .locator("visible=true")
        .first
    )
    name = str(field.get_attribute("name"))
    mine, theirs = _values(name, field.input_value())
    # The other one sends the whole form by a client of its own.
    answer = bob.post(url, drawn.form(bob, url).sent(**{name: theirs}))
    assert answer.status_code == 302, answer.text
    field.fill(mine)
    main_button(panel).click()
    overtaken = panel.locator(".overtaken")
    expect(overtaken).to_contain_text("bob")
    expect(panel.locator(f'[name="{name}"]').last).to_have_value(mine)
    choice = overtaken.locator(f'input[name="keep.{name}"]')
    expect(choice.first).to_be_checked()
    choice.last.check()
    main_button(panel).click()
    expect(overtaken).to_have_count(0)
    assert drawn.form(bob, url).get(name) == theirs
    assert all("422" in error for error in browser_errors)
    browser_errors.clear()


def _values(name: str, present: str) -> tuple[str, str]:
    """Return what the one types and what the other typed, both legal for the field."""
    if name in ("start", "end"):
        return "21:00", "22:00"
    if name in ("cidrs", "networks"):
        return f"{present}\n10.77.0.0/24", f"{present}\n10.78.0.0/24"
    if name == "email":
        return "mine@example.org", "theirs@example.org"
    if present.replace(".", "", 1).isdigit():
        number = float(present) if "." in present else int(present)
        return str(number + 1), str(number + 2)
    return f"{present}-mine", f"{present}-theirs"


def test_a_log_in_that_ends_in_the_middle_loses_nothing(
    page: Page, browser_errors: list[str], site: str
) -> None:
    log_in(page, site, "administrator", PASSWORD, "/sase/applications/")
    settle(page)
    page.get_by_role("link", name="Add application").click()
    panel = page.locator("dialog#panel")
    panel.get_by_label("Application Name").fill("wiki")
    panel.get_by_label("Addresses").fill("wiki.corp.example")
    panel.get_by_label("Ports").fill("443")
    LogIn.objects.all().delete()
    main_button(panel).click()
    again = page.locator("dialog#log-in")
    expect(again.get_by_role("heading", name="Your log-in has ended")).to_be_visible()
    expect(panel.get_by_label("Application Name")).to_have_value("wiki")
    again.get_by_label("Username").fill("administrator")
    again.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    expect(again.get_by_role("alert")).to_contain_text("wrong")
    assert not Application.objects.exists()
    again.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text("wiki was added.")).to_be_visible()
    expect(again).to_be_hidden()
    assert Application.objects.get().name == "wiki"
    assert all("401" in error for error in browser_errors)
    browser_errors.clear()


def test_without_scripts_a_form_survives_the_log_in_too(page_without_javascript: Page, site: str) -> None:
    page = page_without_javascript
    log_in(page, site, "administrator", PASSWORD, "/sase/applications/add/")
    page.get_by_label("Application Name").fill("wiki")
    page.get_by_label("Addresses").fill("wiki.corp.example")
    page.get_by_label("Ports").fill("443")
    LogIn.objects.all().delete()
    page.get_by_role("button", name="OK").click()
    expect(page.get_by_text("What you typed is kept.")).to_be_visible()
    page.get_by_label("Username").fill("administrator")
    page.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_label("Username").fill("administrator")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Send the form").click()
    expect(page.get_by_text("wiki was added.")).to_be_visible()


@pytest.mark.parametrize("way", ["Escape", "cross", "backdrop", "Cancel", "back"])
def test_a_filled_form_closes_only_after_a_question(page: Page, site: str, way: str) -> None:
    log_in(page, site, "administrator", PASSWORD, "/sase/applications/")
    settle(page)
    page.get_by_role("link", name="Add application").click()
    panel, question = page.locator("dialog#panel"), page.locator("dialog#leave")
    name = panel.get_by_label("Application Name")
    name.fill("wiki")

    def leave() -> None:
        if way == "Escape":
            page.keyboard.press("Escape")
        elif way == "cross":
            panel.get_by_role("button", name="Close").click()
        elif way == "backdrop":
            page.mouse.click(20, 500)
        elif way == "Cancel":
            panel.get_by_role("link", name="Cancel").click()
        else:
            page.go_back()

    leave()
    expect(question).to_be_visible()
    expect(question.get_by_role("button", name="Keep editing")).to_be_focused()
    page.keyboard.press("Enter")
    expect(question).to_be_hidden()
    expect(name).to_have_value("wiki")
    expect(page).to_have_url(f"{site}/sase/applications/add/")
    leave()
    question.get_by_role("button", name="Discard").click()
    expect(panel).to_be_hidden()
    expect(page).to_have_url(f"{site}/sase/applications/")


def test_a_form_that_nobody_touched_closes_at_once(page: Page, site: str) -> None:
    log_in(page, site, "administrator", PASSWORD, "/sase/applications/")
    settle(page)
    page.get_by_role("link", name="Add application").click()
    expect(page.locator("dialog#panel")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog#panel")).to_be_hidden()


def test_an_open_panel_says_who_deleted_its_object(page: Page, site: str) -> None:
    application = factories.application("wiki")
    bob = UserFactory(username="bob", role="operator")
    log_in(page, site, "administrator", PASSWORD, "/sase/applications/")
    settle(page)
    page.get_by_role("link", name="wiki", exact=True).click()
    panel = page.locator("dialog#panel")
    panel.get_by_label("Description").fill("typed")
    services.application_delete(application=application, actor=bob)
    expect(panel.get_by_text("Deleted meanwhile")).to_be_visible()
    expect(panel.get_by_text("bob")).to_be_visible()
    expect(panel.get_by_label("Description")).to_have_value("typed")


def test_the_choice_between_two_values_is_made_by_keyboard(
    page: Page, browser_errors: list[str], site: str
) -> None:
    application = factories.application("wiki", description="The wiki")
    bob = UserFactory(username="bob", role="operator")
    log_in(page, site, "administrator", PASSWORD, "/tasks/")
    panel = open_over(page, site, f"/sase/applications/{application.pk}/")
    panel.get_by_label("Description").fill("mine")
    services.application_update(application=application, actor=bob, description="theirs")
    main_button(panel).press("Enter")
    expect(panel.locator(".error-summary")).to_be_focused()
    expect(panel.locator(".overtaken")).to_contain_text("bob")
    page.keyboard.press("Tab")
    expect(panel.locator('[name="keep.description"][value="mine"]')).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(panel.locator('[name="keep.description"][value="theirs"]')).to_be_checked()
    page.keyboard.press("Tab")
    expect(panel.get_by_label("Application Name")).to_be_focused()
    page.keyboard.press("Enter")
    expect(panel).to_be_hidden()
    application.refresh_from_db()
    assert application.description == "theirs"
    assert all("422" in error for error in browser_errors)
    browser_errors.clear()
