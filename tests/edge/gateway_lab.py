"""A real gateway on free ports for tests: agent process, Envoy, a folder with its configuration, and raw clients."""

import base64
import copy
import json
import os
import select
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import psutil

from edge.envoy.client import ARGUMENTS, CA_FILE, TOKEN_FILE, Forward, bootstrap, ca_file, token_file
from edge.envoy.process import EnvoyProcess
from edge.home import Home, Identity
from tests.edge.gateway_pki import Authority, TokenSigner
from tests.ports import free_port
from tests.quiet import Service
from tests.running import ROOT
from tests.waiting import rest

GATEWAY = "gateway-00000000000000a1"
INSTANCE = "sag-aaaaaaaaaaaaaaaaaa"
ACCOUNT = "user-00000000000000c1"
SESSION = "session-00000000000000d1"
CONNECTOR = "connector-00000000000000e1"


def wait_until(condition: Callable[[], Any], what: str | Callable[[], str], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while (began := time.monotonic()) < deadline:
        found = condition()
        if found:
            return found
        rest(began, 0.05)
    raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")


class Echo(Service):
    """A TCP service that returns every byte."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__(host)
        self.host, self.target = host, f"{host}:{self.port}"

    def serve(self, connection: socket.socket) -> None:
        while data := connection.recv(65536):
            connection.sendall(data)


def snapshot_document(signer: TokenSigner, client_port: int, tunnel_port: int) -> dict[str, Any]:
    return {
        "version": 1,
        "gateway": {
            "id": GATEWAY, "name": "g1", "area": "mainland-china", "area_name": "Mainland China",
            "region": "cn-shanghai", "listen": "127.0.0.1", "client_port": client_port, "tunnel_port": tunnel_port,
            "public_host": "127.0.0.1",
        },
        "session_keys": {signer.kid: signer.public_pem},
        "offline_seconds": 3600,
        "instances": {
            INSTANCE: {"area": "mainland-china", "active": True, "ccn": "ccn-1", "cloud_networks": ["127.0.0.1/32"]}
        },
        "ended_sessions": {},
        "connectors": {},
        "applications": {},
        "groups": {},
        "policies": [],
    }  # fmt: skip


def policy(name: str, connector: str, **changes: Any) -> dict[str, Any]:
    """Return a policy for everybody and every application, in the shape of a gateway's configuration."""
    return {
        "id": f"fs-{name}", "name": name, "priority": 10, "users": "all", "groups": [], "accounts": [],
        "applications": "all", "application_ids": [], "connector": connector,
    } | changes  # fmt: skip


def application(
    *addresses: str, ports: Sequence[Sequence[int]] = ((80, 80),), **changes: Any
) -> dict[str, Any]:
    ranges = [list(pair) for pair in ports]
    return {"name": addresses[0], "addresses": list(addresses), "ports": ranges, "protocol": "TCP"} | changes


def connector(**changes: Any) -> dict[str, Any]:
    """Return a connector that is switched on and licensed, with one server ``server-1``."""
    return {"name": "office", "enabled": True, "licensed": True, "servers": {"server-1": True}} | changes


class GatewayLab:
    def __init__(self, path: Path) -> None:
        self.home = Home(path / "home")
        self.signer, self.authority = TokenSigner(), Authority()
        self.client_port, self.tunnel_port = free_port(), free_port()
        self.document = snapshot_document(self.signer, self.client_port, self.tunnel_port)
        self.authority.gateway(self.home, GATEWAY)
        # Nobody listens there: the console is down, as it may be.
        self.home.write_identity(Identity(GATEWAY, "gateway", f"http://127.0.0.1:{free_port()}"))
        self.home.write_json("snapshot.json", self.document)
        self.log = path / "agent.log"
        self.agent: subprocess.Popen[bytes] | None = None
        self.sockets: list[socket.socket] = []

    # -- The agent --

    def knows(self, **sections: Any) -> None:
        """Replace sections of the configuration by which the agent starts."""
        self.document |= sections
        self.home.write_json("snapshot.json", self.document)

    def start(self, *arguments: str) -> None:
        with self.log.open("ab") as log:
            self.agent = subprocess.Popen(
                [sys.executable, "-m", "tests.edge.gateway_process", str(self.home.path), *arguments],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        wait_until(self.answers, lambda: f"the gateway answers\n{self.log.read_text()[-3000:]}")

    def answers(self) -> bool:
        """Whether the agent, and not only Envoy, answers, be it that nobody is let in without the console."""
        try:
            status, headers, _ = self.ask(None)
        except OSError:
            return False
        return status == 407 or headers.get("x-causeway-reason") == "consolelost"

    def apply(self, **changes: Any) -> dict[str, Any]:
        """Apply the document with these sections replaced, its version raised by one unless given."""
        document = copy.deepcopy(self.document) | {"version": self.document["version"] + 1} | changes
        answer = self._tell(document)
        if "cut" in answer:
            self.document = document
        return answer

    def end_session(self, session: str) -> None:
        """Tell of a session that was logged off, ahead of the next configuration."""
        self._tell({"ended": {session: "logged_off"}, "ends": f"1.{session}"})

    def _tell(self, document: dict[str, Any]) -> dict[str, Any]:
        assert self.agent and self.agent.stdin and self.agent.stdout
        self.agent.stdin.write(json.dumps(document).encode() + b"\n")
        self.agent.stdin.flush()
        ready, _, _ = select.select([self.agent.stdout], [], [], 30)
        assert ready, f"no answer from the agent\n{self.log.read_text()[-3000:]}"
        answer: dict[str, Any] = json.loads(self.agent.stdout.readline())
        return answer

    def kill_agent(self) -> None:
        assert self.agent
        self.agent.kill()
        self.agent.wait()
        self._close_pipes()

    def _close_pipes(self) -> None:
        assert self.agent and self.agent.stdin and self.agent.stdout
        self.agent.stdin.close()
        self.agent.stdout.close()

    def envoy(self) -> psutil.Process | None:
        try:
            return psutil.Process(json.loads(self.home.file("envoy/envoy.pid").read_text())["pid"])
        except (OSError, psutil.Error):
            return None

    def close(self) -> None:
        for each in self.sockets:
            each.close()
        envoy = self.envoy()
        if self.agent and self.agent.poll() is None:
            self.agent.send_signal(signal.SIGTERM)
            try:
                self.agent.wait(30)
            except subprocess.TimeoutExpired:
                self.agent.kill()
                self.agent.wait()
        if self.agent:
            self._close_pipes()
        if envoy and envoy.is_running():
            os.kill(envoy.pid, signal.SIGKILL)

    # -- Clients --

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.client_port}"

    def client(self, folder: Path, *, concurrency: int = 1) -> EnvoyProcess:
        """Return the Envoy of ``causeway connect``, not started yet, whose session the gateway knows."""
        home = Home(folder)
        home.write_atomic(TOKEN_FILE, token_file(self.token()))
        home.write_atomic(CA_FILE, ca_file(self.home.file("pki/ca.pem").read_text()))
        return EnvoyProcess(folder, concurrency=concurrency, arguments=ARGUMENTS)

    @asynccontextmanager
    async def running_client(
        self, folder: Path, *forwards: Forward, gateways: Sequence[str] = ()
    ) -> AsyncIterator[int]:
        """Run such an Envoy, by this gateway unless others are named; give the port of its local proxy."""
        envoy, port = self.client(folder), free_port()
        await envoy.start(bootstrap(("127.0.0.1", port), forwards, gateways or [self.url]))
        try:
            yield port
        finally:
            await envoy.stop()

    def token(
        self, session: str = "", account: str = ACCOUNT, instance: str = INSTANCE, **claims: Any
    ) -> str:
        """Log on: in the lab's session, or with a bandwidth (`bw`) in another, whose bandwidth no other flow gets."""
        session = session or (f"{SESSION}-{claims['bw']}" if "bw" in claims else SESSION)
        return self.signer.token(session, account, instance, **claims)

    def connect(self) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.home.file("pki/ca.pem")))
        raw = socket.create_connection(("127.0.0.1", self.client_port), timeout=30)
        self.sockets.append(raw)
        wrapped = context.wrap_socket(raw, server_hostname="127.0.0.1")
        self.sockets.append(wrapped)
        return wrapped

    def send(self, request: bytes) -> tuple[int, dict[str, str], bytes, ssl.SSLSocket]:
        """Send raw bytes; status, headers (lower case), what came of the body, and the open connection."""
        connection = self.connect()
        connection.sendall(request)
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                break
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        length = int(headers.get("content-length", 0))
        while len(body) < length:
            body += connection.recv(65536)
        status = int(lines[0].split()[1]) if lines[0].startswith("HTTP/") else 0
        return status, headers, body, connection

    def ask(
        self, authorization: str | None, target: str = "127.0.0.1:9"
    ) -> tuple[int, dict[str, str], bytes]:
        credentials = f"Proxy-Authorization: {authorization}\r\n" if authorization is not None else ""
        answer = self.send(
            f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{credentials}\r\n".encode("latin-1")
        )
        answer[3].close()
        return answer[:3]

    def verdict(self, target: str) -> tuple[int, str]:
        """Status and reason of a new flow to the target; without a reason for a flow that was let in."""
        status, headers, _ = self.ask(f"Bearer {self.token()}", target)
        return status, headers.get("x-causeway-reason", "")

    def tunnel(self, target: str, **token: Any) -> ssl.SSLSocket:
        """An open flow to the target."""
        credentials = f"Proxy-Authorization: Bearer {self.token(**token)}"
        request = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{credentials}\r\n\r\n"
        status, headers, body, connection = self.send(request.encode())
        assert status == 200, (status, headers, body)
        return connection


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def echoes(connection: ssl.SSLSocket, data: bytes = b"hello") -> bool:
    """Whether the flow still carries bytes both ways."""
    try:
        connection.sendall(data)
        got = b""
        while len(got) < len(data):
            more = connection.recv(65536)
            if not more:
                return False
            got += more
    except (OSError, ssl.SSLError):
        return False
    return got == data


def records(lab: GatewayLab) -> dict[str, dict[str, object]]:
    """The flow records waiting for the console."""
    with closing(sqlite3.connect(f"file:{lab.home.file('flows.sqlite3')}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT body FROM record").fetchall()
    return {record["flow"]: record for record in (json.loads(row[0]) for row in rows)}
