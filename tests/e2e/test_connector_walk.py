"""The connector page of the product, from Add Connector to Disable a connector, in Chromium with a real server."""

import uuid
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import settle
from tests.demo import Demo, wait_until
from tests.e2e.deployed import COMMAND, INSTALL_SECONDS, Machine
from tests.e2e.test_browser import log_in, taken_away

SOON = 30_000


@pytest.fixture
def name(demo: Demo) -> Iterator[str]:
    """Name the walk's connector and policy; both are gone afterwards."""
    made = f"walk-{uuid.uuid4().hex[:8]}"
    yield made
    taken_away(demo, made, "policies", "connectors")


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def close(page: Page, panel: Locator) -> None:
    panel.get_by_role("button", name="Close").click()
    expect(panel).to_be_hidden()


@pytest.mark.slow
@pytest.mark.timeout(480)  # an installation, as slow as the package index
def test_from_add_connector_to_disable_a_connector(
    demo: Demo, page: Page, machine: Machine, name: str
) -> None:
    log_in(page, demo)
    page.get_by_role("link", name="Network Settings").click()
    expect(page).to_have_url(f"{demo.console}/sase/connectors/")
    settle(page)
    create(page, name)
    deploy(page, name, machine)
    forward(page, name)
    look_at_the_details(page, name)
    drain(page, name, demo)
    disable(page, name, demo)
    assert demo.verdict()[0] == 200, "a new one goes by the demo's own connector"


def create(page: Page, name: str) -> None:
    """Go through step 1 of the product's page."""
    page.get_by_role("link", name="Add Connector").click()
    panel = page.get_by_role("dialog", name="Add Connector")
    expect(panel.get_by_text("users cannot reach the office applications")).to_be_visible()
    panel.get_by_label("Region").select_option("cn-shanghai")
    panel.get_by_label("Instance Name").fill(name)
    expect(panel.get_by_label("Instance Switch")).to_be_checked()
    panel.get_by_role("button", name="OK").click()
    expect(row(page, name)).to_contain_text("Offline")


def deploy(page: Page, name: str, machine: Machine) -> None:
    """Go through step 2: copy the command and run it."""
    row(page, name).get_by_role("link", name="Deploy").click()
    panel = page.get_by_role("dialog", name=f"Deploy {name}")
    panel.get_by_role("button", name="Create command").click()
    shown = panel.locator("code", has_text="--code").first
    expect(shown).to_be_visible()
    command = COMMAND.search(shown.inner_text())
    assert command
    close(page, panel)
    machine.deploy(command[0])
    wait_until(machine.is_good, INSTALL_SECONDS, what="four good lights")
    expect(row(page, name)).to_contain_text("Online", timeout=SOON)
    expect(row(page, name)).to_contain_text("1 of 1", timeout=SOON)


def forward(page: Page, name: str) -> None:
    """Go through step 3: add a policy that goes before the demo's own."""
    page.get_by_role("link", name="Forwarding Policies").last.click()
    expect(page.get_by_role("heading", name="Forwarding Policies")).to_be_visible()
    page.get_by_role("link", name="Create Policy").click()
    panel = page.get_by_role("dialog", name="Create Policy")
    panel.get_by_label("Policy Name").fill(name)
    panel.get_by_label("Priority").fill("9")
    panel.get_by_label("All users").check()
    for application in ("wiki", "echo"):
        panel.get_by_role("checkbox", name=application, exact=True).check()
    panel.get_by_label("Associated Connector").select_option(label=name)
    panel.get_by_role("button", name="OK").click()
    expect(row(page, name)).to_contain_text("2 applications")
    # The demo's own policy comes after the walk's and covers nobody else.
    expect(page.get_by_text(f"{name} comes first and covers it")).to_be_visible()


def look_at_the_details(page: Page, name: str) -> None:
    page.get_by_role("link", name="Network Settings").click()
    row(page, name).get_by_role("link", name="Details").click()
    panel = page.get_by_role("dialog", name=name)
    expect(panel.get_by_text("Authorized")).to_be_visible()
    expect(panel.get_by_text("Online", exact=True)).to_be_visible()
    expect(panel.get_by_role("heading", name="Bandwidth Trend Chart")).to_be_visible()
    priority = panel.get_by_label(f"Priority of {name}")
    expect(priority).to_have_value("9")
    priority.fill("1")
    panel.get_by_role("button", name="Set").click()
    expect(panel.get_by_text(f"{name} has priority 1.")).to_be_visible()
    expect(panel.get_by_label(f"Priority of {name}")).to_have_value("1")
    panel.get_by_role("link", name="Alert Setting").click()
    expect(panel.get_by_text("Connection Status of Connector Server").first).to_be_visible()
    panel.get_by_role("link", name="Deploy Server").click()
    expect(panel.get_by_text("Running")).to_be_visible(timeout=SOON)
    for label in ("Endpoint IP Address", "Private IP Address", "CPU Utilization", "Certificate end"):
        expect(panel.locator("dt").get_by_text(label, exact=True)).to_be_visible()


def drain(page: Page, name: str, demo: Demo) -> None:
    """Drain the server, which keeps its flow, gets no other, and is off as soon as the flow is gone."""
    panel = page.get_by_role("dialog", name=name)
    demo.servers_follow()
    with demo.connect("echo.corp.example", 7) as flow:
        assert flow.status == 200
        panel.get_by_role("link", name="Drain").click()
        question = page.get_by_role("dialog", name="Drain ")
        expect(question.get_by_text("No other server")).to_be_visible()
        question.get_by_role("button", name="Drain").click()
        expect(panel.get_by_text("1 connection left")).to_be_visible(timeout=SOON)
        assert flow.echoes()
        assert demo.verdict()[0] == 200, "by the demo's own connector"
    expect(panel.get_by_text("Disabled", exact=True)).to_be_visible(timeout=SOON)
    panel.get_by_role("button", name="Enable").click()
    expect(panel.get_by_text("4 tunnels").first).to_be_visible(timeout=SOON)
    close(page, panel)


def disable(page: Page, name: str, demo: Demo) -> None:
    page.reload()  # the list under the panel may be old
    settle(page)
    expect(row(page, name)).to_contain_text("Online", timeout=SOON)
    demo.servers_follow()
    with demo.connect("echo.corp.example", 7) as flow:
        assert flow.status == 200
        row(page, name).get_by_role("switch").click()
        question = page.get_by_role("dialog", name=f"Disable {name}?")
        users = len(demo.world["accounts"])
        expect(question.get_by_text(f"{users} users reach 2 applications")).to_be_visible()
        expect(question.get_by_text(f"{users} users go on by {demo.connector()['name']}")).to_be_visible()
        question.get_by_role("button", name="Disable").click()
        expect(row(page, name)).to_contain_text("Cut confirmed by 2 of 2 gateways", timeout=SOON)
        assert flow.socket.recv(100) == b"", "the open flow was cut"
