"""Flows inside TLS straight to a gateway: HTTP/1.1 CONNECT as most programs send it, HTTP/2 by the ``h2`` package."""

import base64
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from tests.pipe import PATIENCE, RESET, Plain, closed_if_refused, connect


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()


def tls_context(protocol: str) -> ssl.SSLContext:
    # A default context reads all root certificates, which takes 60 ms, more than a flow does.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    return context


def open_tls(port: int, protocol: str) -> ssl.SSLSocket:
    """Open a connection to a gateway on this machine; whose certificate it shows is not looked at."""
    raw = socket.create_connection(("127.0.0.1", port), 20)
    raw.settimeout(PATIENCE)
    return tls_context(protocol).wrap_socket(raw, suppress_ragged_eofs=False)


class TlsStream:
    """TLS over a socket as OpenSSL itself offers it: one side may end while the other goes on, in two threads.

    Python's ``SSLSocket`` can do neither: its ``unwrap`` throws away what still arrives.
    """

    def __init__(self, raw: socket.socket, context: ssl.SSLContext) -> None:
        self._raw, self._in, self._out = raw, ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out)
        self._state, self._sending = threading.Lock(), threading.Lock()
        self._plain = bytearray()  # read ahead
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._take()
            else:
                break
        self._flush()

    def _flush(self) -> None:
        if data := self._out.read():
            self._raw.sendall(data)

    def _take(self) -> None:
        data = self._raw.recv(65536)
        with self._state:
            self._in.write(data) if data else self._in.write_eof()

    def sendall(self, data: bytes) -> None:
        with self._sending:
            with self._state:
                self._tls.write(data)
            self._flush()

    def recv(self, size: int) -> bytes:
        """Return what has come, nothing at TLS's own end; an end without that is a ConnectionResetError."""
        while True:
            with self._state:
                if self._plain:
                    data = bytes(self._plain[:size])
                    del self._plain[:size]
                    return data
                try:
                    return self._tls.read(size)
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLZeroReturnError:
                    return b""
                except ssl.SSLEOFError as error:
                    raise ConnectionResetError("the end of TLS is missing") from error
            self._take()

    def half_close(self) -> None:
        """Say TLS's close; what comes can still be read."""
        with self._sending:
            with self._state, suppress(ssl.SSLWantReadError):
                # What has come is taken out first: `unwrap` waits for the other side's close, and drops all else.
                with suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                    while data := self._tls.read(65536):
                        self._plain += data
                self._tls.unwrap()
            self._flush()


class Secure(Plain):
    """TLS to a gateway, for HTTP/1.1; an end without TLS's own close is an error, as OpenSSL has it."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        with closed_if_refused(self.socket):
            self._tls = TlsStream(self.socket, tls_context("http/1.1"))

    def send(self, data: bytes) -> None:
        self._tls.sendall(data)

    def receive(self) -> bytes:
        return self._tls.recv(65536)

    def half_close(self) -> None:
        self._tls.half_close()

    def close(self) -> None:
        """Say TLS's close, then close, as curl and most programs do."""
        with suppress(OSError):
            self._tls.half_close()
        self.socket.close()


class Http1(Secure):
    """CONNECT over HTTP/1.1."""

    def __init__(self, port: int, authority: str, credentials: str) -> None:
        super().__init__(port)
        with closed_if_refused(self.socket):
            connect(self._tls, authority, f"Proxy-Authorization: {credentials}")


