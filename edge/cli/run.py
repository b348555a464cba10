"""What ``causeway gateway run`` and ``causeway connector run`` become: the agent, in the same process.

The library that reads the command line takes about 9 MB, which an agent that runs for months has no use for. So the
command, once read, puts this module in its own place.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import NoReturn

from edge.cli.words import exit_with_sentence, start_log


def become_agent(kind: str, home: Path, *, verbose: bool = False, concurrency: int | None = None) -> NoReturn:
    """Go on as the agent of this folder. `kind`: ``gateway`` or ``connector``; `concurrency`: Envoy's threads."""
    arguments = [kind, "run", "--home", str(home), *(["--verbose"] if verbose else [])]
    if concurrency is not None:
        arguments += ["--concurrency", str(concurrency)]
    os.execv(sys.executable, [sys.executable, "-m", "edge.cli.run", *arguments])  # noqa: S606


def _read() -> argparse.Namespace:
    """The command's own words, as it passed them on."""
    parser = argparse.ArgumentParser(prog="causeway")
    parser.add_argument("kind", choices=("gateway", "connector"))
    parser.add_argument("action", choices=("run",))
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--concurrency", type=int, default=2)
    return parser.parse_args()


def _gateway(folder: Path) -> int:
    from edge.gateway.agent import run_gateway
    from edge.home import Home, NotEnrolled
    from edge.machine.support import held, keep_log

    home = Home(folder)
    if home.identity.kind != "gateway":
        raise NotEnrolled(f"{home.path} is that of a connector server, not of a gateway.")
    keep_log(home)
    with held(home):
        return asyncio.run(run_gateway(home))


def _connector(folder: Path, concurrency: int) -> int:
    from edge.home import Home
    from edge.machine.support import keep_log
    from edge.server.agent import run_connector

    home = Home(folder)
    if home.enrolled:
        keep_log(home)
    successor = asyncio.run(run_connector(home, concurrency=concurrency))
    if successor is not None:
        # The same process: for systemd, and for whoever else waits for it, the agent has not ended.
        os.execv(successor, [str(successor), *sys.argv[1:]])  # noqa: S606
    return 0


def main() -> None:
    """Run until told to stop; every failure is a sentence and an exit code other than 0."""
    given = _read()
    start_log(given.verbose)
    with exit_with_sentence():
        code = _gateway(given.home) if given.kind == "gateway" else _connector(given.home, given.concurrency)
    sys.exit(code)


if __name__ == "__main__":
    main()
