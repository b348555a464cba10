"""Gateways added in the console: one run by its Deploy panel's commands; one removed while a flow is open."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.demo import ROOT, Demo, Tunnel, clean_environment, is_alive, wait_until
from tests.e2e.added_gateway import AddedGateway, added_gateway
from tests.e2e.deployed import (
    INSTALL_SECONDS,
    Machine,
    machine_in,
    running_again_changes_nothing,
    the_archive_has_no_secret,
)
from tests.running import causeway


@pytest.fixture
def added(demo: Demo) -> Iterator[AddedGateway]:
    with added_gateway(demo) as made:
        yield made


@pytest.fixture
def machine(demo: Demo, tmp_path: Path) -> Iterator[Machine]:
    with machine_in(demo, tmp_path / "machine", "gateway") as made:
        yield made


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_gateway_is_deployed_used_packed_and_taken_away(machine: Machine, added: AddedGateway) -> None:
    """Upgrades are tried elsewhere: by command with servers, by the console with a gateway that is a service."""
    assert "Not enrolled" in added.row()
    command = added.command()
    machine.deploy(command)
    wait_until(machine.is_good, INSTALL_SECONDS, what="no red light")
    assert "The checksum is right" in machine.output() and "ok      clock" in machine.output()
    assert machine.id == added.id
    wait_until(machine.is_green, 30, what="four green lights")
    wait_until(added.is_online, 30, what="the gateway in the console")

    with wait_until(added.flow, 40, what="a flow by the new gateway") as flow:
        assert flow.echoes()
        running_again_changes_nothing(machine, command)
        the_archive_has_no_secret(machine)
        agent = next(p for p in machine.processes() if "gateway run" in " ".join(p.cmdline()))
        agent.kill()
        code, report = machine.status()
        assert code == 1 and "agent does not run" in report["lights"][0]["reason"]
        wait_until(machine.is_good, 30, what="the agent started again")
        assert flow.echoes(), "Envoy and its flows outlived the agent"

    done = machine.run(machine.script("--uninstall"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert machine.running is not None and machine.running.wait(30) == 0, machine.output()
    assert not machine.home.exists()
    assert machine.processes() == [] and not added.reaches()
    assert machine.run(machine.script("--uninstall")).returncode == 0, "a second time does no harm"
    added.remove()
    assert added.row() == ""


class Checkout:
    """A gateway whose agent runs from this checkout."""

    def __init__(self, added: AddedGateway, home: Path) -> None:
        self.added, self.home = added, home

    def causeway(self, *command: str, code: str = "") -> subprocess.CompletedProcess[str]:
        environment = clean_environment() | {"CAUSEWAY_CODE": code}
        return causeway(*command, "--home", str(self.home), env=environment)

    def enroll(self) -> None:
        code = self.added.command().rpartition(" ")[2]
        done = self.causeway("gateway", "enroll", "--console", self.added.demo.console, code=code)
        assert done.returncode == 0, done.stderr

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


def has_ended(flow: Tunnel) -> bool:
    flow.socket.settimeout(30)
    try:
        return flow.socket.recv(100) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


@pytest.mark.timeout(240)
def test_a_gateway_removed_in_the_console_ends_its_flows_and_carries_nothing_any_more(
    added: AddedGateway, tmp_path: Path
) -> None:
    gateway = Checkout(added, tmp_path / "gateway")
    gateway.enroll()
    try:
        with gateway.running() as agent:
            with wait_until(added.flow, 40, what="a flow by the new gateway") as flow:
                assert flow.echoes()
                # A gateway that carries flows is removed only when it is not heard of.
                agent.send_signal(signal.SIGSTOP)
                added.remove()
                assert flow.echoes()
                agent.send_signal(signal.SIGCONT)
                assert has_ended(flow)
            wait_until(lambda: not gateway.envoys(), 30, what="the end of Envoy")
            assert "was removed from its console" in gateway.log()
            assert not added.reaches()
            told = gateway.causeway("status", "--json")
            reasons = {light["name"]: light["reason"] for light in json.loads(told.stdout)["lights"]}
            assert told.returncode == 1 and "was removed from its console" in reasons["configuration"]
            assert agent.poll() is None, "it goes on asking: whoever supervises it need not start it again"

        with gateway.running():  # after a restart of the machine, say
            wait_until(lambda: gateway.log().count("was removed from its console") == 2, 30, what="its word")
            assert not gateway.envoys() and not added.reaches()
    except BaseException:
        print(gateway.log()[-3000:])
        raise
