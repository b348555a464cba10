"""The running demo, as its users meet it: started once for all tests, described by its own ``demo.json``."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.ports import free_port
from tests.running import ROOT as ROOT  # noqa: PLC0414  tests import it from here
from tests.waiting import rest

READY_SECONDS = 300
STOP_SECONDS = 30


@dataclass
class CurlResult:
    """What curl reported: its exit code, the response's status (0: none), that of CONNECT (0: none), the body."""

    exit_code: int
    status: int
    connect_status: int
    body: bytes
    error: str


@dataclass
class Tunnel:
    """The answer to one CONNECT: status, reason phrase, headers (lower-case names), the socket (closed unless 200)."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes
    socket: ssl.SSLSocket

    def close(self) -> None:
        self.socket.close()

    def echoes(self, data: bytes = b"hello") -> bool:
        """Tell whether the echo service sends the bytes back."""
        self.socket.sendall(data)
        return read_exactly(self.socket, len(data)) == data

    def __enter__(self) -> Tunnel:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()


def wait_until(condition: Callable[[], Any], seconds: float = 10, *, what: str = "the condition") -> Any:
    """The first true value of ``condition``, asked again and again; a failed test after ``seconds``."""
    began = time.monotonic()
    deadline = began + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        rest(began)
        began = time.monotonic()
    return value


def in_time(look: Callable[[], Any], wanted: Any, seconds: float) -> Any:
    """What ``look`` gives once that is ``wanted``, asked again and again; after ``seconds`` what it gave last."""
    began = time.monotonic()
    deadline = began + seconds
    while (seen := look()) != wanted and time.monotonic() < deadline:
        rest(began)
        began = time.monotonic()
    return seen


def clean_environment() -> dict[str, str]:
    """Ours without what the tests set for themselves, so that the demo runs with its own settings."""
    own = ("CAUSEWAY_", "DJANGO_", "DATABASE_URL", "PYTEST_")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)}


class Demo:
    """A demo that said ``ready``. ``world`` is its ``demo.json``: see demo/world.py."""

    def __init__(self, home: Path, process: subprocess.Popen[str], output: list[str]) -> None:
        self.home, self.process, self.output = home, process, output
        self.world: dict[str, Any] = json.loads((home / "demo.json").read_text())

    @property
    def console(self) -> str:
        return str(self.world["console"])

    def gateway(self, area: str = "mainland-china") -> dict[str, Any]:
        return next(gateway for gateway in self.world["gateways"] if gateway["area"] == area)

    def account(self, area: str = "mainland-china") -> dict[str, Any]:
        """The first client account of an instance in this area."""
        region = self.gateway(area)["region"]
        instances = {instance["id"] for instance in self.world["instances"] if instance["region"] == region}
        return next(account for account in self.world["accounts"] if account["instance"] in instances)

    def capped_account(self) -> dict[str, Any]:
        """The last account of the first one's instance, which has a bandwidth of 2,000 kbit/s."""
        instance = self.account()["instance"]
        return next(each for each in reversed(self.world["accounts"]) if each["instance"] == instance)

    def connector(self) -> dict[str, Any]:
        return dict(self.world["connectors"][0])

    def application(self, name: str) -> dict[str, Any]:
        return next(application for application in self.world["applications"] if application["name"] == name)

    def pid(self, name: str) -> int:
        """Now, and not at the start: a program that was started again has another one."""
        return int(json.loads((self.home / "demo.json").read_text())["processes"][name])

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """What the console's database answers."""
        return rows_of(self.home / "causeway.sqlite3", sql, *values)

    def servers_follow(self) -> None:
        """Wait until every server of the demo works by the newest configuration: they ask every few seconds."""
        behind = (
            "SELECT 1 FROM connectors_server WHERE enabled AND coalesce(applied_version, 0) < "
            "(SELECT servers_version FROM console_configversion)"
        )
        wait_until(lambda: not self.rows(behind), 40, what="the servers' configuration")

    def kill(self, pid: int, signal_number: int = signal.SIGKILL) -> None:
        """Send a signal to one process of this demo; refuses any other."""
        assert pid in {member.pid for member in family(self.process, self.home)}, (
            f"{pid} is not a process of this demo"
        )
        os.kill(pid, signal_number)

    def curl(
        self,
        url: str,
        *extra: str,
        account: dict[str, Any] | None = None,
        gateway: dict[str, Any] | None = None,
    ) -> CurlResult:
        """Fetch ``url`` through a gateway with stock curl; the password goes by standard input, not by arguments."""
        account, gateway = account or self.account(), gateway or self.gateway()
        user = f"{account['username']}@{account['instance']}:{account['password']}"
        quoted = user.replace("\\", "\\\\").replace('"', '\\"')
        command = ["curl", "--silent", "--show-error", "--max-time", "30", "--config", "-", "--output", "-"]
        command += ["--proxy", gateway["proxy"], "--proxy-cacert", self.world["ca_file"]]
        command += ["--write-out", "%{stderr}\n%{http_code} %{http_connect}", *extra, url]
        done = subprocess.run(
            command, input=f'proxy-user = "{quoted}"\n'.encode(), capture_output=True, check=False
        )
        error, _, codes = done.stderr.decode().rpartition("\n")
        status, connect_status = (int(code) for code in codes.split())
        return CurlResult(done.returncode, status, connect_status, done.stdout, error.strip())

    def connect(
        self,
        host: str,
        port: int,
        *,
        account: dict[str, Any] | None = None,
        gateway: dict[str, Any] | None = None,
        timeout: float = 30,
    ) -> Tunnel:
        """One CONNECT over TLS, as a stock HTTP/1.1 client sends it; on 200 the socket carries the flow."""
        account, gateway = account or self.account(), gateway or self.gateway()
        proxy = urlsplit(gateway["proxy"])
        context = ssl.create_default_context(cafile=self.world["ca_file"])
        raw = socket.create_connection((proxy.hostname, proxy.port), timeout=timeout)
        stream = context.wrap_socket(raw, server_hostname=proxy.hostname)
        user = f"{account['username']}@{account['instance']}:{account['password']}"
        credentials = base64.b64encode(user.encode()).decode()
        try:
            stream.sendall(
                f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n"
                f"Proxy-Authorization: Basic {credentials}\r\n\r\n".encode()
            )
            head, _, body = read_until(stream, b"\r\n\r\n").partition(b"\r\n\r\n")
        except BaseException:
            stream.close()
            raise
        first, *lines = head.decode("latin-1").split("\r\n")
        _, status, reason = [*first.split(" ", 2), ""][:3]
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        if status != "200":
            body += read_exactly(stream, int(headers.get("content-length", 0)) - len(body))
            stream.close()
        return Tunnel(int(status), reason, headers, body, stream)

    def verdict(self, host: str = "echo.corp.example", port: int = 7, **who: Any) -> tuple[int, str]:
        """Status and reason of a new flow, which is closed again; without a reason for one that was let in."""
        with self.connect(host, port, **who) as tunnel:
            return tunnel.status, tunnel.headers.get("x-causeway-reason", "")

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Hold the demo's own trickle of traffic still, which is by all accounts and shares their bandwidth."""
        pid = self.pid("traffic")
        self.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            self.kill(pid, signal.SIGCONT)

    @contextmanager
    def console_away(self) -> Iterator[None]:
        """Stop the console's processes: callers time out, and the console may yet take their calls in when it wakes."""
        main = psutil.Process(self.pid("console"))
        stopped = [main, *main.children(recursive=True)]
        for process in stopped:
            process.suspend()
        try:
            with pytest.raises(httpx.HTTPError):
                httpx.get(f"{self.console}/healthz", timeout=1)
            yield
        finally:
            for process in stopped:
                process.resume()

    def admin_client(self) -> httpx.Client:
        """A client logged in to the console as its administrator, as a browser is."""
        client = httpx.Client(base_url=self.console, follow_redirects=True, timeout=30)
        try:
            answer = post(client, str(client.get("/").raise_for_status().url), dict(self.world["admin"]))
            answer.raise_for_status()
            assert "sessionid" in client.cookies, "the console did not accept the administrator's password"
        except BaseException:
            client.close()
            raise
        return client


