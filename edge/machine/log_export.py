"""Logs of a machine as one archive without secrets, sent to the console in pieces when the console asks."""

import asyncio
import base64
import io
import json
import logging
import platform
import re
import tarfile
import tempfile
from pathlib import Path
from typing import IO, Any

from edge import version
from edge.home import Home
from edge.machine.api import ApiError, ApiRefused, Caller, ConsoleUnreachable
from edge.machine.enrollment import CERTIFICATES, CONFIGURATION, system_name
from edge.protocol.reports import PART_BYTES, LogPart, LogsFailed, Nothing

logger = logging.getLogger(__name__)

LOGS = (
    "agent.log",
    "agent.log.1",
    "journal.log",
    "upgrade.log",
    "upgrade.json",
    "envoy/envoy.log",
    "envoy/envoy.log.1",
    "envoy/routes.json",
    "envoy/clusters.json",
    "envoy/listeners.json",
    "envoy/dialling.json",
    "status.json",
    "module.json",
)
# Bytes of a long log's end that are packed.
TAIL_BYTES = 4 * 2**20
TRIES = 6
RETRY_SECONDS = 5.0
SECRET_NAMES = ("echo_key",)
SECRET_WORDS = re.compile(rb"(?i)\b(bearer|basic)\s+[a-z0-9+/=._~-]{8,}|eyJ[\w-]+\.[\w-]+\.[\w-]+")
SECRET_BLOCKS = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S
)


def pack(home: Home, target: IO[bytes]) -> None:
    """Write a tar.gz with logs, configuration and versions; never a key. Raises `edge.home.NotEnrolled`, OSError."""
    identity = home.identity
    certificates = [f"pki/{name}.pem" for name in (*CERTIFICATES[identity.kind], "ca")]
    facts = {
        "id": identity.id,
        "version": version(),
        "system": system_name(),
        "python": platform.python_version(),
        "console": identity.console,
    }
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        for name in [*LOGS, CONFIGURATION[identity.kind], *certificates]:
            file = home.file(name)
            if file.is_file():
                _add(tar, f"{identity.id}/{name}", _without_secrets(_tail(file)), file.stat().st_mtime)
        _add(tar, f"{identity.id}/facts.json", json.dumps(facts, indent=1).encode())


def _add(tar: tarfile.TarFile, name: str, data: bytes, modified: float = 0.0) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = len(data), int(modified), 0o600
    tar.addfile(entry, io.BytesIO(data))


def _tail(file: Path) -> bytes:
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - TAIL_BYTES))
        return stream.read(TAIL_BYTES)


def _without_secrets(data: bytes) -> bytes:
    """Take keys, tokens and passwords out: values of JSON by their name, the rest by its look."""
    try:
        document = json.loads(data)
    except ValueError:
        pass
    else:
        data = json.dumps(_cleaned(document), indent=1).encode()
    return SECRET_WORDS.sub(b"(removed)", SECRET_BLOCKS.sub(b"(removed)", data))


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: "(removed)" if name in SECRET_NAMES else _cleaned(each) for name, each in value.items()}
    return [_cleaned(each) for each in value] if isinstance(value, list) else value


class LogSender:
    """Sender of an archive for every export that the console asks for, one at a time."""

    def __init__(self, home: Home, api: Caller) -> None:
        self._home = home
        self._api = api
        self._wanted: str | None = None
        self._sent: str | None = None
        self._asked = asyncio.Event()

    def follow(self, wanted: str | None) -> None:
        """Take the id of the export that the console asks for; None asks for nothing."""
        if wanted is not None and wanted != self._sent:
            self._wanted = wanted
            self._asked.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            if (export := self._wanted) is None:
                continue
            self._wanted, self._sent = None, export
            try:
                await self._send(export)
                logger.info("The logs were sent to the console, which had asked for them (%s).", export)
            except ApiRefused as error:
                logger.warning("The console does not take this machine's logs: %s", error)
            except ApiError as error:
                logger.warning("The logs could not be sent: %s", error)
                self._sent = None  # tried again when the console is back and still asks

    async def _send(self, export: str) -> None:
        """Pack and send; tell the console why the logs cannot be packed. Raises `ApiError`."""
        try:
            with tempfile.TemporaryFile(dir=self._home.path) as archive:
                await asyncio.to_thread(pack, self._home, archive)
                size = archive.tell()
                archive.seek(0)
                for number in range(max(1, -(-size // PART_BYTES))):
                    data = archive.read(PART_BYTES)
                    await self._send_part(export, number, data, last=archive.tell() >= size)
        except OSError as error:
            message = f"The logs could not be packed: {error.strerror or error}."
            await self._api.call("logs/failed", LogsFailed(export, message), Nothing)

    async def _send_part(self, export: str, number: int, data: bytes, *, last: bool) -> None:
        part = LogPart(export, number, last, base64.b64encode(data).decode())
        for left in reversed(range(TRIES)):
            try:
                await self._api.call("logs", part, Nothing, timeout=60.0)
                return
            except ApiError as error:
                too_fast = isinstance(error, ApiRefused) and error.status == 429
                if not left or not (too_fast or isinstance(error, ConsoleUnreachable)):
                    raise
                pause = error.retry_after or RETRY_SECONDS
            await asyncio.sleep(pause)
