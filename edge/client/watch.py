"""Words of the gateways about the session: asked every few seconds, and read from Envoy's log of refusals."""

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import httpx

from edge.envoy.client import PROXY_SOCKET, REFUSALS_FILE
from edge.envoy.failures import PART_HEADER
from edge.envoy.parts import REASON_HEADER
from edge.envoy.socket_path import ShortPath
from edge.protocol.codes import ENDS_SESSION, Code
from edge.protocol.identity import SESSION_CHECK

# Host that nobody reaches: a live session gets NoMatch for it, an ended session SessionEnded.
PROBE_HOST = f"{SESSION_CHECK}:9"
TIMEOUT_SECONDS = 8.0
LOG_BYTES = 2**20
# Envoy's own words for "no gateway answered": no healthy one, connection failed, timed out, terminated.
_NO_GATEWAY = frozenset({"UH", "UF", "URX", "UT", "UC", "LR", "UR", "NC"})


@dataclass(frozen=True)
class Refusal:
    """Refused request. `reason`: the gateway's code; `part`: what failed; `message`: the sentence, if known."""

    status: int
    reason: str
    message: str = ""
    host: str = ""
    gateway: str = ""
    part: str = ""

    @property
    def about_session(self) -> bool:
        """Tell whether the gateway does not accept the session, for good or for now."""
        return self.status == 407 or self.reason in ENDS_SESSION


class RefusalLog:
    """Lines that Envoy adds to its log; the file is kept small."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / REFUSALS_FILE
        self._position = 0
        self._rest = b""

    def new(self) -> list[Refusal]:
        """Return the lines that were added since the last call."""
        try:
            size = self._file.stat().st_size
            if size == self._position:
                return []
            with self._file.open("rb") as log:
                log.seek(self._position)
                data = self._rest + log.read()
                self._position = log.tell()
        except OSError:
            return []
        *lines, self._rest = data.split(b"\n")
        if self._position > LOG_BYTES:
            # Envoy appends, and goes on at the new end.
            os.truncate(self._file, 0)
            self._position = 0
        return [refusal for refusal in map(_read, lines) if refusal is not None]


def _read(line: bytes) -> Refusal | None:
    """Return a refusal by a gateway, or for want of one; None for an application's own errors."""
    try:
        fields = json.loads(line)
        if "answer" in fields:  # of a port forward, as Envoy keeps an answer; null when no gateway answered
            headers = {each["key"]: each["value"] for each in (fields["answer"] or {}).get("headers", [])}
            fields |= {"status": headers.get(":status", 503), "reason": headers.get(REASON_HEADER)}
            fields["part"] = headers.get(PART_HEADER)
        status, reason = int(fields["status"]), fields["reason"] or ""
        flags = set((fields["flags"] or "").split(","))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if status < 400:  # a forward that another gateway let through
        return None
    if not reason and flags & _NO_GATEWAY:
        reason = Code.GATEWAY_UNREACHABLE
    if not reason and status != 407:
        return None
    return Refusal(
        status,
        str(reason)[:64],
        host=str(fields.get("host"))[:300],
        gateway=str(fields.get("gateway")),
        part=str(fields.get("part") or "")[:64],
    )


class Probe:
    """Question to a gateway, over the connection that Envoy holds anyway: does the session still stand?"""

    def __init__(self, folder: Path) -> None:
        self._sockets = ShortPath(folder)
        path = self._sockets.of(PROXY_SOCKET)
        transport = httpx.AsyncHTTPTransport(uds=path, verify=False, http2=False)
        self._client = httpx.AsyncClient(transport=transport, timeout=TIMEOUT_SECONDS, trust_env=False)

    async def ask(self) -> Refusal:
        """Return the gateway's refusal of what nobody may reach; status 503 without reason when none answers."""
        try:
            response = await self._client.get(f"http://{PROBE_HOST}/")
        except (httpx.HTTPError, OSError):
            return Refusal(503, "")
        reason = response.headers.get(REASON_HEADER, "")
        if reason == Code.GATEWAY_UNREACHABLE:
            return Refusal(503, "")
        return Refusal(response.status_code, reason, " ".join(response.text.split())[:300] if reason else "")

    async def close(self) -> None:
        """Close the connection to Envoy."""
        with contextlib.suppress(httpx.HTTPError, OSError):
            await self._client.aclose()
