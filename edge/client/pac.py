"""PAC file of ``causeway connect``: for the account's own applications, served on loopback and written to a file.

The file is served by the local proxy, so that a browser needs one address and no file. The gateway says which addresses
are the account's; those of ``--pac-for`` take their place. Whoever reaches the local proxy may read them.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import msgspec

from edge.access.hosts import HostInvalid, parse_address, parse_pattern
from edge.access.pac import EVERY_PORT, MEDIA_TYPE, Rule, pac_file
from edge.client.options import OptionError, Options, written
from edge.envoy.client import PAC_SOCKET, PROXY_SOCKET
from edge.envoy.socket_path import ShortPath
from edge.protocol.message import MessageInvalid
from edge.protocol.reach import HOST, PATH, Reach

logger = logging.getLogger(__name__)

ASK_SECONDS = 8.0
MOST_BYTES = 64_000
_HEAD = (
    f"HTTP/1.1 200 OK\r\ncontent-type: {MEDIA_TYPE}\r\ncache-control: no-store\r\nconnection: close\r\n"
    # No page of a browser may run the file as a script, and so learn the names that are in it.
    "x-content-type-options: nosniff\r\ncross-origin-resource-policy: same-origin\r\ncontent-length: "
)


def rules_for(texts: Sequence[str]) -> list[Rule]:
    """Read the addresses of ``--pac-for``; a host name stands for itself and all names below. Raises `OptionError`."""
    rules: dict[str, Rule] = {}
    for text in texts:
        try:
            address = parse_address(text)
        except HostInvalid as error:
            raise OptionError(f"--pac-for: {error}") from None
        below = [f"*.{address}"] if parse_pattern(address).name is not None else []
        rules |= {each: (each, EVERY_PORT) for each in (address, *below)}
    return list(rules.values())


class Pac:
    """PAC file of a running client: `refresh` asks which addresses it is for, `serving` answers the local proxy."""

    def __init__(self, options: Options, folder: Path) -> None:
        self._given = rules_for(options.pac_for) if options.pac_for else None
        self._file = options.pac
        self._proxy = f"PROXY {written(options.listen)}" if options.listen else ""
        self._sockets = ShortPath(folder)
        self._text = pac_file(self._given, self._proxy)

    async def refresh(self) -> None:
        """Ask the gateway for the account's addresses, and write the file. Raises `OSError` when it cannot be written.

        A gateway that does not answer, or is older than the question, changes nothing: before the first answer,
        every host with a dot in its name goes by the proxy.
        """
        if not self._proxy:
            return
        rules = self._given if self._given is not None else await self._ask()
        if rules is not None:
            self._text = pac_file(rules, self._proxy)
        if self._file is not None:
            await asyncio.to_thread(self._file.write_text, self._text)

    async def _ask(self) -> list[Rule] | None:
        transport = httpx.AsyncHTTPTransport(uds=self._sockets.of(PROXY_SOCKET), verify=False)
        async with httpx.AsyncClient(transport=transport, timeout=ASK_SECONDS, trust_env=False) as client:
            try:
                response = await client.get(f"http://{HOST}{PATH}")
                found = Reach.decode(msgspec.json.decode(response.content)) if response.is_success else None
                return [_rule(each.address, each.ports) for each in found.addresses] if found else None
            except (httpx.HTTPError, OSError, msgspec.MsgspecError, MessageInvalid, HostInvalid) as error:
                logger.info("The gateway did not say what the PAC file is for: %s", error)
                return None

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve the file to the local proxy as long as the block runs."""
        server = await asyncio.start_unix_server(self._answer, self._sockets.of(PAC_SOCKET), limit=MOST_BYTES)
        try:
            yield
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                await reader.readuntil(b"\r\n\r\n")
                body = self._text.encode()
                writer.write(f"{_HEAD}{len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        except (OSError, EOFError, asyncio.LimitOverrunError):
            logger.debug("Nobody waited for the PAC file.")
        finally:
            writer.close()


def _rule(address: str, ports: Sequence[tuple[int, int]]) -> Rule:
    parse_pattern(address)  # what a browser runs is made of addresses alone
    return address, tuple(ports)
