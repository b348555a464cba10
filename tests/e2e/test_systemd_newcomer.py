"""Two machines, a wheel, and docs/operations.md: a connector of the newcomer's own carries traffic.

The commands are those of the page, so that page and product cannot part. The machines are containers with a systemd, a
network between them and no other; what they install comes from a folder in the package index's place. The services of
the console are then tried as those of gateways and servers are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.demo import wait_until
from tests.e2e.booted import Container, confinement, missing
from tests.e2e.newcomer import ACCOUNT_PASSWORD, OFFICE, PASSWORD, Browser, Machine, blocks, machines

pytestmark = pytest.mark.slow
HELD = {"root": False, "gains privileges": False, "calls are filtered": True}
CONFINED = {
    "causeway-console": HELD | {"capabilities": {1 << 10}},
    "causeway-worker": HELD | {"capabilities": {0}},
}


@pytest.fixture(scope="module")
def sitting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Machine]]:
    """Give the two machines after everything that the page says was done on them."""
    if "CAUSEWAY_BARE_ROOT" not in os.environ:
        pytest.skip("Ten minutes of installing: make fresh ARGS=--newcomer, or CAUSEWAY_BARE_ROOT=/ pytest …")
    if reason := missing():
        pytest.skip(reason)
    with machines(tmp_path_factory.mktemp("newcomer")) as made:
        follow_the_page(made)
        yield made


def follow_the_page(made: dict[str, Machine]) -> None:
    console, office = made["console"], made["office"]
    first, second, third = blocks()
    assert [machine for machine, _ in (first, second, third)] == ["console", "office", "console"]
    for command in first[1]:
        console.run(command, said=f"{PASSWORD}\n" if " setup " in command else "")
    trust = console.container.path("/usr/local/share/ca-certificates/company.crt").read_text()
    with closing(Browser(console.container, trust)) as browser:
        browser.log_in("admin", PASSWORD)
        add_a_gateway(browser, console)
        for command in second[1]:
            office.run(command)
        connector = add_a_connector(browser, office)
        instance = say_who_reaches_what(browser, connector)
        office.run(
            "systemd-run --unit=intranet --quiet python3 -m http.server --bind 127.0.0.1 --directory /srv/office 80"
        )
        wait_until(
            lambda: "Online" in browser.get("/sase/connectors/"), 180, what="the connector in the list"
        )
        (command,) = third[1]
        page = wait_until(
            lambda: fetched(console, command.replace("INSTANCE", instance)), 180, what="traffic"
        )
        assert "the office's page" in page


def fetched(console: Machine, command: str) -> str:
    """Return the page that a command fetches, typing the account's password; nothing while there is none."""
    try:
        return console.run(command, said=f"{ACCOUNT_PASSWORD}\n")
    except AssertionError:
        return ""


def add_a_gateway(browser: Browser, console: Machine) -> None:
    form = {"public_host": "console.example.com", "listen_address": "0.0.0.0"}
    ports = {"client_port": "8443", "tunnel_port": "9443"}
    browser.fill("/gateways/add/", name="first", region="cn-shanghai", **form, **ports)
    gateway = browser.found("/gateways/", "gateway")
    console.run(browser.deploy_command(f"/gateways/{gateway}/deploy/"))


def add_a_connector(browser: Browser, office: Machine) -> str:
    browser.fill("/sase/connectors/add/", name="office", region="cn-shanghai", enabled="on")
    connector = browser.found("/sase/connectors/", "connector")
    office.run(browser.deploy_command(f"/sase/connectors/{connector}/deploy/"))
    return connector


def say_who_reaches_what(browser: Browser, connector: str) -> str:
    """Make instance, account, application and policy; return the instance."""
    blocks_of = {"cidrs": "10.10.0.0/24", "account_quota": "10"}
    browser.fill("/sag/instances/add/", region="cn-shanghai", name="office-users", **blocks_of)
    instance = browser.found("/sag/instances/", "sag")
    account = {"username": "anna.lee", "email": "anna.lee@example.com", "password": ACCOUNT_PASSWORD}
    browser.fill(f"/sag/instances/{instance}/accounts/add/", **account, bandwidth_kbps="2000")
    # The office's web server is the connector's machine itself, which only an origin may name.
    application = {
        "protocol": "TCP",
        "addresses": OFFICE,
        "ports": "80",
        "origin": "127.0.0.1:80",
        "enabled": "on",
    }
    browser.fill("/sase/applications/add/", name="intranet", **application)
    policy = {"priority": "1", "users": "all", "scope": "all", "connector": connector, "enabled": "on"}
    browser.fill("/sase/policies/add/", name="everybody", **policy)
    return instance


def doctor(container: Container) -> dict[str, str]:
    """Return the severity of each finding by its name."""
    done = container.run("causeway-console", "doctor", "--json", timeout=120)
    return {each["name"]: each["severity"] for each in json.loads(done.stdout)}


