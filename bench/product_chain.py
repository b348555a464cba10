"""Chain of Causeway's own in the running demo: ``causeway connect`` → gateway → connector server → the sink."""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

from bench.processes import Processes, answers
from bench.register import HOST, PORT
from bench.traffic import GREETING
from tests.demo import Demo, post, wait_until
from tests.pipe_demo import register
from tests.ports import free_port

READY_SECONDS = 60


def start_product_chain(demo: Demo, processes: Processes, sink_port: int) -> int:
    """Make the sink an application of the demo, connect as a client with a port forward to it, and return that port."""
    register(demo, sink_port)
    account, port = demo.account(), free_port()
    command = [sys.executable, "-m", "edge.cli", "connect", "--console", demo.console]
    command += ["--instance", account["instance"], "--username", account["username"]]
    command += ["--forward", f"{port}={HOST}:{PORT}", "--listen", "none", "--password-file", "-"]
    processes.start(command, log="connect.log", standard_input=account["password"] + "\n")
    wait_until(
        lambda: answers(port, GREETING), READY_SECONDS, what=f"Causeway's chain (logs in {processes.folder})"
    )
    return port


@contextmanager
def one_server(demo: Demo) -> Iterator[None]:
    """Leave the demo's connector one of its two servers, as the bare chain has one; the other is disabled meanwhile.

    Else two Envoys more than there are cores would be compared with one, and the difference taken for the product's.
    """
    servers = sorted(name for name in demo.world["processes"] if name.startswith("server-"))
    place = f"/sase/connectors/{demo.connector()['id']}/servers"
    with closing(demo.admin_client()) as browser:
        for server in servers[1:]:
            post(browser, f"{place}/{server}/disable/").raise_for_status()
        demo.servers_follow()
        try:
            yield
        finally:
            for server in servers[1:]:
                post(browser, f"{place}/{server}/enable/").raise_for_status()
