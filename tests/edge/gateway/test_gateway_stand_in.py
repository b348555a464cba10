"""A gateway's address is held by somebody with another gateway's certificate: one that was removed, say."""

from pathlib import Path

import pytest

from edge.envoy.process import EnvoyProcess
from edge.envoy.server import ARGUMENTS, bootstrap, write_configuration
from edge.protocol.configuration import ServerConfiguration
from tests.edge.connector_lab import LabGateway, configuration, enrolled_server, until
from tests.edge.gateway_pki import Authority

pytestmark = pytest.mark.processes


@pytest.mark.parametrize(("named", "accepted"), [("gateway-1", True), ("gateway-9", False)])
async def test_a_server_opens_tunnels_to_the_very_gateway_that_it_means(
    tmp_path: Path, authority: Authority, named: str, accepted: bool
) -> None:
    # What it dials is called gateway-1 in its configuration.
    gateway = LabGateway(tmp_path / "gateway", authority, "connector-1", id=named)
    home = enrolled_server(tmp_path / "server", authority, "server-1", "connector-1")
    envoy = EnvoyProcess(home.file("envoy"), concurrency=1, arguments=ARGUMENTS)

    async def refused() -> bool:
        stats = await envoy.admin(r"/stats?filter=^cluster\.gateway-1.*\.ssl\.fail_verify_san$")
        return any(not line.endswith(": 0") for line in stats.splitlines() if ": " in line)

    async def dialled() -> bool:
        return await gateway.live_tunnels() > 0

    try:
        await gateway.start()
        write_configuration(home, ServerConfiguration.decode(configuration(home, [gateway], [])))
        await envoy.start(bootstrap(home.identity))
        await until(dialled if accepted else refused, "the handshake")
        assert await dialled() == accepted
        assert await refused() != accepted
    finally:
        await envoy.stop()
        await gateway.envoy.stop()
