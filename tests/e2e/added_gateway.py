"""A gateway of a test's own in the console, beside those of the demo."""

from __future__ import annotations

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
    """Added by the console's form, not deployed yet. ``port`` is where its clients go; ``region`` one of the demo's."""

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
        """The Deploy panel's command, with a new code."""
        return command_of(self.client, f"/gateways/{self.id}/deploy/")

    def row(self) -> str:
        """What the list says of it, without marks; empty when it is not in the list."""
        page = self.client.get("/gateways/").text
        rows = [row for row in re.findall(r"<tr>.*?</tr>", page, re.DOTALL) if self.id in row]
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", "".join(rows))).split())

    def is_online(self) -> bool:
        return "Reached" in self.row() and "Current" in self.row()

    def remove(self) -> None:
        """Delete it as soon as the console does: it carries no flow, or was not heard of for a while."""

        def answer() -> httpx.Response | None:
            found = post(self.client, f"/gateways/{self.id}/delete/")
            return None if found.status_code == HTTPStatus.CONFLICT else found

        wait_until(answer, 90, what="a gateway that may be deleted").raise_for_status()

    def flow(self) -> Tunnel | None:
        """A flow by this gateway to an application of the demo, as soon as there can be one."""
        try:
            tunnel = self.demo.connect(
                "echo.corp.example", 7, gateway={"proxy": f"https://127.0.0.1:{self.port}"}
            )
        except (OSError, AssertionError):
            return None
        return tunnel if tunnel.status == 200 else None

    def reaches(self) -> bool:
        """Whether a new flow by this gateway arrives; it is closed again."""
        if flow := self.flow():
            flow.close()
        return flow is not None


@contextmanager
def added_gateway(demo: Demo, port: int = 0, region: str = "") -> Iterator[AddedGateway]:
    """It is deleted in the end, if it is still there."""
    made = AddedGateway(demo, port, region)
    with closing(made.client):
        try:
            yield made
        finally:
            if made.row():
                made.remove()


def echoes(flow: Tunnel) -> bool:
    flow.socket.sendall(b"hello")
    return flow.socket.recv(100) == b"hello"
