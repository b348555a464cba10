"""TCP connections to a host, directly or by the proxy that the environment names."""

import asyncio
import contextlib
import socket

from edge.outbound.handshake import ProxyRefused, conversation
from edge.outbound.policy import Proxy, proxy_for

# A proxy dials in its turn, and waits longer for a silent host than one would wait oneself.
PROXY_SECONDS = 5.0


def dial(host: str, port: int, *, scheme: str, timeout: float) -> socket.socket:
    """Return a connection. Raises `OutboundError` for a variable or a proxy in the way, else `OSError`."""
    proxy = proxy_for(scheme, host, port)
    if proxy is None:
        return socket.create_connection((host, port), timeout)
    return through(proxy, host, port, timeout=timeout)


def through(proxy: Proxy, host: str, port: int, *, timeout: float) -> socket.socket:
    """Return a connection by way of a proxy. Raises `ProxyRefused`."""
    if proxy.scheme == "https":
        raise ProxyRefused.by(proxy, "by which this connection cannot go: name one by http:// or socks5://.")
    try:
        connection = socket.create_connection((proxy.host, proxy.port), timeout)
    except OSError as error:
        raise unreachable(proxy, error) from error
    try:
        _converse(connection, proxy, host, port)
    except ProxyRefused:
        connection.close()
        raise
    except OSError as error:
        connection.close()
        raise ProxyRefused.by(proxy, f"which breaks off: {reason_of(error)}.") from error
    return connection


def _converse(connection: socket.socket, proxy: Proxy, host: str, port: int) -> None:
    steps = conversation(proxy, host, port)
    with contextlib.suppress(StopIteration):
        data, wanted = next(steps)
        while True:
            connection.sendall(data)
            answer = b""
            while len(answer) < wanted:
                piece = connection.recv(wanted - len(answer))
                if not piece:
                    raise ended(proxy)
                answer += piece
            data, wanted = steps.send(answer)


async def touch(host: str, port: int, seconds: float) -> None:
    """Open a connection to a gateway as Envoy would, and close it at once. Raises as `dial`."""
    proxy = proxy_for("https", host, port)
    if proxy is not None:
        connection = await asyncio.to_thread(through, proxy, host, port, timeout=max(seconds, PROXY_SECONDS))
        connection.close()
        return
    await touch_directly(host, port, seconds)


async def touch_directly(host: str, port: int, seconds: float) -> None:
    """Open a connection without any proxy, and close it at once. Raises `OSError`."""
    async with asyncio.timeout(seconds):
        _, writer = await asyncio.open_connection(host, port)
    writer.close()


def unreachable(proxy: Proxy, error: OSError) -> ProxyRefused:
    """Return the failure for a proxy that cannot be connected to."""
    return ProxyRefused.by(
        proxy, f"which cannot be reached: {reason_of(error)}. Correct it, or unset the variable."
    )


def ended(proxy: Proxy) -> ProxyRefused:
    """Return the failure for a proxy that hangs up in place of an answer."""
    return ProxyRefused.by(proxy, "which ended the connection without an answer.")


def reason_of(error: BaseException) -> str:
    """Return what an error says, without its number and without a full stop."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).rstrip(".")
