"""Command ``causeway connect``: its options, and its exit codes."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from edge.cli.words import os_sentence, start_log

ConsoleOption = Annotated[str, typer.Option("--console", help="The console's address, https://….")]
InstanceOption = Annotated[str, typer.Option(help="The instance's id, sag-….")]
UsernameOption = Annotated[str, typer.Option(help="Your user name.")]
PasswordFileOption = Annotated[
    Path | None,
    typer.Option(
        help="A file whose first line is the password; - for standard input. Else the terminal asks."
    ),
]
KeyringOption = Annotated[
    bool,
    typer.Option(
        "--keyring",
        help="Take the password from the system's keyring; the terminal asks once, and saves a right password.",
    ),
]
ListenOption = Annotated[str, typer.Option(help="Where the HTTP proxy listens: [ADDR:]PORT; none: no proxy.")]
ForwardOption = Annotated[
    list[str] | None, typer.Option(help="[ADDR:]PORT=HOST:PORT: a local port that leads to HOST:PORT.")
]
PacOption = Annotated[Path | None, typer.Option(help="Write a proxy auto-configuration to this file.")]
PacForOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Address that the PAC file sends by the proxy: host name, *.corp.example, IP address, CIDR block. "
        "Without it: those of your own applications."
    ),
]
CaFileOption = Annotated[
    Path | None, typer.Option(help="Trust this CA (PEM) for the console, besides the system's.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Tell every event as JSON, one object a line.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", help="Log more.")]


def connect(
    console: ConsoleOption,
    instance: InstanceOption,
    username: UsernameOption,
    password_file: PasswordFileOption = None,
    keyring: KeyringOption = False,
    listen: ListenOption = "127.0.0.1:3128",
    forward: ForwardOption = None,
    pac: PacOption = None,
    pac_for: PacForOption = None,
    ca_file: CaFileOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Log on and offer a local HTTP proxy and port forwards until Ctrl-C.

    Exit codes: 0 logged off, 1 a local problem, 2 wrong usage, 3 the session was ended, 4 the console cannot be
    reached, 5 the log-on was refused.
    """
    from edge.client.agent import Exit, run_connect
    from edge.client.events import Events
    from edge.client.options import (
        Options,
        PortProblem,
        check,
        check_ports,
        parse_forward,
        parse_listen,
        read_trust,
    )
    from edge.client.pac import rules_for
    from edge.client.password import KeyringProblem, read_password

    start_log(verbose)
    events = Events(as_json=as_json)
    try:
        options = Options(
            console=console,
            instance=instance,
            username=username,
            listen=None if listen == "none" else parse_listen(listen),
            forwards=tuple(parse_forward(text) for text in forward or []),
            pac=pac,
            pac_for=tuple(pac_for or ()),
            trust=read_trust(ca_file) if ca_file else "",
        )
        check(options)
        rules_for(options.pac_for)
        check_ports(options)
        password = read_password(options, file=password_file, keyring=keyring)
        code = asyncio.run(run_connect(options, password, events))
    except (PortProblem, KeyringProblem) as error:
        events.tell("failed", str(error))
        code = Exit.FAILED
    except OSError as error:
        events.tell("failed", os_sentence(error))
        code = Exit.FAILED
    raise typer.Exit(code)
