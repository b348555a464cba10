"""The command ``causeway``: what runs on gateways, connector servers and users' machines.

Heavy modules are imported inside the commands, so that ``--help`` and ``--version`` answer at once.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from edge import version
from edge.cli.connect import ConsoleOption, VerboseOption, connect
from edge.cli.machine import HomeOption, add_machine_commands, check, home_path, status
from edge.cli.run import become_agent
from edge.cli.words import Problem, ca_of, exit_with_sentence, start_log

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Private access, self-hosted.",
)
gateway = typer.Typer(no_args_is_help=True, help="A gateway: where clients and connector servers arrive.")
connector = typer.Typer(no_args_is_help=True, help="A connector server: the way into a network of yours.")
app.add_typer(gateway, name="gateway")
app.add_typer(connector, name="connector")

CODE_VARIABLE = "CAUSEWAY_CODE"
CodeOption = Annotated[
    str | None,
    typer.Option(
        "--code",
        help=f"The one-use code. Better: --code-file, or {CODE_VARIABLE} in the environment; arguments can be seen.",
    ),
]
CodeFileOption = Annotated[
    Path | None, typer.Option("--code-file", help="A file with the code; - for standard input.")
]
CaFileOption = Annotated[
    Path | None,
    typer.Option("--ca-file", help="The CA (PEM) of the console's certificate, kept for the agent."),
]


def main() -> None:
    """Run the command; turn every failure into a sentence and an exit code other than 0."""
    with exit_with_sentence():
        app()


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"causeway {version()}")
        raise typer.Exit


@app.callback()
def common(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Private access, self-hosted."""


@gateway.command("enroll")
def gateway_enroll(
    console: ConsoleOption,
    code: CodeOption = None,
    code_file: CodeFileOption = None,
    home: HomeOption = None,
    ca_file: CaFileOption = None,
) -> None:
    """Make this machine one of the console's gateways."""
    _enroll(home_path(home, "gateway"), console, _code(code, code_file), "gateway", ca_of(ca_file))


@gateway.command("run")
def gateway_run(home: HomeOption = None, verbose: VerboseOption = False) -> None:
    """Run the gateway until it is told to stop."""
    become_agent("gateway", home_path(home, "gateway"), verbose=verbose)


@connector.command("enroll")
def connector_enroll(
    console: ConsoleOption,
    code: CodeOption = None,
    code_file: CodeFileOption = None,
    home: HomeOption = None,
    ca_file: CaFileOption = None,
) -> None:
    """Make this machine a server of a connector."""
    _enroll(home_path(home, "connector"), console, _code(code, code_file), "server", ca_of(ca_file))


@connector.command("run")
def connector_run(
    home: HomeOption = None,
    verbose: VerboseOption = False,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Threads that carry traffic.")] = 2,
) -> None:
    """Run the connector server until it is told to stop."""
    become_agent("connector", home_path(home, "connector"), verbose=verbose, concurrency=concurrency)


add_machine_commands(gateway, "gateway")
add_machine_commands(connector, "connector")
app.command()(status)
app.command()(check)
app.command()(connect)


def _enroll(home: Path, console: str, code: str, kind: Literal["server", "gateway"], ca: str | None) -> None:
    from edge.home import Home
    from edge.machine.enrollment import enroll

    start_log(verbose=False)
    identity = asyncio.run(enroll(Home(home), console, code, kind, ca=ca))
    typer.echo(f"Enrolled as {identity.id} in {home}.")


def _code(code: str | None, code_file: Path | None) -> str:
    """Return the one-use code from option, file or environment."""
    if code_file is not None:
        code = sys.stdin.read() if str(code_file) == "-" else code_file.read_text()
    code = (code or os.environ.get(CODE_VARIABLE) or "").strip()
    if not code:
        raise Problem(
            f"An enrollment code is needed: --code-file FILE, {CODE_VARIABLE} in the environment, or --code."
        )
    return code
