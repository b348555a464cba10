"""The command ``causeway``: what runs on gateways, connector servers and users' machines.

Heavy modules are imported inside the commands, so that ``--help`` and ``--version`` answer at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from edge import version
from edge.cli_machine import HomeOption, add_machine_commands, check, home_path, status

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
ConsoleOption = Annotated[str, typer.Option("--console", help="The console's address, https://….")]
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
VerboseOption = Annotated[bool, typer.Option("--verbose", help="Log more.")]


class Problem(Exception):
    """Something the user can put right; printed as it is."""


def main() -> None:
    """Run the command; turn every failure into a sentence and an exit code other than 0."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("CAUSEWAY_TRACEBACK"):
            raise
        typer.echo(_sentence(error), err=True)
        sys.exit(getattr(error, "exit_code", 1))


def _sentence(error: Exception) -> str:
    from edge.api import ApiError
    from edge.client.agent import OptionError
    from edge.enrollment import EnrollmentError
    from edge.envoy.process import EnvoyError
    from edge.home import NotEnrolled
    from edge.support import AlreadyRunning

    ours = (Problem, ApiError, OptionError, EnrollmentError, EnvoyError, NotEnrolled, AlreadyRunning)
    if isinstance(error, ours):
        return str(error)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}."
    return (
        f"This should not have happened: {type(error).__name__}: {error} (CAUSEWAY_TRACEBACK=1 shows more.)"
    )


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
    console: ConsoleOption, code: CodeOption = None, code_file: CodeFileOption = None, home: HomeOption = None
) -> None:
    """Make this machine one of the console's gateways."""
    _enroll(home_path(home, "gateway"), console, _code(code, code_file), "gateway")


@gateway.command("run")
def gateway_run(home: HomeOption = None, verbose: VerboseOption = False) -> None:
    """Run the gateway until it is told to stop."""
    from edge.gateway.agent import run_gateway
    from edge.home import Home, NotEnrolled
    from edge.support import held, keep_log

    _log(verbose)
    folder = Home(home_path(home, "gateway"))
    if folder.identity.kind != "gateway":
        raise NotEnrolled(f"{folder.path} is that of a connector server, not of a gateway.")
    keep_log(folder)
    with held(folder):
        code = asyncio.run(run_gateway(folder))
    raise typer.Exit(code)


@connector.command("enroll")
def connector_enroll(
    console: ConsoleOption, code: CodeOption = None, code_file: CodeFileOption = None, home: HomeOption = None
) -> None:
    """Make this machine a server of a connector."""
    _enroll(home_path(home, "connector"), console, _code(code, code_file), "server")


@connector.command("run")
def connector_run(
    home: HomeOption = None,
    verbose: VerboseOption = False,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Threads that carry traffic.")] = 2,
) -> None:
    """Run the connector server until it is told to stop."""
    from edge.connector.agent import run_connector
    from edge.home import Home
    from edge.support import keep_log

    _log(verbose)
    folder = Home(home_path(home, "connector"))
    if folder.enrolled:
        keep_log(folder)
    successor = asyncio.run(run_connector(folder, concurrency=concurrency))
    if successor is not None:
        # The same process: for systemd, and for whoever else waits for it, the agent has not ended.
        os.execv(successor, [str(successor), *sys.argv[1:]])  # noqa: S606


add_machine_commands(gateway, "gateway")
add_machine_commands(connector, "connector")
app.command()(status)
app.command()(check)


@app.command()
def connect(
    console: ConsoleOption,
    instance: Annotated[str, typer.Option(help="The instance's id, sag-….")],
    username: Annotated[str, typer.Option(help="Your user name.")],
    password_file: Annotated[
        Path | None,
        typer.Option(help="A file with the password; - for standard input. Else it is asked for."),
    ] = None,
    listen: Annotated[
        str, typer.Option(help="Where the HTTP proxy is: [ADDR:]PORT; none: without one.")
    ] = "127.0.0.1:3128",
    forward: Annotated[
        list[str] | None, typer.Option(help="[ADDR:]PORT=HOST:PORT, a local port that leads there.")
    ] = None,
    pac: Annotated[Path | None, typer.Option(help="Write a proxy auto-configuration to this file.")] = None,
    pac_for: Annotated[
        list[str] | None, typer.Option(help="Domain that the PAC sends here; else all.")
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(help="Trust this CA for the console and the gateways.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Tell what happens as JSON, one object a line.")
    ] = False,
    verbose: VerboseOption = False,
) -> None:
    """Log on and offer a local HTTP proxy and port forwards until Ctrl-C.

    Exit codes: 0 logged off, 1 a local problem, 2 wrong usage, 3 the session was ended, 4 the console cannot be
    reached, 5 the log-on was refused.
    """
    from edge.client.agent import Options, parse_forward, parse_listen, run_connect
    from edge.client.events import Events
    from edge.client.options import check

    _log(verbose)
    options = Options(
        console=console,
        instance=instance,
        username=username,
        listen=None if listen == "none" else parse_listen(listen),
        forwards=tuple(parse_forward(text) for text in forward or []),
        pac=pac,
        pac_domains=tuple(pac_for or ()),
        trust=ca_file.read_text() if ca_file else None,
    )
    check(options)
    events = Events(as_json=as_json)
    raise typer.Exit(asyncio.run(run_connect(options, _password(password_file), events)))


def _enroll(home: Path, console: str, code: str, kind: str) -> None:
    from edge.enrollment import enroll
    from edge.home import Home

    _log(verbose=False)
    identity = asyncio.run(enroll(Home(home), console, code, kind))
    typer.echo(f"Enrolled as {identity.id} in {home}.")


def _code(code: str | None, code_file: Path | None) -> str:
    """Return the one-use code from wherever it was given."""
    if code_file is not None:
        code = sys.stdin.read() if str(code_file) == "-" else code_file.read_text()
    code = (code or os.environ.get(CODE_VARIABLE) or "").strip()
    if not code:
        raise Problem(
            f"An enrolment code is needed: --code-file FILE, {CODE_VARIABLE} in the environment, or --code."
        )
    return code


def _password(file: Path | None) -> str:
    if file is None:
        import getpass

        return getpass.getpass("Password: ")
    text = sys.stdin.readline() if str(file) == "-" else file.read_text()
    return text.rstrip("\r\n")


def _log(verbose: bool) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


if __name__ == "__main__":
    main()