@pytest.mark.timeout(3000)
def test_the_newcomers_connector_carries_traffic_and_the_doctor_agrees(sitting: dict[str, Machine]) -> None:
    found = doctor(sitting["console"].container)
    assert {name for name, severity in found.items() if severity != "ok"} <= {"backup", "mail", "clock"}, (
        found
    )


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("unit", CONFINED)
def test_the_service_is_hardened_and_comes_back(sitting: dict[str, Machine], unit: str) -> None:
    container = sitting["console"].container
    assert confinement(container, unit) == CONFINED[unit]
    assert container.say("systemctl", "is-enabled", unit) == "enabled"
    before = container.main_pid(unit)
    container.run("kill", "-KILL", before)
    wait_until(lambda: container.main_pid(unit) not in ("0", before), 180, what="another process")
    found = doctor(container)
    assert found[unit] == found["address"] == found["worker"] == "ok"


@pytest.mark.timeout(3000)
def test_the_services_end_in_order_and_come_after_the_database(sitting: dict[str, Machine]) -> None:
    container = sitting["console"].container
    units = ("causeway-console", "causeway-worker", "postgresql@15-main")
    container.run("systemctl", "stop", *units[:2], "postgresql", timeout=120)
    for unit in units[:2]:
        assert container.say("systemctl", "show", "--property=Result", "--value", unit) == "success"
        assert container.main_pid(unit) == "0"
    assert container.say("pgrep", "--uid", "causeway-console") == "", "nothing of theirs runs on"
    assert "Told to end: requests in hand" in container.log_of("causeway-console")
    # As at a start of the machine: all by one target, since the order holds among what is asked for together.
    wanted = " ".join(f"{unit}.service" for unit in (*units[:2], "postgresql"))
    container.path("/etc/systemd/system/sitting.target").write_text(f"[Unit]\nWants={wanted}\n")
    container.run("systemctl", "daemon-reload")
    container.run("systemctl", "start", "sitting.target", timeout=120)
    found = doctor(container)
    assert found["address"] == found["worker"] == found["database"] == "ok"
    assert began(container, "postgresql") <= began(container, "causeway-console")
    assert began(container, "postgresql") <= began(container, "causeway-worker")


def began(container: Container, unit: str) -> int:
    return int(
        container.say("systemctl", "show", "--property=ActiveEnterTimestampMonotonic", "--value", unit)
    )


@pytest.mark.timeout(3000)
def test_root_and_others_find_their_files_closed_and_a_second_setup_changes_nothing(
    sitting: dict[str, Machine],
) -> None:
    container = sitting["console"].container
    file = container.path("/etc/causeway/console.env")
    before = file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600 and file.stat().st_uid == 0
    denied = container.run("runuser", "-u", "nobody", "--", "causeway-console", "doctor")
    assert denied.returncode == 1 and "belongs to root. Run this command as root" in denied.stderr, denied
    again = container.run("causeway-console", "setup", timeout=120)
    assert again.returncode == 0, again.stderr
    assert "Keeping the administrator admin." in again.stdout and file.read_bytes() == before
    for unit in CONFINED:
        assert f"Keeping /etc/systemd/system/{unit}.service." in again.stdout
    state = container.path("/var/lib/causeway/console")
    foreign = [path for path in (state, *state.rglob("*")) if path.lstat().st_uid == 0]
    assert not foreign


@pytest.mark.timeout(3000)
def test_another_user_sets_up_a_console_on_sqlite_beside(sitting: dict[str, Machine]) -> None:
    container = sitting["console"].container
    own = container.path("/srv/own")
    own.mkdir()
    (own / "console.env").write_text("CAUSEWAY_STATIC_COMPRESSED=0\n")
    container.run("chown", "-R", "daemon", "/srv/own")
    command = ["causeway-console", "--environment", "/srv/own/console.env"]
    by = ["runuser", "-u", "daemon", "--", "env", f"CAUSEWAY_ADMINISTRATOR_PASSWORD={PASSWORD}"]
    words = ["--url", "http://127.0.0.1:8081", "--database", "sqlite", "--state", "/srv/own/state"]
    (wheel,) = container.path("/root").glob("causeway-*.whl")
    container.run("install", "--mode=644", f"/root/{wheel.name}", "/srv/own")
    words += ["--administrator", "änne", "--wheel", f"/srv/own/{wheel.name}"]
    done = container.run(*by, *command, "setup", *words, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    for part in ("serve", "worker"):
        container.run("systemd-run", "--quiet", "--uid=daemon", f"--unit=own-{part}", *command, part)
    found = {
        each["name"]: each for each in json.loads(container.run(*by, *command, "doctor", "--json").stdout)
    }
    assert not [each for each in found.values() if each["severity"] == "error"], found
    assert "another console" in found["services"]["finding"]
    assert found["address"]["severity"] == found["worker"]["severity"] == "ok"
    for part in ("serve", "worker"):
        container.run("systemctl", "stop", f"own-{part}")