class Http2:
    """CONNECT over HTTP/2 on a connection of its own."""

    def __init__(self, port: int, authority: str, credentials: str) -> None:
        self._tls = open_tls(port, "h2")
        config = h2.config.H2Configuration(
            header_encoding="utf-8", validate_outbound_headers=False, validate_inbound_headers=False
        )
        self._h2 = h2.connection.H2Connection(config)
        self._changed = threading.Condition(threading.RLock())
        self._received, self._end, self._status, self._gone = bytearray(), "", "", False
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(2**30)
        headers = [(":method", "CONNECT"), (":authority", authority), ("proxy-authorization", credentials)]
        self._h2.send_headers(1, headers)
        self._flush()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        with self._changed:
            self._changed.wait_for(lambda: self._status or self._end, PATIENCE)
            if self._status != "200":
                self._leave()
                raise ConnectionError(f"{self._status or 'no answer'} {self._end}")

    def _flush(self) -> None:
        if data := self._h2.data_to_send():
            self._tls.settimeout(PATIENCE)
            self._tls.sendall(data)

    def _read(self) -> None:
        while not self._gone:
            data: bytes | None = None
            try:
                with self._changed:
                    # OpenSSL's state is one for both directions: nobody reads while another one writes.
                    self._tls.settimeout(0.002)
                    with suppress(TimeoutError, ssl.SSLWantReadError):
                        data = self._tls.recv(262_144)
                    if data == b"":
                        raise ConnectionResetError("the connection ended")
                    for event in self._h2.receive_data(data) if data else ():
                        self._take(event)
                    self._flush()
                    self._changed.notify_all()
            except (OSError, h2.exceptions.H2Error) as error:
                with self._changed:
                    self._end = self._end or type(error).__name__
                    self._changed.notify_all()
                return
            if data is None:
                time.sleep(0.001)

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ResponseReceived):
            self._status = next(_text(value) for name, value in event.headers if _text(name) == ":status")
        elif isinstance(event, h2.events.DataReceived):
            self._received += event.data
        elif isinstance(event, h2.events.StreamEnded):
            self._end = self._end or "fin"
        elif isinstance(event, h2.events.StreamReset):
            self._end = self._end or f"reset {int(event.error_code)}"

    def send(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            with self._changed:
                self._wait(lambda: self._h2.local_flow_control_window(1) > 0 or self._broken)
                if self._broken:
                    raise ConnectionResetError(self._end)
                size = min(len(left), self._h2.local_flow_control_window(1), self._h2.max_outbound_frame_size)
                try:
                    self._h2.send_data(1, bytes(left[:size]))
                except h2.exceptions.H2Error as error:  # reset after its clean end
                    raise ConnectionResetError("the stream is closed") from error
                self._flush()
            left = left[size:]

    @property
    def _broken(self) -> bool:
        return self._end not in ("", "fin")

    def receive(self) -> bytes:
        with self._changed:
            self._wait(lambda: bool(self._received or self._end))
            if self._received:
                data = bytes(self._received[:65536])
                del self._received[:65536]
                if not self._broken:
                    with suppress(h2.exceptions.H2Error, OSError):
                        self._h2.acknowledge_received_data(len(data), 1)
                        self._flush()
                return data
            if self._broken:
                raise ConnectionResetError(self._end)
            return b""

    def _wait(self, condition: Callable[[], bool]) -> None:
        if not self._changed.wait_for(condition, PATIENCE):
            raise TimeoutError

    def half_close(self) -> None:
        with self._changed, suppress(h2.exceptions.H2Error):
            self._h2.end_stream(1)
            self._flush()

    def close(self) -> None:
        """End the stream, and the connection when the other side has ended its half, too."""
        if self._gone:
            return
        self.half_close()
        with self._changed, suppress(OSError):
            self._changed.wait_for(lambda: bool(self._end), PATIENCE)
            # To close what has unread bytes would be a reset.
            socket.socket.shutdown(self._tls, socket.SHUT_WR)
        self._reader.join(PATIENCE)
        self._gone = True
        self._tls.close()

    def reset(self) -> None:
        with self._changed, suppress(h2.exceptions.H2Error):
            self._h2.reset_stream(1, h2.errors.ErrorCodes.CANCEL)
            self._flush()
        self._leave()

    def _leave(self) -> None:
        self._gone = True
        self._tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._tls.close()