def rows_of(database: Path, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """What a file of SQLite's answers; it is only read."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=20)) as connection:
        return connection.execute(sql, values).fetchall()


def post(
    client: httpx.Client, url: str, data: dict[str, str] | None = None, **arguments: Any
) -> httpx.Response:
    """The POST that a browser sends: with the CSRF token of the cookie and a referrer."""
    token = client.cookies.get("csrftoken", "")
    headers = {"Referer": str(client.base_url)}
    return client.post(url, data={"csrfmiddlewaretoken": token, **(data or {})}, headers=headers, **arguments)


def read_until(stream: socket.socket, mark: bytes) -> bytes:
    received = b""
    while mark not in received:
        chunk = stream.recv(65536)
        if not chunk:
            raise AssertionError(f"the connection ended after {received!r}")
        received += chunk
    return received


def read_exactly(stream: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count and (chunk := stream.recv(count - len(received))):
        received += chunk
    return received


def _read_output(process: subprocess.Popen[str], output: list[str], ready: threading.Event) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        output.append(line)
        if re.match(r"\s*ready\b", line):
            ready.set()
    ready.set()  # the end of the output also ends the wait


def start_demo(
    home: Path,
    *extra: str,
    within: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    seconds: float = READY_SECONDS,
) -> tuple[subprocess.Popen[str], list[str]]:
    """Start ``manage.py demo`` and return once it said ``ready``; fails with its output after so many ``seconds``.

    ``within``: a command that runs another one in its place, in a namespace for example.
    """
    command = [*within, sys.executable, "manage.py", "demo", "--home", str(home), "--port", str(free_port())]
    process = subprocess.Popen(
        [*command, *extra],
        cwd=ROOT,
        env=clean_environment() | {"PYTHONUNBUFFERED": "1", **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    output: list[str] = []
    ready = threading.Event()
    threading.Thread(target=_read_output, args=(process, output, ready), daemon=True).start()
    if not ready.wait(seconds) or process.poll() is not None or not (home / "demo.json").exists():
        stop_demo(process, home)
        raise RuntimeError("the demo did not become ready:\n" + "".join(output[-60:]))
    return process, output


def family(process: subprocess.Popen[str], home: Path) -> list[psutil.Process]:
    """Everything the demo started: its descendants, and what carries its home in the environment.

    An Envoy outlives its agent on purpose, and is then nobody's descendant.
    """
    found = set(psutil.Process(process.pid).children(recursive=True)) if process.poll() is None else set()
    for other in psutil.process_iter():
        with suppress(psutil.Error):
            if other.environ().get("CAUSEWAY_STATE_DIR") == str(home.resolve()):
                found.add(other)
    return [member for member in found if member.pid not in (process.pid, os.getpid())]


def is_alive(process: psutil.Process) -> bool:
    """False also for a zombie: where process 1 reaps nobody, they stay for ever."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def stop_demo(process: subprocess.Popen[str], home: Path) -> list[psutil.Process]:
    """Press Ctrl-C and wait; returns what of the demo's family outlived it, killed by now."""
    members = family(process, home)
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    deadline = time.monotonic() + 5
    while (left := [member for member in members if is_alive(member)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    for survivor in left:
        with suppress(psutil.NoSuchProcess):
            survivor.kill()
    if process.stdout is not None:
        process.stdout.close()
    return left


@contextmanager
def running_demo(home: Path, seconds: float = READY_SECONDS) -> Iterator[Demo]:
    """Run a fresh demo during a block."""
    process, output = start_demo(home, "--fresh", seconds=seconds)
    try:
        yield Demo(home, process, output)
    finally:
        stop_demo(process, home)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The running demo. At the end Ctrl-C, after which no process of it may be left."""
    home = tmp_path_factory.mktemp("demo")
    # A broken version is waited for by one test; what is sound takes a few seconds.
    environment = {"CAUSEWAY_UPGRADE_HEALTH_SECONDS": "40"}
    process, output = start_demo(home, "--fresh", environment=environment)
    running = Demo(home, process, output)
    yield running
    by_itself = process.poll() is not None
    left = stop_demo(process, home)
    assert not by_itself, "the demo ended by itself:\n" + "".join(output[-60:])
    assert not left, f"Ctrl-C left these running: {left}"
    pids = [running.pid(name) for name in running.world["processes"]]
    still_there = [pid for pid in pids if psutil.pid_exists(pid) and is_alive(psutil.Process(pid))]
    assert not still_there, f"processes named in demo.json are still there: {still_there}"
