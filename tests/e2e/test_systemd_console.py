"""The panel's commands as they stand there, run by root under a real systemd: user, service, nothing left.

The server is upgraded by command and the gateway by a click in the console, which starts its Envoy anew at a port that
only the service's capability opens.

The container shares this machine's network, so that it reaches the demo's console and gateways.
"""

import random
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from tests.demo import Demo, Tunnel, post, wait_until
from tests.e2e.added_gateway import added_gateway
from tests.e2e.booted import CONFINED, BootedMachine, Container, booted_machine, confinement, missing
from tests.e2e.console_upgrade import gateways_upgraded, serves, steps
from tests.e2e.deployed import (
    an_upgrade_goes_back_when_it_fails_and_on_when_it_is_good,
    running_again_changes_nothing,
    server_command,
    server_online,
    the_archive_has_no_secret,
)
from tests.e2e.private_access import Administrator
from tests.e2e.wheels import built_wheel, deployment_python, offered, packages
from tests.edge.gateway_lab import Echo

ANOTHER = "0.9.3"
# An area and region in which the demo has no gateway: those of the demo run from a checkout, and cannot be upgraded.
AREA, REGION = "germany", "eu-central-1"
# Where an administrator tells pip what holds for every user, the service's among them. ``no-compile = no`` is pip's way
# to say that nothing is compiled ahead of use.
PIP = "[global]\nno-index = true\nfind-links = /srv/packages\n[install]\nno-compile = no\n"


