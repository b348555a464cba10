"""Agent that ``causeway gateway run`` and ``causeway connector run`` become, in the same process.

The library that reads the command line takes about 9 MB, which an agent that runs for months has no use for. So the
command, once read, puts this module in its own place.
"""

import argparse
import os
import sys
from functools import partial
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
    """Read the words that the command passed on."""
    parser = argparse.ArgumentParser(prog="causeway")
    parser.add_argument("kind", choices=("gateway", "connector"))
    parser.add_argument("action", choices=("run",))
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--concurrency", type=int, default=2)
    return parser.parse_args()


def _run(kind: str, folder: Path, concurrency: int) -> Path | None:
    """Be the agent until told to stop; return the program to go on as, or None."""
    from edge.home import Home
    from edge.machine.agent import run_agent

    if kind == "gateway":
        from edge.gateway.agent import GatewayAgent

        return run_agent("gateway", Home(folder), GatewayAgent)
    from edge.server.agent import ConnectorAgent

    return run_agent("server", Home(folder), partial(ConnectorAgent, concurrency=concurrency))


def main() -> None:
    """Run until told to stop; every failure is a sentence and an exit code other than 0."""
    given = _read()
    start_log(given.verbose)
    with exit_with_sentence():
        successor = _run(given.kind, given.home, given.concurrency)
        if successor is not None:
            # The same process: for systemd, and for whoever else waits for it, the agent has not ended.
            os.execv(successor, [str(successor), *sys.argv[1:]])  # noqa: S606


if __name__ == "__main__":
    main()
