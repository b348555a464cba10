"""Crowds of short flows, honest and hostile, beside long ones; each flow speaks with an origin of the same program.

The origin greets every connection with one byte and then returns what it gets. A short flow is over once its client has
that byte: the client ends first, which is a reset stream at the gateway and at the server.
"""

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import hpack
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, StreamEnded, StreamReset

GREETING = b"."
PATIENCE = 60.0


class Refused(Exception):
    """A flow was refused; the text is the documented reason, or the status where there is none."""


@dataclass
class Flow:
    """An open flow: how to read, write and end it."""

    read: Callable[[], Awaitable[bytes]]
    write: Callable[[bytes], Awaitable[None]]
    close: Callable[[], Awaitable[None]]

    async def beats(self, text: bytes = b"hello") -> bool:
        """Whether it still carries bytes both ways."""
        await self.write(text)
        got = b""
        while len(got) < len(text):
            more = await self.read()
            if not more:
                return False
            got += more
        return got == text


Opener = Callable[[], Awaitable[Flow]]


@contextlib.asynccontextmanager
async def origin(
    host: str = "127.0.0.1", connections: dict[asyncio.StreamWriter, None] | None = None
) -> AsyncIterator[int]:
    """Run the origin; give its port. `connections`: where those that are open are kept, the oldest first."""
    open_ = connections if connections is not None else {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_[writer] = None
        try:
            writer.write(GREETING)
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            open_.pop(writer, None)
            writer.close()

    server = await asyncio.start_server(serve, host, 0, backlog=1024)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for _ in range(5):  # passes of the loop until whoever was let in last is being served
            await asyncio.sleep(0)
        for writer in list(open_):
            writer.transport.abort()
        await asyncio.sleep(0)


# -- Ways -------------------------------------------------------------------------------------------------------------


def by_forward(port: int) -> Opener:
    """A local port of ``causeway connect``; a refused flow is hung up on."""

    async def connect() -> Flow:
        return _stream(*await asyncio.open_connection("127.0.0.1", port))

    return connect


def by_connect(
    host: str, port: int, target: str, credentials: str = "", tls: ssl.SSLContext | None = None
) -> Opener:
    """CONNECT by HTTP/1.1: to a local proxy, or with ``tls`` straight to a gateway."""

    async def connect() -> Flow:
        reader, writer = await asyncio.open_connection(host, port, ssl=tls)
        shown = f"Proxy-Authorization: {credentials}\r\n" if credentials else ""
        writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{shown}\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        if head.split()[1] == "200":
            return _stream(reader, writer)
        writer.close()
        lines = (line for line in head.split("\r\n")[1:] if ": " in line)
        raise Refused(_reason(dict(line.split(": ", 1) for line in lines), head))

    return connect


def _reason(headers: dict[str, str], fallback: str) -> str:
    return headers.get("x-causeway-reason", fallback)


def _stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Flow:
    async def write(data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    async def close() -> None:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    return Flow(lambda: reader.read(65536), write, close)


@dataclass
class _Stream:
    answered: asyncio.Future[dict[str, str]]
    data: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)


class Http2:
    """One HTTP/2 connection straight to a gateway, on which flows are opened by CONNECT."""

    def __init__(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext,
        target: str,
        credentials: str,
        source: str = "127.0.0.1",
    ) -> None:
        self._source, self._place, self._tls = source, (host, port), tls
        self._target, self._credentials = target, credentials
        self._h2 = H2Connection(
            H2Configuration(
                header_encoding="utf-8",
                normalize_outbound_headers=False,  # `ask` sends heads that are none
                validate_outbound_headers=False,
            )
        )
        self._streams: dict[int, _Stream] = {}
        self.ended = ""  # why the gateway ended the connection

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(
            *self._place, ssl=self._tls, local_addr=(self._source, 0)
        )
        self._h2.initiate_connection()
        self._send()
        self._pump = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pump.cancel()
        self._writer.close()
        await asyncio.gather(self._pump, return_exceptions=True)

    def _send(self) -> None:
        self._writer.write(self._h2.data_to_send())

    async def _read(self) -> None:
        try:
            while data := await self._reader.read(65536):
                for event in self._h2.receive_data(data):
                    self._take(event)
                self._send()
            self.ended = self.ended or "closed"
        except OSError as error:
            self.ended = self.ended or str(error)
        finally:
            for number in list(self._streams):
                self._end(number)

    def _take(self, event: object) -> None:
        if isinstance(event, ConnectionTerminated):
            self.ended = f"GOAWAY {event.error_code}"
        elif isinstance(event, ResponseReceived) and (stream := self._streams.get(event.stream_id)):
            stream.answered.set_result(dict(event.headers))  # type: ignore[arg-type]
        elif isinstance(event, DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if stream := self._streams.get(event.stream_id):
                stream.data.put_nowait(event.data)
        elif isinstance(event, StreamEnded | StreamReset):
            self._end(event.stream_id or 0)

    def _end(self, number: int) -> None:
        if stream := self._streams.pop(number, None):
            stream.data.put_nowait(b"")
            if not stream.answered.done():
                stream.answered.set_exception(ConnectionError(f"the stream ended {self.ended}"))

    def acknowledge(self, count: int) -> None:
        """Tell the gateway that so many bytes were read, in a frame of its own."""
        self._h2.increment_flow_control_window(count)
        self._send()

    async def ask(self, *headers: tuple[str, str]) -> None:
        """Send the head of a request as it is; raise ConnectionError when its stream ends without an answer."""
        number = self._h2.get_next_available_stream_id()
        stream = self._streams[number] = _Stream(asyncio.get_running_loop().create_future())
        self._h2.send_headers(number, headers)
        self._send()
        await stream.answered

    async def open(self) -> Flow:
        """Open a flow. Raises Refused."""
        if self.ended:
            raise ConnectionError(f"the gateway ended the connection: {self.ended}")
        number = self._h2.get_next_available_stream_id()
        stream = self._streams[number] = _Stream(asyncio.get_running_loop().create_future())
        names = [(":method", "CONNECT"), (":authority", self._target)]
        self._h2.send_headers(number, [*names, ("proxy-authorization", self._credentials)])
        self._send()
        headers = await stream.answered
        if headers[":status"] != "200":
            self._streams.pop(number, None)
            raise Refused(_reason(headers, headers[":status"]))

        async def write(data: bytes) -> None:
            self._h2.send_data(number, data)
            self._send()

        async def close() -> None:
            if self._streams.pop(number, None):
                self._h2.reset_stream(number, 8)
                self._send()

        return Flow(stream.data.get, write, close)


# -- Crowds -----------------------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What became of a crowd: flows that brought their byte, refusals by reason, and what was lost and how."""

    whole: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)

    async def one(self, opener: Opener) -> None:
        """Open a short flow, wait for its byte, end it."""
        try:
            async with asyncio.timeout(PATIENCE):
                flow = await opener()
                got = await flow.read()
                await flow.close()
        except Refused as error:
            self.refused[str(error)] += 1
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.lost[f"{type(error).__name__} {error}"] += 1
        else:
            if got == GREETING:
                self.whole += 1
            else:
                self.lost[f"ended with {got!r}"] += 1


async def crowd(opener: Opener, count: int, at_once: int) -> Outcome:
    """Open so many short flows, so many of them at once; each begins as another one ends."""
    outcome, left = Outcome(), iter(range(count))

    async def member() -> None:
        for _ in left:
            await outcome.one(opener)

    await asyncio.gather(*(member() for _ in range(at_once)))
    return outcome


@contextlib.asynccontextmanager
async def long_flows(opener: Opener, count: int) -> AsyncIterator[list[Flow]]:
    """Hold flows open that carry bytes all the time; each must be as good at the end as at the beginning."""
    flows = [await opener() for _ in range(count)]
    for flow in flows:
        assert await flow.read() == GREETING
    living = asyncio.Event()

    async def live(flow: Flow) -> None:
        while not living.is_set():
            assert await flow.beats(), "a long flow ended"
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(living.wait(), 0.2)

    lives = [asyncio.create_task(live(flow)) for flow in flows]
    try:
        yield flows
        living.set()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*lives)
    finally:
        for each in lives:
            each.cancel()
        await asyncio.gather(*lives, return_exceptions=True)
        for flow in flows:
            await flow.close()


async def reset_rapidly(
    host: str,
    port: int,
    tls: ssl.SSLContext,
    target: str,
    credentials: str,
    *,
    stop: asyncio.Event,
    source: str,
) -> int:
    """Open streams and reset them before any answer, as fast as the gateway reads; return how many there were.

    `source`: the address to come from.
    """
    reader, writer = await asyncio.open_connection(host, port, ssl=tls, local_addr=(source, 0))
    encoder, count = hpack.Encoder(), 0
    names = [(":method", "CONNECT"), (":authority", target), ("proxy-authorization", credentials)]
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(4, 0, 0, b""))
    swallow = asyncio.create_task(_swallow(reader))
    try:
        while not stop.is_set():
            for _ in range(64):
                number, count = 2 * count + 1, count + 1
                writer.write(
                    _frame(1, 4, number, encoder.encode(names)) + _frame(3, 0, number, b"\0\0\0\x08")
                )
            await writer.drain()
            await asyncio.sleep(0)
    except OSError:
        pass
    finally:
        swallow.cancel()
        writer.close()
    return count


async def _swallow(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(65536):
            pass


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload
