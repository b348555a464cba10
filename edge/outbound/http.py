"""HTTP from our machines: each client knows the store, the proxy and the words for a failure."""

import asyncio
import contextlib
import ssl
from functools import partial
from typing import Any

import httpcore
import httpx

from edge.outbound import trust
from edge.outbound.certificates import FETCH_SECONDS, explained, fetch, refused_certificate
from edge.outbound.dialling import dial, ended, reason_of, unreachable
from edge.outbound.errors import OutboundError
from edge.outbound.handshake import ProxyRefused, conversation, credentials
from edge.outbound.policy import PORTS, Proxy, proxy_for

STORE_REMEDY = (
    "Put the issuer's certificate into this system's trust store, or name its file in SSL_CERT_FILE."
)
KEPT_SECONDS = 5.0  # for which httpx keeps an idle connection
_NAMES_PROXY = "names the proxy"  # as each sentence of `ProxyRefused` does


class _Through(httpcore.AsyncNetworkBackend):
    """Connections by way of a proxy that opens a way for any bytes."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy, self._net = proxy, httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:
        proxy = self._proxy
        try:
            stream = await self._net.connect_tcp(
                proxy.host, proxy.port, timeout, local_address, socket_options
            )
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            raise httpcore.ConnectError(str(unreachable(proxy, OSError(reason_of(error))))) from error
        try:
            if proxy.scheme == "https":
                stream = await self._secured(stream, timeout)
            await self._converse(stream, host, port, timeout)
        except BaseException as error:
            await stream.aclose()
            if isinstance(error, ProxyRefused):
                raise httpcore.ProxyError(str(error)) from None
            raise
        return stream

    async def _secured(
        self, stream: httpcore.AsyncNetworkStream, timeout: float | None
    ) -> httpcore.AsyncNetworkStream:
        """Begin TLS with the proxy itself, whose certificate is not that of the host."""
        try:
            return await stream.start_tls(trust.context(), self._proxy.host, timeout)
        except httpcore.ConnectError as error:
            what = f"with which TLS cannot begin: {reason_of(error)}. {STORE_REMEDY}"
            raise ProxyRefused.by(self._proxy, what) from None

    async def _converse(
        self, stream: httpcore.AsyncNetworkStream, host: str, port: int, timeout: float | None
    ) -> None:
        steps = conversation(self._proxy, host, port)
        with contextlib.suppress(StopIteration):
            data, wanted = next(steps)
            while True:
                if data:
                    await stream.write(data, timeout)
                answer = b""
                while len(answer) < wanted:
                    piece = await stream.read(wanted - len(answer), timeout)
                    if not piece:
                        raise ended(self._proxy)
                    answer += piece
                data, wanted = steps.send(answer)

    async def sleep(self, seconds: float) -> None:
        await self._net.sleep(seconds)


def place_of(url: str | httpx.URL) -> tuple[str, str, int]:
    """Return scheme, host and port of an address."""
    parts = httpx.URL(url)
    return parts.scheme, parts.host, parts.port or PORTS.get(parts.scheme, 443)


def transport(scheme: str, proxy: Proxy | None, *, ca: str = "") -> httpx.AsyncBaseTransport:
    """Return the way to hosts, directly or by a proxy. Raises `OutboundError` for a store that cannot be read.

    `ca`: PEM of what is trusted besides the system's store.
    """
    tls: ssl.SSLContext = trust.context(ca)
    if proxy is not None and scheme == "http" and proxy.scheme != "socks5":
        auth = (proxy.username, proxy.password) if proxy.username else None
        # Proxies pass plain requests on by themselves; many open no way to port 80.
        secured = tls if proxy.scheme == "https" else None
        return httpx.AsyncHTTPTransport(
            proxy=httpx.Proxy(proxy.shown, auth=auth, ssl_context=secured), verify=tls
        )
    made = httpx.AsyncHTTPTransport(verify=tls, trust_env=False)
    if proxy is not None:
        # httpx hands no network backend on. Its own proxies would not check a pinned address by the host's name.
        made._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls, network_backend=_Through(proxy), keepalive_expiry=KEPT_SECONDS
        )
    return made


def client(url: str | httpx.URL, *, ca: str = "", **options: Any) -> httpx.AsyncClient:
    """Return a client for the host of `url`, by the proxy that the environment names for the host.

    `ca` as for `transport`; `options`: those of `httpx.AsyncClient`. Raises `OutboundError`.
    """
    scheme, host, port = place_of(url)
    way = options.pop("transport", None) or transport(scheme, proxy_for(scheme, host, port), ca=ca)
    return httpx.AsyncClient(transport=way, trust_env=False, **options)


async def failure(error: Exception, url: str | httpx.URL, *, lead: str, remedy: str = STORE_REMEDY) -> str:
    """Return why a call to `url` failed, in one or more sentences.

    `lead`: how the first one begins, such as "The console cannot be reached". `remedy`: what to do about an issuer
    who is not trusted.
    """
    scheme, host, port = place_of(url)
    text = reason_of(error)
    if isinstance(error, OutboundError | httpx.ProxyError) or _NAMES_PROXY in text:
        return f"{lead}: {text}."  # a proxy's own certificate is not that of the host
    if (refused := refused_certificate(error)) is not None:
        again = partial(dial, host, port, scheme=scheme, timeout=FETCH_SECONDS)
        der = await asyncio.to_thread(fetch, again, host)
        return f"{lead}. {explained(refused, der, host, port, remedy=remedy)}"
    with contextlib.suppress(OutboundError):
        if (proxy := proxy_for(scheme, host, port)) is not None:
            return f"{lead} by the proxy {proxy.shown} of {proxy.variable}: {text}."
    return f"{lead}: {text}."


def refused_by_proxy(response: httpx.Response) -> str:
    """Return the sentence for an answer 407, which no console gives; empty for any other answer."""
    if response.status_code != 407:
        return ""
    proxy = proxy_for(*place_of(response.url))
    if proxy is None:
        return "Something on the way asks for the user name and password of a proxy."
    return str(ProxyRefused.by(proxy, f"which {credentials(proxy)}."))
