"""An application is there for whoever asks first, although servers hear of it later than gateways."""

import socketserver
from functools import partial

from tests.demo import Demo, read_exactly, wait_until
from tests.e2e.recipes import published
from tests.quiet import QuietServer, serving


class _Greeter(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        if self.request.recv(5):
            self.request.sendall(b"welcome")


def test_the_first_who_asks_for_an_application_allowed_just_now_reaches_it(demo: Demo) -> None:
    with serving(QuietServer(("127.0.0.1", 0), _Greeter)) as greeter:
        for number in range(3):
            with published(demo, f"fresh{number}", 4000, greeter, settled=False) as host:
                # The gateway hears within a moment; from its first yes on nobody may be turned away.
                answer = wait_until(partial(_unless_unknown, demo, host), 30, what="the gateway's yes")
                assert answer == (200, "", b"welcome")


def _unless_unknown(demo: Demo, host: str) -> tuple[int, str, bytes] | None:
    with demo.connect(host, 4000) as tunnel:
        reason = tunnel.headers.get("x-causeway-reason", "")
        if reason == "NoMatch":
            return None
        if tunnel.status != 200:
            return tunnel.status, reason, tunnel.body
        tunnel.socket.sendall(b"hello")
        return tunnel.status, reason, read_exactly(tunnel.socket, 7)
