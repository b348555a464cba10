"""A gateway added in the console, enrolled, used by clients and servers, and removed while a flow is open."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from tests.demo import ROOT, Demo, Tunnel, clean_environment, free_port, is_alive, post, wait_until

CODE = re.compile(r"deploy/gateway\.sh \| sh -s -- --code ([A-Z2-9-]{14})")


class Gateway:
    """One of the test's own, beside those of the demo; its agent runs from this checkout."""

    def __init__(self, demo: Demo, home: Path) -> None:
        self.demo, self.home, self.id = demo, home, ""
        self.port, self.tunnel_port = free_port(), free_port()

    def add(self) -> str:
        """Fill in the console's form; the code that its Deploy panel shows."""
        form = {
            "name": "gateway-of-the-test",
            "region": self.demo.gateway()["region"],
            "public_host": "127.0.0.1",
            "listen_address": "127.0.0.1",
            "client_port": str(self.port),
            "tunnel_port": str(self.tunnel_port),
        }
        with closing(self.demo.admin_client()) as browser:
            page = str(post(browser, "/gateways/add/", form).url)
            found = re.search(r"gateway-[0-9a-f]{16}", page)
            assert found, page
            self.id = found[0]
            code = CODE.search(post(browser, f"/gateways/{self.id}/deploy/").text)
        assert code
        return code[1]

    def remove(self) -> None:
        with closing(self.demo.admin_client()) as browser:
            post(browser, f"/gateways/{self.id}/delete/").raise_for_status()

    def causeway(self, *command: str, code: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "edge.cli", *command, "--home", str(self.home)],
            cwd=ROOT,
            env=clean_environment() | {"CAUSEWAY_CODE": code},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-m", "edge.cli", "gateway", "run", "--home", str(self.home)]
        agent = subprocess.Popen(
            command, cwd=ROOT, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield agent
            agent.terminate()
            assert agent.wait(15) == 0
        finally:
            agent.kill()
            agent.wait()
            for envoy in self.envoys():
                envoy.kill()

    def envoys(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter(["name", "cwd"]):
            if process.info["cwd"] == str(self.home / "envoy") and process.info["name"].startswith("envoy"):
                found += [process] if is_alive(process) else []
        return found

    def log(self) -> str:
        return (self.home / "agent.log").read_text()

    def flow(self) -> Tunnel | None:
        try:
            tunnel = self.demo.connect(
                "echo.corp.example", 7, gateway={"proxy": f"https://127.0.0.1:{self.port}"}
            )
        except (OSError, AssertionError):
            return None
        return tunnel if tunnel.status == 200 else None


def has_ended(flow: Tunnel) -> bool:
    flow.socket.settimeout(10)
    try:
        return flow.socket.recv(100) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


@pytest.mark.timeout(150)
def test_a_gateway_removed_in_the_console_ends_its_flows_and_carries_nothing_any_more(
    demo: Demo, tmp_path: Path
) -> None:
    gateway = Gateway(demo, tmp_path / "gateway")
    enrolled = gateway.causeway("gateway", "enroll", "--console", demo.console, code=gateway.add())
    assert enrolled.returncode == 0, enrolled.stderr
    try:
        with gateway.running() as agent:
            with wait_until(gateway.flow, 40, what="a flow by the new gateway") as flow:
                flow.socket.sendall(b"hello")
                assert flow.socket.recv(100) == b"hello"
                gateway.remove()
                assert has_ended(flow)
            wait_until(lambda: not gateway.envoys(), 15, what="the end of Envoy")
            assert "was removed from its console" in gateway.log()
            assert gateway.flow() is None
            told = gateway.causeway("status", "--json")
            reasons = {light["name"]: light["reason"] for light in json.loads(told.stdout)["lights"]}
            assert told.returncode == 1 and "was removed from its console" in reasons["configuration"]
            assert agent.poll() is None, "it goes on asking: whoever supervises it need not start it again"

        with gateway.running():  # after a restart of the machine, say
            wait_until(lambda: gateway.log().count("was removed from its console") == 2, 30, what="its word")
            assert not gateway.envoys() and gateway.flow() is None
    except BaseException:
        print(gateway.log()[-3000:])
        raise
