"""What ``causeway connect`` needs of the machine: free ports, and what Linux has and macOS has not."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import jwt
import psutil
import pytest

from tests.edge.console_lab import FakeConsole, grant
from tests.edge.gateway_lab import wait_until
from tests.edge.gateway_pki import Authority
from tests.ending import ended
from tests.ports import free_port
from tests.running import ROOT, ran

pytestmark = pytest.mark.processes

# Python runs this before anything else: afterwards it is as macOS's, which has no such function.
WITHOUT_PIDFD = "import os\ndel os.pidfd_open\n"
WITHOUT_PROC = """
import socket, sys
from pathlib import Path
from edge.envoy.socket_path import ShortPath

assert not Path("/proc/self").exists()
folder = Path(sys.argv[1])
folder.mkdir(parents=True)
short, again = ShortPath(folder), ShortPath(folder)
with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
    server.bind(short.of("a.sock"))
    server.listen()
    assert (folder / "a.sock").is_socket()
    client.connect(again.of("a.sock"))
print(short.of("a.sock"))
"""


@pytest.fixture
def console(console: FakeConsole) -> FakeConsole:
    """It lets everybody in; the one gateway that it names is away."""
    token = jwt.encode({"iat": 0, "exp": 600}, "a key of the test's console, long enough to sign with")
    answer = grant(token, f"https://127.0.0.1:{free_port()}", ca=Authority().pem.decode())
    console.answers |= {"login": lambda body: (200, answer), "logout": lambda body: (200, {})}
    return console


def command(url: str, folder: Path, *options: str) -> list[str]:
    (folder / "password").write_text("Correct-Horse-7\n")
    place = ["--console", url, "--instance", "sag-1", "--username", "alice.smith", "--json"]
    place += ["--password-file", str(folder / "password")]
    return [sys.executable, "-m", "edge.cli", "connect", *place, *options]


def local_envoy(folder: Path) -> psutil.Process | None:
    for process in psutil.process_iter(["name"]):
        try:
            if "envoy" in (process.info["name"] or "") and process.cwd().startswith(str(folder.resolve())):
                return process
        except psutil.Error:
            continue
    return None


def is_answered(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


def test_a_port_of_another_program_is_refused_before_anything_is_asked(
    console: FakeConsole, tmp_path: Path
) -> None:
    with socket.socket() as other:
        # As Envoy listens: on Linux two of one user would share the port, and nobody would know whose session it is.
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        listen = command(console.url, tmp_path, "--listen", str(port))
        done = ran(*listen)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["event"] == "failed"
    taken = f"The local port 127.0.0.1:{port} is taken by another program. Choose another one."
    assert told["message"] == taken
    assert not console.calls


@pytest.mark.skipif(
    not hasattr(os, "pidfd_open"), reason="It is this machine's own way; the other tests take it."
)
def test_envoy_comes_back_and_goes_where_there_is_no_pidfd(console: FakeConsole, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_PIDFD)
    port = free_port()
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    shown = ran(sys.executable, "-c", "import os; print(hasattr(os, 'pidfd_open'))", env=environment)
    assert shown.stdout == "False\n", "the switch works"
    with (tmp_path / "output").open("w") as output:
        connect = command(console.url, tmp_path, "--listen", str(port))
        client = subprocess.Popen(connect, env=environment, stdout=output, stderr=output)
    with ended(client):
        wait_until(lambda: '"ready"' in (tmp_path / "output").read_text(), "the proxy")
        first = wait_until(lambda: local_envoy(tmp_path), "Envoy")
        first.kill()
        wait_until(lambda: (now := local_envoy(tmp_path)) and now.pid != first.pid, "another Envoy")
        wait_until(lambda: is_answered(port), "the proxy's return")
        client.send_signal(signal.SIGINT)
        assert client.wait(30) == 0, (tmp_path / "output").read_text()
        assert local_envoy(tmp_path) is None
        assert not list(tmp_path.glob("causeway-connect-*"))


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None,
    reason="Only root on Linux, with unshare (Debian: util-linux), can take /proc away from a process.",
)
def test_a_socket_deep_down_is_reached_where_there_is_no_proc(tmp_path: Path) -> None:
    hide = 'mount -t tmpfs none /proc && exec "$0" "$@"'
    deep = tmp_path / ("deep" * 30)
    run = [sys.executable, "-c", WITHOUT_PROC, str(deep)]
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    apart = ("unshare", "--mount", "--propagation", "private")
    done = ran(*apart, "sh", "-c", hide, *run, env=environment)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(tmp_path), "by a link in the temporary folder"
    assert not list(tmp_path.glob("causeway-*")), "it left no link"