@pytest.fixture(scope="module")
def container(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    if reason := missing():
        pytest.skip(reason)
    python = deployment_python("runuser", "-u", "nobody", "--")
    if not python:
        pytest.skip(
            "needs Python 3.11 or newer for a user that is not root (Debian: python3 and python3-venv)"
        )
    folder = tmp_path_factory.mktemp("booted")
    files = folder / "files"
    (files / "srv").mkdir(parents=True)
    (files / "etc").mkdir()
    (files / "etc" / "pip.conf").write_text(PIP)
    made = Container(folder, files, {"/srv/packages": packages(demo, python)}, network=True)
    yield made
    made.end()


class Office:
    """A connector of the test's own, and an application that only its servers lead to."""

    def __init__(self, demo: Demo, administrator: Administrator, echo: Echo) -> None:
        self.demo, self.administrator, self.host = demo, administrator, "echo.booted.example"
        self.id = administrator.add("connectors", "connector", "booted", region="cn-shanghai", enabled="on")
        application = {"protocol": "TCP", "addresses": self.host, "ports": "7", "enabled": "on"}
        origin = f"{echo.host}:{echo.port}"
        self.application = administrator.add(
            "applications", "pa-application", self.host, **application, origin=origin
        )
        policy = {"priority": "4", "users": "all", "scope": "selected", "applications": self.application}
        self.policy = administrator.add("policies", "fs", "booted", **policy, connector=self.id, enabled="on")

    def flow(self) -> Tunnel | None:
        tunnel = self.demo.connect(self.host, 7)
        return tunnel if tunnel.status == 200 else None

    def reaches(self) -> bool:
        """Whether a new flow to the application arrives; it is closed again."""
        if flow := self.flow():
            flow.close()
        return flow is not None

    def remove(self) -> None:
        for kind, each in (
            ("policies", self.policy),
            ("applications", self.application),
            ("connectors", self.id),
        ):
            self.administrator.post(f"{kind}/{each}/delete/")


@contextmanager
def an_office(demo: Demo) -> Iterator[Office]:
    with closing(demo.admin_client()) as client, closing(Echo()) as echo:
        made = Office(demo, Administrator(demo, client), echo)
        try:
            yield made
        finally:
            made.remove()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_server_runs_as_a_service_is_upgraded_by_command_and_taken_away(
    demo: Demo, container: Container
) -> None:
    booted = booted_machine(demo, container, "connector")
    with booted as machine, an_office(demo) as office:
        client = office.administrator.client
        command = server_command(client, office.id)
        runs_as_a_service(machine, command)
        server = machine.id
        wait_until(lambda: server_online(client, office.id, server), 30, what="the server in the console")
        with wait_until(office.flow, 30, what="a flow by the server") as flow:
            running_again_changes_nothing(machine, command)
            comes_back_when_killed(machine, flow)
        the_archive_has_no_secret(machine)

        wait_until(lambda: serves(demo, machine), 30, what="a server that the gateways know")
        an_upgrade_goes_back_when_it_fails_and_on_when_it_is_good(machine)
        assert confinement(container, machine.unit) == CONFINED["connector"]
        wait_until(lambda: server_online(client, office.id, server), 30, what="the upgraded server online")
        with wait_until(office.flow, 30, what="a flow by the upgraded server") as flow:
            assert flow.echoes()

        post(client, f"/sase/connectors/{office.id}/servers/{server}/remove/").raise_for_status()
        assert server not in client.get(f"/sase/connectors/{office.id}/servers/").text
        wait_until(lambda: not office.reaches(), 30, what="no way to the application")
        leaves_nothing(machine)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_gateway_runs_as_a_service_is_upgraded_by_the_console_and_taken_away(
    demo: Demo, container: Container
) -> None:
    booted = booted_machine(demo, container, "gateway")
    added_in_area = added_gateway(demo, port_of_root(), REGION)
    with booted as machine, added_in_area as added, offered(demo) as wheels:
        command = added.command()
        runs_as_a_service(machine, command)
        wait_until(added.is_online, 30, what="the gateway in the console")
        with wait_until(added.flow, 40, what="a flow by the new gateway") as flow:
            running_again_changes_nothing(machine, command)
            comes_back_when_killed(machine, flow)
        the_archive_has_no_secret(machine)

        agent, envoy = machine.agent(), machine.envoy()
        built_wheel(wheels, ANOTHER, {})
        assert gateways_upgraded(demo, added.client, AREA, ANOTHER) == "done", steps(demo, "gateway")
        assert machine.version() == ANOTHER and container.main_pid(machine.unit) == agent == machine.agent()
        assert machine.envoy() != envoy, "the new version has an Envoy of its own"
        assert confinement(container, machine.unit) == CONFINED["gateway"]
        assert "Upgrading" not in added.row()
        wait_until(added.is_online, 30, what="the upgraded gateway in the console")
        with wait_until(added.flow, 40, what="a flow by the upgraded gateway") as flow:
            assert flow.echoes()
        wait_until(lambda: len(machine.installed()) == 1, 30, what="the version before removed")

        # Its Envoy is nobody's child then, and must not stay behind.
        container.run("kill", "-KILL", container.main_pid(machine.unit))
        leaves_nothing(machine)
        wait_until(lambda: not added.reaches(), 30, what="nobody at the gateway's port")


def port_of_root() -> int:
    """A free port that only root may take, or a service that is allowed to."""
    for port in random.SystemRandom().sample(range(600, 1024), 50):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port below 1024")


def runs_as_a_service(machine: BootedMachine, command: str) -> None:
    """The panel's command, as it is copied."""
    done = machine.run(command)
    assert done.returncode == 0, done.stdout + done.stderr
    for sentence in (
        "Adding the user causeway",
        "The checksum is right",
        f"Installing the service {machine.unit}",
    ):
        assert sentence in done.stdout
    wait_until(machine.is_green, 40, what="four green lights")
    assert confinement(machine.container, machine.unit) == CONFINED[machine.kind]
    assert machine.home.stat().st_mode & 0o077 == 0 and machine.home.stat().st_uid != 0
    assert machine.container.say("systemctl", "is-enabled", machine.unit) == "enabled"


def comes_back_when_killed(machine: BootedMachine, flow: Tunnel) -> None:
    assert flow.echoes()
    container, envoy, agent = machine.container, machine.envoy(), machine.agent()
    container.run("kill", "-KILL", agent)
    wait_until(lambda: machine.agent() not in ("", agent) and machine.is_green(), 30, what="another agent")
    assert machine.envoy() == envoy and flow.echoes()


def leaves_nothing(machine: BootedMachine) -> None:
    """`--uninstall`, once and again."""
    assert len(machine.left()) > 10
    done = machine.run(machine.script("--uninstall"))
    assert done.returncode == 0 and "Removing the user causeway" in done.stdout, done.stdout + done.stderr
    assert machine.left() == []
    assert machine.run(machine.script("--uninstall")).returncode == 0, "a second time does no harm"
