"""The tests' own servers and processes: clients that go away are no news, and no process is left un-awaited."""

import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading

import pytest

from tests.ending import ended
from tests.quiet import QuietServer

RESET = struct.pack("ii", 1, 0)


@pytest.mark.parametrize("fault", [False, True])
def test_a_client_that_goes_away_is_not_told_and_a_fault_of_a_handler_is(
    capfd: pytest.CaptureFixture[str], fault: bool
) -> None:
    begun = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            begun.set()
            if fault:
                raise ValueError("a fault of the handler")
            self.request.recv(1)

    with QuietServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = False  # the server's end awaits its handlers
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        with socket.create_connection(("127.0.0.1", server.server_address[1])) as client:
            assert begun.wait(20)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        server.shutdown()
    assert ("a fault of the handler" in capfd.readouterr().err) == fault


@pytest.mark.processes
def test_a_process_that_does_not_heed_its_signal_is_killed_awaited_and_told() -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    with process, pytest.raises(subprocess.TimeoutExpired), ended(process, seconds=0.05):
        assert process.stdout is not None and process.stdout.readline() == b"\n"
    assert process.returncode == -signal.SIGKILL
