"""The switch that cuts: off in the console, and everybody is really cut off."""

import threading

import httpx
import pytest

from tests.demo import Demo, post, wait_until

pytestmark = pytest.mark.usefixtures("switched_on")


def url(demo: Demo, action: str) -> str:
    return f"/sase/connectors/{demo.connector()['id']}/{action}/"


class Stream:
    """Flow that sends and receives without pause, and notes when it broke."""

    def __init__(self, demo: Demo) -> None:
        self.flow = demo.connect("echo.corp.example", 7)
        assert self.flow.status == 200
        self.broken = False
        self.received = 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        try:
            while True:
                self.flow.socket.sendall(b"x" * 4096)
                chunk = self.flow.socket.recv(65536)
                if not chunk:
                    break
                self.received += len(chunk)
        except OSError:
            pass
        self.broken = True
        self.flow.close()


def test_switching_off_breaks_open_flows_and_refuses_new_ones(demo: Demo, admin: httpx.Client) -> None:
    stream = Stream(demo)
    wait_until(lambda: stream.received > 100_000, what="bytes on the open flow")
    assert post(admin, url(demo, "disable")).status_code == 200
    # `make bench` measures how soon, on a machine that does nothing else.
    wait_until(lambda: stream.broken, 30, what="the end of the open flow")
    assert demo.verdict() == (403, "ConnectorDisabled")
    post(admin, url(demo, "enable"))
    wait_until(lambda: demo.verdict()[0] == 200, 30, what="a new flow after switching on")


def test_the_console_says_how_many_gateways_confirmed_the_cut(demo: Demo, admin: httpx.Client) -> None:
    post(admin, url(demo, "disable"))
    page = wait_until(
        lambda: confirmed(admin.get(f"/sase/connectors/{demo.connector()['id']}/").text),
        30,
        what="the confirmation",
    )
    assert "2 of 2 gateways" in page


def confirmed(text: str) -> str | None:
    plain = " ".join(text.split())
    return plain if "Cut confirmed by 2 of 2 gateways" in plain else None
