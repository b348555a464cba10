"""Words with a proxy until it has opened the way to a host: CONNECT of HTTP, or SOCKS 5 (RFC 1928, RFC 1929).

A conversation yields what to send and how many bytes to read then, and is sent what was read. It never reads beyond the
proxy's answer: what follows belongs to the host.
"""

import ipaddress
import re
from collections.abc import Generator

from edge.outbound.errors import OutboundError
from edge.outbound.policy import Proxy, joined

Conversation = Generator[tuple[bytes, int], bytes, None]
LONGEST_ANSWER = 16_384
REASONS = {
    1: "a general failure",
    2: "its rules forbid the way",
    3: "the network cannot be reached",
    4: "the host cannot be reached",
    5: "the host refused the connection",
    6: "the host did not answer in time",
    7: "it does not know the command",
    8: "it does not know this kind of address",
}


class ProxyRefused(OutboundError):
    """Refusal of a proxy, or the proxy's absence. The message names the variable and the proxy, never a password."""

    @classmethod
    def by(cls, proxy: Proxy, what: str) -> "ProxyRefused":
        return cls(f"{proxy.variable} names the proxy {proxy.shown}, {what}")


def conversation(proxy: Proxy, host: str, port: int) -> Conversation:
    """Return the conversation that has `proxy` open the way. Raises `ProxyRefused`."""
    return _socks(proxy, host, port) if proxy.scheme == "socks5" else _connect(proxy, host, port)


def credentials(proxy: Proxy) -> str:
    """Return what to do about a proxy that wants to know who asks."""
    if proxy.username:
        return f"does not accept the user name and password in {proxy.variable}"
    example = f"{proxy.scheme}://USER:PASSWORD@{joined(proxy.host, proxy.port)}"
    return f"asks for a user name and a password: write {proxy.variable} as {example}"


def _connect(proxy: Proxy, host: str, port: int) -> Conversation:
    target = joined(host, port)
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    answer = yield "\r\n".join([*lines, "", ""]).encode(), 1
    while not answer.endswith(b"\r\n\r\n"):
        if len(answer) > LONGEST_ANSWER:
            raise ProxyRefused.by(proxy, "whose answer has no end.")
        answer += yield b"", 1
    found = re.match(rb"HTTP/\d\.\d (\d{3})", answer)
    if found is None:
        raise ProxyRefused.by(proxy, "which does not answer as a proxy for HTTP does.")
    status = int(found[1])
    if status == 407:
        raise ProxyRefused.by(proxy, f"which {credentials(proxy)}.")
    if not 200 <= status < 300:
        raise ProxyRefused.by(
            proxy, f"which refuses the way to {target} with status {status}. {_remedy(host)}"
        )


def _socks(proxy: Proxy, host: str, port: int) -> Conversation:
    methods = b"\x00\x02" if proxy.username else b"\x00"
    answer = yield bytes([5, len(methods)]) + methods, 2
    if answer[0] != 5:
        raise ProxyRefused.by(proxy, "which does not answer as a proxy for SOCKS 5 does.")
    if answer[1] == 2:
        words = [word.encode()[:255] for word in (proxy.username, proxy.password)]
        answer = yield b"\x01" + b"".join(bytes([len(word)]) + word for word in words), 2
        if answer[1]:
            raise ProxyRefused.by(proxy, f"which {credentials(proxy)}.")
    elif answer[1]:
        raise ProxyRefused.by(proxy, f"which {credentials(proxy)}.")
    answer = yield b"\x05\x01\x00" + _place(proxy, host) + port.to_bytes(2, "big"), 4
    if answer[1]:
        reason = REASONS.get(answer[1], f"code {answer[1]}")
        target = joined(host, port)
        raise ProxyRefused.by(proxy, f"which refuses the way to {target}: {reason}. {_remedy(host)}")
    length = {1: 4, 4: 16}.get(answer[3])
    if length is None:
        length = (yield b"", 1)[0]
    yield b"", length + 2


def _place(proxy: Proxy, host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        name = host.encode("idna") if not host.isascii() else host.encode()
        if len(name) > 255:
            raise ProxyRefused.by(proxy, "which cannot be asked for so long a name.") from None
        return b"\x03" + bytes([len(name)]) + name
    return (b"\x01" if address.version == 4 else b"\x04") + address.packed


def _remedy(host: str) -> str:
    return f"Have the proxy allow this way, or name {host} in NO_PROXY if it can be reached directly."
