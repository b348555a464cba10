"""Certificates of a server that come of age: new handshakes use new ones, and what is open goes on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from edge.envoy.process import EnvoyProcess
from tests.edge.connector_lab import until
from tests.edge.gateway_pki import GATEWAY_NAME, Authority
from tests.edge.server_lab import World, open_flow

pytestmark = pytest.mark.processes

NAMES = {"outer": ["server-1", "uri:connector-1"], "inner": ["connector-1"]}
# Made 5 minutes ago, as the authority of the lab does: two thirds are over in a moment.
SHORT = 155 / 86400


class Recorder:
    """A gateway that notes which certificate it is shown, and hangs up."""

    def __init__(self, authority: Authority, folder: Path) -> None:
        folder.mkdir()
        key, certificate = authority.issue([GATEWAY_NAME, "gateway-2"])
        for name, data in (("key", key), ("pem", certificate), ("ca", authority.pem)):
            (folder / name).write_bytes(data)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "pem", folder / "key")
        self._context.load_verify_locations(folder / "ca")
        self._context.verify_mode = ssl.CERT_REQUIRED
        self.serials: list[int] = []
        self.port = 0

    async def _note(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        certificate = writer.get_extra_info("peercert")
        self.serials.append(int(certificate["serialNumber"], 16))
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Recorder]:
        server = await asyncio.start_server(self._note, "127.0.0.1", 0, ssl=self._context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()


def serial(pem: bytes) -> int:
    return x509.load_pem_x509_certificate(pem).serial_number


async def test_a_renewal_serves_the_next_handshake_and_breaks_no_open_flow(
    world: World, tmp_path: Path
) -> None:
    authority = world.gateway.authority
    before, may_renew = authority.write(world.home, days=SHORT, **NAMES), threading.Event()

    def renewed(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        assert may_renew.wait(25)
        keys = {name: x509.load_pem_x509_csr(pem.encode()).public_key() for name, pem in body["csrs"].items()}
        signed = {name: authority.sign(key, NAMES[name]).decode() for name, key in keys.items()}
        return 200, {"certificates": signed, "ca": authority.pem.decode()}

    world.console.answers["renew"] = renewed
    async with Recorder(authority, tmp_path / "recorder").running() as recorder:
        world.configuration["gateways"].append(
            {"id": "gateway-2", "host": "127.0.0.1", "port": recorder.port}
        )
        world.home.write_json("config.json", world.configuration)
        await world.begin()
        async with open_flow(world.gateway) as lives:
            assert await lives()

            await until(lambda: recorder.serials, "a handshake before the renewal")
            assert set(recorder.serials) == {serial(before["outer.pem"])}
            may_renew.set()

            on_disk = world.home.read_pki
            await until(lambda: on_disk()["outer.pem"] != before["outer.pem"], "the renewed certificates")
            after = world.home.read_pki()

            renewed_serial = serial(after["outer.pem"])
            await until(lambda: recorder.serials[-1] == renewed_serial, "a handshake with the new one", 40)
            assert await loaded(world, serial(after["inner.pem"]))
            assert await lives(), "the flow from before lives"
        assert after["outer.key"] == before["outer.key"]
        assert len(world.console.bodies("renew")) == 1


async def loaded(world: World, wanted: int) -> bool:
    """Whether Envoy has a certificate with this serial number in use."""
    certificates = json.loads(await EnvoyProcess(world.home.file("envoy")).admin("/certs"))["certificates"]
    serials = {int(each["serial_number"], 16) for one in certificates for each in one["cert_chain"]}
    return wanted in serials
