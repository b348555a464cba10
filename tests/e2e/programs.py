"""Applications for the programs of the world, on loopback; one application of the demo leads to all of them."""

import base64
import contextlib
import datetime as dt
import hashlib
import http.server
import logging
import socket
import ssl
import subprocess
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from urllib.parse import quote, urlsplit

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from websockets.sync.server import ServerConnection, serve

from tests.demo import Demo, wait_until
from tests.e2e.connect import Client, connected
from tests.e2e.recipes import application, reaches, run
from tests.ending import ended
from tests.ports import free_port
from tests.quiet import QuietFiles, QuietHTTPServer, serving

DOMAIN = f"w{time.time_ns()}.programs.example"


class Web(QuietFiles, http.server.SimpleHTTPRequestHandler):
    """Web server of a folder; ``/hello`` tells the method, ``/events`` sends one event after each one noted."""

    protocol_version = "HTTP/1.1"
    noted = threading.Semaphore(0)

    def do_GET(self) -> None:
        if self.path == "/events":
            self._events()
        elif self.path in ("/", "/hello"):
            self._hello()
        else:
            super().do_GET()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._hello()

    def _hello(self) -> None:
        self.answer(200, f"hello by {self.command}\n".encode())

    def _events(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for number in range(3):
            self.wfile.write(f"data: {number}\n\n".encode())
            if not Web.noted.acquire(timeout=20):
                return


class World:
    """Addresses of everything. ``secure``: with a certificate of ``ca``, which also holds the demo's own CA."""

    def __init__(self, demo: Demo, folder: Path, stack: contextlib.ExitStack) -> None:
        self.demo, self.folder = demo, folder
        self.ca = folder / "ca.pem"
        self.served = folder / "served"
        self.served.mkdir()
        context = self._certificate()
        self.plain = f"http://web.{DOMAIN}:{self._web(stack)}"
        self.secure = f"https://web.{DOMAIN}:{self._web(stack, context)}"
        self.chat = f"ws://chat.{DOMAIN}:{_websockets(stack)}"
        self.calls = f"calls.{DOMAIN}:{_grpc(stack)}"
        self.redis, self.redis_here = free_port(), free_port()
        stack.enter_context(application(demo, f"*.{DOMAIN}", "1024-65535", "127.0.0.1"))
        host, port = urlsplit(self.plain).hostname or "", urlsplit(self.plain).port or 0
        wait_until(lambda: all(reaches(demo, host, port) for _ in range(12)), 60, what=f"a way to {host}")
        forward = f"{self.redis_here}=redis.{DOMAIN}:{self.redis}"
        self.client: Client = stack.enter_context(connected(demo, folder, "--forward", forward))
        self.client.event("ready")

    def proxy(self, way: str, *, credentials: bool = True) -> str:
        """Return the proxy's URL, for "gateway" with user name and password."""
        if way == "connect":
            return self.client.proxy
        gateway = urlsplit(self.demo.gateway()["proxy"])
        user, password = self.user
        before = f"{quote(user, safe='')}:{quote(password, safe='')}@" if credentials else ""
        return f"https://{before}{gateway.netloc}"

    @property
    def user(self) -> tuple[str, str]:
        account = self.demo.account()
        return f"{account['username']}@{account['instance']}", account["password"]

    @property
    def authorization(self) -> str:
        return "Basic " + base64.b64encode(":".join(self.user).encode()).decode()

    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca))

    def _web(self, stack: contextlib.ExitStack, context: ssl.SSLContext | None = None) -> int:
        def handler(*arguments: object) -> Web:
            return Web(*arguments, directory=str(self.served))  # type: ignore[arg-type]

        server = QuietHTTPServer(("127.0.0.1", 0), handler)
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        return stack.enter_context(serving(server))

    def _certificate(self) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "programs")])
        now = dt.datetime.now(dt.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(f"*.{DOMAIN}")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
            .public_bytes(Encoding.PEM)
        )
        pair = self.folder / "web.pem"
        pair.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made)
        self.ca.write_bytes(made + Path(self.demo.world["ca_file"]).read_bytes())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair)
        return context


@contextlib.contextmanager
def world(demo: Demo, folder: Path) -> Iterator[World]:
    """Bring everything up, with a client that is logged on."""
    with contextlib.ExitStack() as stack:
        yield World(demo, folder, stack)


def _websockets(stack: contextlib.ExitStack) -> int:
    """Serve an echo of WebSocket messages."""

    def echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    quiet = logging.getLogger("tests.websockets")
    quiet.setLevel(logging.WARNING)  # else each connection's end is told
    server = stack.enter_context(serve(echo, "127.0.0.1", 0, logger=quiet))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stack.callback(server.shutdown)
    return int(server.socket.getsockname()[1])


def _grpc(stack: contextlib.ExitStack) -> int:
    """Serve ``/programs.Echo/Twice``, which says a message two times, in a stream."""

    def twice(request: bytes, context: object) -> Iterator[bytes]:
        yield request
        yield request

    server = grpc.server(futures.ThreadPoolExecutor(2))
    method = grpc.unary_stream_rpc_method_handler(twice)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("programs.Echo", {"Twice": method}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    stack.callback(lambda: server.stop(None).wait())
    return int(port)


@contextlib.contextmanager
def redis_server(path: str, port: int, folder: Path) -> Iterator[None]:
    """Run a Redis that keeps nothing."""
    command = [path, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with (folder / "redis.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    with ended(server):
        wait_until(lambda: _answers(port), 20, what="redis")
        yield


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2):
        return True
    return False


def python_index(folder: Path) -> str:
    """Put a package index with one package into a folder that is served; return the package's name."""
    package = folder / "simple" / "programs-sample"
    package.mkdir(parents=True)
    wheel = "programs_sample-1.0-py3-none-any.whl"
    info = "programs_sample-1.0.dist-info"
    with zipfile.ZipFile(package / wheel, "w") as archive:
        archive.writestr("programs_sample.py", "")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: programs-sample\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    (package / "index.html").write_text(f'<a href="{wheel}">{wheel}</a>')
    return "programs-sample"


def debian_archive(folder: Path, dpkg_deb: str) -> str:
    """Put a Debian archive with one package into a folder that is served; return the package's name."""
    root = folder / "programs-sample"
    (root / "DEBIAN").mkdir(parents=True)
    fields = {
        "Package": "programs-sample",
        "Version": "1",
        "Architecture": "all",
        "Maintainer": "Test <test@corp.example>",
        "Description": "nothing",
    }
    control = "".join(f"{name}: {value}\n" for name, value in fields.items())
    (root / "DEBIAN" / "control").write_text(control)
    archive = folder / "debian"
    archive.mkdir()
    run(dpkg_deb, "--build", root, archive / "sample.deb")
    data = (archive / "sample.deb").read_bytes()
    more = f"Filename: sample.deb\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
    (archive / "Packages").write_text(control + more + "\n")
    return "programs-sample"
