"""A hostile client without an account: slow bodies, connections that say nothing, wrong log-ons, from many addresses.

Runs in a process of its own, so that it takes no turn from who looks on. It writes ``ready`` when all connections are
there, opens anew what is closed, and at its end (SIGTERM) writes as JSON what became of its tries::

    python -m tests.hostile http://127.0.0.1:8000 --slow 500 --silent 500 --guesses 200 --addresses 20 --silent-at 40001
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import signal
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.ending import ended

ROOT = Path(__file__).resolve().parent.parent

# Where a body is sent slowly: every kind of call to the console.
PATHS = (
    "/log-in/",
    "/edge/v1/login",
    "/edge/v1/gateway/config",
    "/edge/v1/telemetry",
    "/sase/applications/import/",
)
AGAIN_SECONDS, BYTE_SECONDS = 1.0, 1.0


@dataclass
class Hostile:
    """Client that keeps so many connections, from ``addresses`` after 127.0.0.100."""

    host: str
    port: int
    tls: bool
    addresses: int
    accounts: list[tuple[str, str]]
    counts: Counter[str] = field(default_factory=Counter)
    there: int = 0

    def address(self, number: int) -> str:
        return f"127.0.0.{101 + number % self.addresses}"

    async def open(self, number: int, *, port: int = 0) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection; with ``port``, one to a gateway that never begins TLS."""
        context = None
        if self.tls and not port:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return await asyncio.open_connection(
            self.host, port or self.port, ssl=context, local_addr=(self.address(number), 0)
        )

    async def slow(self, number: int) -> None:
        """Send a body byte by byte."""
        reader, writer = await self.open(number)
        self.there += 1
        head = f"POST {PATHS[number % len(PATHS)]} HTTP/1.1\r\nHost: {self.host}\r\nContent-Length: 60000\r\n\r\n"
        writer.write(head.encode())
        try:
            while not reader.at_eof() and not writer.is_closing():
                writer.write(b"0")
                await writer.drain()
                await asyncio.sleep(BYTE_SECONDS)
        finally:
            writer.close()

    async def silent(self, number: int, port: int) -> None:
        """Open a connection and say nothing."""
        reader, writer = await self.open(number, port=port)
        self.there += 1
        try:
            await reader.read()
        finally:
            writer.close()

    async def keep(self, kind: str, make: Any, *arguments: int) -> None:
        """Do the same again and again."""
        while True:
            try:
                await make(*arguments)
                self.counts[f"{kind}: closed"] += 1
            except OSError as error:
                self.counts[f"{kind}: {type(error).__name__}"] += 1
            await asyncio.sleep(AGAIN_SECONDS)

    async def guess(self, number: int) -> None:
        """Try a wrong password."""
        instance, username = self.accounts[number % len(self.accounts)]
        who = {
            "instance": instance,
            "username": username,
            "password": secrets.token_hex(8),
            "kind": "connect",
        }
        body = json.dumps(who)
        head = f"POST /edge/v1/login HTTP/1.1\r\nHost: {self.host}\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        try:
            reader, writer = await self.open(number)
            try:
                writer.write((head + body).encode())
                answer = await asyncio.wait_for(reader.readline(), 60)
                self.counts[f"wrong log-on: {answer[9:12].decode() or 'no answer'}"] += 1
            finally:
                writer.close()
        except (OSError, TimeoutError) as error:
            self.counts[f"wrong log-on: {type(error).__name__}"] += 1

    async def guess_forever(self, per_second: float) -> None:
        """Begin so many guesses a second, whatever becomes of those before."""
        loop, number, tries = asyncio.get_running_loop(), 0, set[asyncio.Task[None]]()
        began = loop.time()
        while True:
            tries.add(task := asyncio.create_task(self.guess(number)))
            task.add_done_callback(tries.discard)
            number += 1
            await asyncio.sleep(began + number / per_second - loop.time())


@contextmanager
def beside(console: str, *options: str, within: Sequence[str] = ()) -> Iterator[None]:
    """Give the time in which a hostile client is at work, from when all its connections are there."""
    command = [*within, sys.executable, "-m", "tests.hostile", console, *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process, ended(process):
        assert process.stdout and process.stdout.readline() == "ready\n"
        yield


async def attack(hostile: Hostile, given: argparse.Namespace) -> None:
    ports = given.silent_at or [hostile.port]
    jobs: list[Coroutine[Any, Any, None]] = [hostile.keep("slow", hostile.slow, n) for n in range(given.slow)]
    jobs += [hostile.keep("silent", hostile.silent, n, ports[n % len(ports)]) for n in range(given.silent)]
    if given.guesses:
        jobs.append(hostile.guess_forever(given.guesses))
    tasks = [asyncio.create_task(job) for job in jobs]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    while hostile.there < given.slow + given.silent and not stop.is_set():
        await asyncio.sleep(0.05)
    print("ready", flush=True)
    await stop.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(json.dumps(hostile.counts), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("console")
    parser.add_argument("--slow", type=int, default=0, help="connections whose bodies come byte by byte")
    parser.add_argument("--silent", type=int, default=0, help="connections that say nothing")
    parser.add_argument(
        "--silent-at", type=int, action="append", help="a port for these, by default the console's"
    )
    parser.add_argument("--guesses", type=float, default=0, help="wrong log-ons a second")
    parser.add_argument("--addresses", type=int, default=20)
    parser.add_argument("--account", action="append", default=[], metavar="INSTANCE/USERNAME")
    given = parser.parse_args()
    console = urlsplit(given.console)
    accounts = [tuple(each.split("/", 1)) for each in given.account] or [("sag-none", "nobody")]
    hostile = Hostile(
        console.hostname or "127.0.0.1",
        console.port or 443,
        console.scheme == "https",
        given.addresses,
        [(instance, username) for instance, username in accounts],
    )
    asyncio.run(attack(hostile, given))


if __name__ == "__main__":
    main()
