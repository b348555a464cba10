"""Simulated servers that send telemetry to a console of their own, and the time that its answers take.

The servers sign their calls with keys of their own and send all their 10-second samples. Calls are made when they are
due, whether the calls before were answered or not, and are timed from then on.
"""

import asyncio
import base64
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
import psutil
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.running import ROOT

PATH = "/edge/v1/telemetry"
SAMPLE_SECONDS = 10
CONNECTIONS = 256
# The console closes connections that were idle for half a minute.
KEPT_SECONDS = 15.0


@contextmanager
def running(*command: str, environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``python COMMAND`` for as long as the block lasts."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def console_running(environment: dict[str, str], port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    from console.front import granian

    command = ("-m", "granian", *granian.alone(host="127.0.0.1", port=port))
    with running(*command, environment=environment, log=log) as process:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"The console did not start:\n{log.read_text()}") from None
                time.sleep(0.1)
        yield process


def world(environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    """Run ``bench.telemetry_world`` and return its answer."""
    command = [sys.executable, "-m", "bench.telemetry_world", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


class Server:
    """Simulated server, with its key and the samples that it has not sent yet."""

    def __init__(self, name: str, key: str, interval: float) -> None:
        self.name = name
        self._key: Any = load_pem_private_key(key.encode(), None)
        self._interval = interval
        self._sent_until = 0.0
        self.begin()

    def begin(self) -> None:
        """Begin as if the server had run before: an interval's samples wait for the first call, and none goes twice."""
        waiting = (time.time() - self._interval) // SAMPLE_SECONDS * SAMPLE_SECONDS
        self._sent_until = max(self._sent_until, waiting)

    def call(self, least_bytes: int = 0) -> tuple[bytes, int]:
        """Return the next HTTP request and its number of samples; each sample has at least ``least_bytes`` a way."""
        now = time.time()
        samples = []
        while self._sent_until + SAMPLE_SECONDS <= now:
            self._sent_until += SAMPLE_SECONDS
            traffic = int(self._sent_until) % 9973 * 1000 + least_bytes
            samples.append(
                {
                    "time": self._sent_until, "seconds": 10.0, "rx_bytes": traffic, "tx_bytes": traffic * 3,
                    "cpu_percent": 12.5, "memory_percent": 40.0, "latency_ms": 3.25, "loss_percent": 0.0,
                }
            )  # fmt: skip
        machine = {"hostname": self.name, "private_address": "10.0.0.1", "version": "1", "envoy": "running"}
        paths = [
            {"gateway": f"gateway-{n}", "latency_ms": 3.25, "loss_percent": 0.0, "by": "udp"}
            for n in range(2)
        ]
        body = json.dumps(
            {
                "batch": str(uuid.uuid4()), "applied_version": 1, "samples": samples,
                "machine": machine | {"uptime_seconds": 9}, "paths": paths, "destinations": [],
            }
        ).encode()  # fmt: skip
        return self._request(body, int(now)), len(samples)

    def keep(self, samples: int) -> None:
        """Keep the samples of a call that was not taken for the next call, as an agent's spool does."""
        self._sent_until -= samples * SAMPLE_SECONDS

    def _request(self, body: bytes, now: int) -> bytes:
        digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()
        claims = {"iat": now, "exp": now + 60, "jti": uuid.uuid4().hex}
        claims |= {"htm": "POST", "htu": PATH, "bsh": digest}
        token = jwt.encode(claims, self._key, "ES256", headers={"kid": self.name})
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


class Load:
    """Sender of the servers' calls when these are due, over connections that are kept."""

    def __init__(self, servers: list[Server], port: int, interval: float) -> None:
        self._servers = servers
        self._port = port
        self._interval = interval
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter, float]] = []
        self._limit = asyncio.Semaphore(CONNECTIONS)
        self.seconds: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.acknowledged = 0
        self.late = 0.0

    async def run(self, seconds: float) -> None:
        gap, begin, place = self._interval / len(self._servers), time.monotonic(), 0
        tasks: set[asyncio.Task[None]] = set()
        while (due := begin + place * gap) < begin + seconds:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.late = max(self.late, time.monotonic() - due)
            task = asyncio.create_task(self._call(self._servers[place % len(self._servers)], due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            place += 1
        if tasks:
            await asyncio.wait(tasks, timeout=30)

    async def _call(self, server: Server, due: float) -> None:
        async with self._limit:
            request, samples = server.call()
            try:
                status, answer = await self.exchange(request)
            except (OSError, ValueError, asyncio.IncompleteReadError) as error:
                self.statuses[type(error).__name__] += 1
                server.keep(samples)
                return
        self.statuses[str(status)] += 1
        if status != 200:
            server.keep(samples)
            return
        self.seconds.append(time.monotonic() - due)
        self.acknowledged += answer["acknowledged"]
        assert answer["acknowledged"] == samples and not answer["refused"], answer

    async def exchange(self, request: bytes) -> tuple[int, dict[str, Any]]:
        """Send a request; return status and answer."""
        while self._idle and time.monotonic() - self._idle[-1][2] > KEPT_SECONDS:
            self._idle.pop()[1].close()
        if self._idle:
            reader, writer, _ = self._idle.pop()
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        if "content-length: " in head:
            body = await reader.readexactly(int(head.split("content-length: ")[1].split("\r\n")[0]))
        else:
            body = b"".join([part async for part in _chunks(reader)])
        self._idle.append((reader, writer, time.monotonic()))
        return int(head.split(" ", 2)[1]), json.loads(body)


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield the pieces of a body that came without its length."""
    while length := int(await reader.readline(), 16):
        yield (await reader.readexactly(length + 2))[:-2]
    await reader.readline()


def bind_to_core(core: int) -> bool:
    """Bind this process, and those that it starts from now on, to a core; False where the system cannot."""
    if not hasattr(os, "sched_setaffinity") or (os.cpu_count() or 1) < 2:
        return False
    os.sched_setaffinity(0, {core})
    return True


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU seconds of a process and its living descendants."""
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return float(sum(each.user + each.system + each.children_user + each.children_system for each in times))


def postmaster() -> psutil.Process | None:
    """Return the PostgreSQL that this process started, if any."""
    found = [each for each in psutil.Process().children() if each.name().startswith("postgres")]
    return found[0] if found else None


def run_load(
    servers: list[Server], port: int, interval: float, seconds: float, watched: tuple[int, int]
) -> tuple[Load, tuple[float, float, float]]:
    """Send calls for ``seconds``; return the load, and how busy console, PostgreSQL and worker were.

    ``watched``: the process ids of console and worker.
    """
    load = Load(servers, port, interval)
    console, worker = (psutil.Process(each) for each in watched)
    processes = (console, postmaster(), worker)
    before = [cpu_seconds(each) if each else 0.0 for each in processes]
    asyncio.run(load.run(seconds))
    after = [cpu_seconds(each) if each else 0.0 for each in processes]
    busy = [(end - start) / seconds for start, end in zip(before, after, strict=True)]
    return load, (busy[0], busy[1], busy[2])
