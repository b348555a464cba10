"""Private access as an administrator works on it by its pages, and a gateway's own view of it."""

import html
import re
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import httpx
import psutil

from edge.access.decision import Decision, Destination, decide
from edge.access.snapshot import Snapshot
from edge.envoy.tunnels import parse_arrived
from edge.home import Home
from edge.protocol.configuration import GatewayConfiguration
from edge.protocol.identity import SessionIdentity
from tests.demo import Demo, clean_environment, is_alive, post, wait_until
from tests.running import ran

CODE = re.compile(r"--code ([A-Z2-9]{4}-[A-Z2-9]{4}-[A-Z2-9]{4})")


class Administrator:
    """Administrator who works by the POSTs of the console's forms; the console must accept each."""

    def __init__(self, demo: Demo, client: httpx.Client) -> None:
        self.demo, self.client = demo, client

    def post(self, url: str, **data: Any) -> httpx.Response:
        """Post a form; a list stands for several values of one name."""
        answer = post(
            self.client, f"/sase/{url}", {name: value for name, value in data.items() if value is not None}
        )
        assert answer.status_code == 200, (url, data, errors(answer.text))
        return answer

    def add(self, kind: str, prefix: str, name: str, **data: Any) -> str:
        """Add an object; return its id, found by the object's name as people find it."""
        self.post(f"{kind}/add/", name=name, **data)
        page = self.client.get(f"/sase/{kind}/", params={"q": name}).text
        found = re.search(rf"/sase/{kind}/({prefix}-[0-9a-f]{{16}})/", page)
        assert found, f"{name} is not in the list"
        return found[1]

    def code(self, connector: str) -> str:
        """Return a code of the Deploy panel."""
        page = html.unescape(self.post(f"connectors/{connector}/deploy/").text)
        found = CODE.search(page)
        assert found, page
        return found[1]

    def everyone_current(self) -> bool:
        """Tell whether the gateways' page calls every gateway's configuration current."""
        page = self.client.get("/gateways/").text
        return page.count(">Current</span>") == len(self.demo.world["gateways"])

    def settle(self) -> None:
        wait_until(self.everyone_current, 30, what="the configuration on all gateways")


def errors(page: str) -> str:
    found = re.findall(r'class="(?:field-error|notice notice-error)[^"]*"[^>]*>(.*?)</div>', page, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", " ".join(found)).split())


class Gateway:
    """Gateway of the demo, seen from its own folder."""

    def __init__(self, demo: Demo, described: dict[str, Any]) -> None:
        self.described = described
        folders = (path.parent for path in demo.home.glob("machine-gateway-*/identity.json"))
        self.home = next(Home(path) for path in folders if Home(path).identity.id == described["id"])

    def tunnels(self) -> dict[tuple[str, str], int]:
        """Map (connector, server) → live tunnels, as the gateway's Envoy counts."""
        return parse_arrived(statistics(self.home, "^tunnels\\.tunnels\\.", "&hidden=include"))

    def document(self) -> dict[str, Any]:
        found = self.home.read_json("snapshot.json")
        assert found is not None
        return found

    def world(self) -> Snapshot:
        """Return the configuration in force with the connectors online now."""
        snapshot = Snapshot.compile(GatewayConfiguration.decode(self.document()))
        online = {c for (c, s), count in self.tunnels().items() if count and snapshot.server_open(s, c)}
        return snapshot.with_online(frozenset(online))


def decided(world: Snapshot, account: dict[str, Any], account_id: str, host: str, port: int) -> Decision:
    """Return the decision on the gateway's own world."""
    now = time.time()
    identity = SessionIdentity(
        "session-of-the-test", account_id, account["instance"], account["username"], "10.0.0.1", now + 3600
    )
    return decide(identity, Destination.parse(f"{host}:{port}"), world, now=now)


def statistics(home: Home, pattern: str, more: str = "") -> str:
    """Return the statistics of a machine's Envoy; nothing when Envoy does not run."""
    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(5)
        try:
            stream.connect(str(home.file("envoy") / "admin.sock"))
            connection = HTTPConnection("envoy")
            connection.sock = stream
            connection.request("GET", f"/stats?filter={pattern}{more}")
            return connection.getresponse().read().decode()
        except (OSError, HTTPException):
            return ""


class Server:
    """Connector server beside the demo's own, run by ``causeway connector run``."""

    def __init__(self, demo: Demo, folder: Path, code: str) -> None:
        self.home, self.log = Home(folder / "server"), folder / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        # By standard input: arguments can be seen.
        command = self._command("enroll", "--console", demo.console, "--code-file", "-")
        done = ran(*command, input=code, env=clean_environment())
        assert done.returncode == 0, done.stderr
        self.id = self.home.identity.id

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "edge.cli", "connector", *arguments, "--home", str(self.home.path)]

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self._command("run"), env=clean_environment(), stdout=output, stderr=output
            )

    def stop(self, number: int = signal.SIGKILL) -> None:
        """Kill the agent and the Envoy that would outlive it, or ask the agent to end by another signal."""
        if self.process is None:
            return
        family = [
            self.process.pid,
            *(child.pid for child in psutil.Process(self.process.pid).children(recursive=True)),
        ]
        self.process.send_signal(number)
        self.process.wait(20)
        for pid in family[1:]:
            if psutil.pid_exists(pid) and is_alive(psutil.Process(pid)):
                psutil.Process(pid).kill()
        self.process = None

    def flows(self) -> int:
        """Return how many connections the server was given since its Envoy started."""
        text = statistics(self.home, "^http.reverse.downstream_rq_total$")
        return int(text.rpartition(": ")[2] or 0)
