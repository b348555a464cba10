"""Sample applications: a wiki, an echo server, and a service in each area's cloud network.

Run as ``python -m demo.applications FD=KIND …``: listening sockets that the demo opened (so that no two demos can
choose the same port), and what to serve on each: ``wiki``, ``echo`` or ``cloud:NAME``.
"""

import http.server
import socket
import socketserver
import sys
import threading
from urllib.parse import parse_qs, urlsplit

CHUNK = 256 * 1024
MOST_BYTES = 2**30
ZEROS = bytes(CHUNK)


class Wiki(http.server.BaseHTTPRequestHandler):
    """Wiki of a few pages, and ``/file?bytes=N`` for a transfer of any size up to 1 GiB."""

    protocol_version = "HTTP/1.1"
    server_version = "wiki"
    title = "Head office wiki"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/file":
            self.send_file(parse_qs(url.query))
        elif url.path == "/":
            self.send_text(200, f"{self.title}\n\nIf you read this, your traffic came through Causeway.\n")
        else:
            self.send_text(404, "There is no such page.\n")

    def send_text(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_file(self, query: dict[str, list[str]]) -> None:
        asked = query.get("bytes", ["1000000"])[0]
        if not asked.isdecimal() or int(asked) > MOST_BYTES:
            self.send_text(400, f"bytes must be a number from 0 to {MOST_BYTES}.\n")
            return
        left = int(asked)
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(left))
        self.end_headers()
        while left:
            left -= self.wfile.write(ZEROS[: min(left, CHUNK)])

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: every request in the log would be noise."""


class Echo(socketserver.BaseRequestHandler):
    """Echo of every byte, for as long as the connection lives."""

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffer = memoryview(bytearray(CHUNK))
        try:
            while received := self.request.recv_into(buffer):
                self.request.sendall(buffer[:received])
        except ConnectionError:
            return


class Server(socketserver.ThreadingTCPServer):
    """Server on a socket that listens already."""

    daemon_threads = True

    def __init__(self, descriptor: int, kind: type[socketserver.BaseRequestHandler]) -> None:
        listening = socket.socket(fileno=descriptor)
        super().__init__(listening.getsockname(), kind, bind_and_activate=False)
        self.socket.close()
        self.socket = listening


def handler(kind: str) -> type[socketserver.BaseRequestHandler]:
    if kind == "echo":
        return Echo
    if kind == "wiki":
        return Wiki
    return type(
        "Cloud", (Wiki,), {"title": f"A service in the cloud network of {kind.removeprefix('cloud:')}"}
    )


def main() -> None:
    for argument in sys.argv[1:]:
        descriptor, _, kind = argument.partition("=")
        server = Server(int(descriptor), handler(kind))
        threading.Thread(target=server.serve_forever, name=kind, daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
