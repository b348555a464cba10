"""Upgrade by a click in the console, and the records of the upgrade in the console's database."""

import re

import httpx

from tests.demo import Demo, post, wait_until
from tests.e2e.deployed import INSTALL_SECONDS, Deployed

# Tables of runs and of their steps, by the kind of machine.
TABLES = {
    "connector": ("connectors_upgrade", "connectors_serverupgrade"),
    "gateway": ("console_areaupgrade", "console_gatewayupgrade"),
}


def last(kind: str) -> str:
    return f"(SELECT id FROM {TABLES[kind][0]} ORDER BY created_at DESC LIMIT 1)"


def serves(demo: Demo, machine: Deployed) -> bool:
    """Tell whether a server is enabled and has tunnels to every gateway."""
    query = (
        "SELECT count(*) FROM connectors_server s JOIN connectors_tunnel t ON t.server_id = s.id "
        "WHERE s.id = ? AND s.enabled AND s.drain_until IS NULL AND t.count > 0"
    )
    return demo.rows(query, machine.id) == [(len(demo.world["gateways"]),)]


def upgraded(demo: Demo, client: httpx.Client, connector: str, version: str) -> str:
    """Upgrade all servers of a connector; return the end of the run."""
    return _upgraded(demo, client, "connector", f"/sase/connectors/{connector}/upgrade/", version)


def gateways_upgraded(demo: Demo, client: httpx.Client, area: str, version: str) -> str:
    """Upgrade all gateways of an area; return the end of the run."""
    return _upgraded(demo, client, "gateway", f"/gateways/upgrades/{area}/", version)


def _upgraded(demo: Demo, client: httpx.Client, kind: str, url: str, version: str) -> str:
    """Click, and watch that never more than one machine is in hand; return the end of the run."""
    answer = post(client, url, {"when": "now", "minutes": "1"})
    assert answer.status_code == 200 and f"to {version}" in answer.text, answer.text
    seen: list[str] = []

    def over() -> str:
        state = demo.rows(f"SELECT state FROM {TABLES[kind][0]} WHERE id = {last(kind)}")[0][0]
        page = client.get(f"{url}state/").text
        states = re.findall(r"badge-\w+[^>]*>\s*(?:<[^>]+>\s*)*(Draining|Installing|Checking)\b", page)
        assert len(states) <= 1, page
        seen.extend(state for state in states if state not in seen)
        return str(state) if state not in ("waiting", "running") else ""

    end = wait_until(over, 2 * INSTALL_SECONDS, what="the end of the upgrade")
    assert "Installing" in seen, "the page tells what goes on"
    return str(end)


def steps(demo: Demo, kind: str = "connector") -> list[tuple[str, str]]:
    """Return state and message of each machine in the last upgrade of that kind."""
    query = f"SELECT state, message FROM {TABLES[kind][1]} WHERE upgrade_id = {last(kind)} ORDER BY position"
    return demo.rows(query)
