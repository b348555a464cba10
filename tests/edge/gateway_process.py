"""Runs a gateway's agent as its own process for a test, as ``run_agent`` does, with an ear for configurations.

``python gateway_process.py HOME [SLOTS [FLOWS]]``: each line on stdin is a snapshot document to apply; the answer, a
line of JSON on stdout, is ``{"cut": n}`` or ``{"refused": "sentence"}``. A line ``{"ended": {…}, "ends": "…"}`` tells
of ended sessions ahead of the next one; the answer is ``{}``. The console is whatever identity.json names.
"""

import asyncio
import json
import logging
import sys
from pathlib import Path

from edge.gateway.agent import GatewayAgent
from edge.gateway.configuration import ConfigurationRefused
from edge.home import Home


async def listen(agent: GatewayAgent) -> None:
    reader = asyncio.StreamReader(limit=2**26)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        document = json.loads(line)
        try:
            if "ended" in document:
                await agent.configuration.end_sessions(document["ended"], document["ends"])
                answer: dict[str, object] = {}
            else:
                answer = {"cut": await agent.configuration.apply(document)}
        except ConfigurationRefused as error:
            answer = {"refused": str(error)}
        print(json.dumps(answer), flush=True)


async def main(path: Path, **options: int) -> None:
    agent = GatewayAgent(Home(path), **options)
    ear = asyncio.create_task(listen(agent))
    await agent.run()
    ear.cancel()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    asyncio.run(
        main(Path(sys.argv[1]), **dict(zip(["slots", "flows"], map(int, sys.argv[2:]), strict=False)))
    )
