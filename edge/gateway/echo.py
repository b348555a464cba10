"""Answers to the connector servers' probes: UDP on the tunnels' port number. A probe carries no user's byte."""

import asyncio
import logging
from typing import Any, cast

from edge.gateway.state import GatewayState
from edge.protocol import echo
from edge.protocol.configuration import Gateway

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0


class _Answering(asyncio.DatagramProtocol):
    def __init__(self, state: GatewayState) -> None:
        self._state = state
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        snapshot = self._state.snapshot
        if snapshot is None or self._transport is None:
            return
        key = bytes.fromhex(snapshot.gateway.echo_key)
        answer = echo.answer(key, data, self._state.clock(), news=snapshot.servers_version)
        if answer is not None:
            self._transport.sendto(answer, addr)


class EchoResponder:
    """Listener for probes at the address in the gateway's configuration; a changed address is followed."""

    def __init__(self, state: GatewayState) -> None:
        self._state = state
        self._transport: asyncio.DatagramTransport | None = None
        self._at: tuple[str, int] | None = None
        self._complaint = ""

    async def run(self) -> None:
        """Answer probes until cancelled. A port that cannot be had is tried again: servers measure by TCP meanwhile."""
        try:
            while True:
                if self._state.snapshot is not None:
                    await self._follow(self._state.snapshot.gateway)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._close()

    async def _follow(self, gateway: Gateway) -> None:
        wanted = (gateway.listen, gateway.tunnel_port)
        alive = self._transport is not None and not self._transport.is_closing()
        if not gateway.echo_key or (wanted == self._at and alive):
            return
        self._close()
        try:
            self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Answering(self._state), local_addr=wanted
            )
        except OSError as error:
            if str(error) != self._complaint:
                logger.warning(
                    "Probes of connector servers are not answered, since the UDP port cannot be opened: %s.",
                    error,
                )
            self._complaint = str(error)
            return
        self._at, self._complaint = wanted, ""

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()
        self._transport, self._at = None, None
