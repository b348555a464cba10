"""Gateway of a test's own in the console, beside those of the demo."""

import html
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus

import httpx

from tests.demo import Demo, Tunnel, post, wait_until
from tests.e2e.deployed import command_of
from tests.ports import free_port


class AddedGateway:
    """Gateway added by the form, not deployed yet. ``port``: where its clients go; ``region``: one of the demo's."""

    def __init__(self, demo: Demo, port: int = 0, region: str = "") -> None:
        self.demo, self.client = demo, demo.admin_client()
        self.port = port or free_port()
        form = {
            "name": "gateway-of-the-test",
            "region": region or demo.gateway()["region"],
            "public_host": "127.0.0.1",
            "listen_address": "127.0.0.1",
            "client_port": str(self.port),
            "tunnel_port": str(free_port()),
        }
        page = str(post(self.client, "/gateways/add/", form).url)
        found = re.search(r"gateway-[0-9a-f]{16}", page)
        assert found, page
        self.id = found[0]

    def command(self) -> str:
        """Return the Deploy panel's command, with a new code."""
        return command_of(self.client, f"/gateways/{self.id}/deploy/")

    def row(self) -> str:
        """Return the gateway's row without marks; empty when the gateway is not in the list."""
        page = self.client.get("/gateways/").text
        rows = [row for row in re.findall(r"<tr>.*?</tr>", page, re.DOTALL) if self.id in row]
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", "".join(rows))).split())

    def is_online(self) -> bool:
        return "Reached" in self.row() and "Current" in self.row()

    def remove(self) -> None:
        """Delete the gateway as soon as the console does: without a flow, or not heard of for a while."""

        def answer() -> httpx.Response | None:
            found = post(self.client, f"/gateways/{self.id}/delete/")
            return None if found.status_code == HTTPStatus.CONFLICT else found

        wait_until(answer, 90, what="a gateway that may be deleted").raise_for_status()

    def flow(self) -> Tunnel | None:
        """Open a flow by this gateway to an application of the demo, as soon as the gateway lets a flow in."""
        try:
            tunnel = self.demo.connect(
                "echo.corp.example", 7, gateway={"proxy": f"https://127.0.0.1:{self.port}"}
            )
        except (OSError, AssertionError):
            return None
        return tunnel if tunnel.status == 200 else None

    def reaches(self) -> bool:
        """Tell whether a new flow by this gateway arrives; the flow is closed again."""
        if flow := self.flow():
            flow.close()
        return flow is not None


@contextmanager
def added_gateway(demo: Demo, port: int = 0, region: str = "") -> Iterator[AddedGateway]:
    """Add a gateway, and delete what is left of the gateway in the end."""
    made = AddedGateway(demo, port, region)
    with closing(made.client):
        try:
            yield made
        finally:
            if made.row():
                made.remove()
