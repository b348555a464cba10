"""Commands for the operator of a gateway or a connector server: look, check, pack logs, upgrade, take away."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.cli.words import ca_of

if TYPE_CHECKING:
    from edge.home import Home

HomeOption = Annotated[Path | None, typer.Option("--home", help="The machine's folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document, for programs.")]
KINDS = ("connector", "gateway")
COLORS = {
    "green": "green",
    "yellow": "yellow",
    "red": "red",
    "off": "bright_black",
    "ok": "green",
    "warning": "yellow",
    "error": "red",
}


def home_path(given: Path | None, kind: str) -> Path:
    """Return the folder of a machine: the one given, else the usual one."""
    if given is not None:
        return given
    if os.geteuid() == 0:
        return Path("/var/lib/causeway") / kind
    return Path.home() / ".local" / "share" / "causeway" / kind


def add_machine_commands(group: typer.Typer, kind: str) -> None:
    """Add the commands that gateway and server share. `kind`: ``gateway`` or ``connector``."""

    @group.command("export-logs")
    def export_logs(
        output: Annotated[
            Path, typer.Option("--output", help="The archive to write; - for standard output.")
        ] = Path("causeway-logs.tar.gz"),
        home: HomeOption = None,
    ) -> None:
        """Pack logs, configuration and versions for support; no keys."""
        from edge.home import Home
        from edge.machine.log_export import pack

        folder = Home(home_path(home, kind))
        if str(output) == "-":
            pack(folder, typer.get_binary_stream("stdout"))
            return
        folder.identity  # noqa: B018 (refuses before the file is made)
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            pack(folder, stream)
        typer.echo(f"Written: {output}")

    @group.command("pid")
    def pid(home: HomeOption = None) -> None:
        """Print the process id of the agent that runs here. Exit codes: 0 an agent runs, 1 none runs."""
        from edge.home import Home
        from edge.machine.support import agent_pid

        found = agent_pid(Home(home_path(home, kind)))
        if found is None:
            raise typer.Exit(1)
        typer.echo(str(found))

    @group.command("uninstall")
    def uninstall(
        home: HomeOption = None, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
    ) -> None:
        """End agent and Envoy, and remove this machine's keys, certificates and configuration."""
        from edge.home import Home
        from edge.machine.support import uninstall as take_away

        folder = Home(home_path(home, kind))
        identity = folder.identity
        if not yes:
            typer.confirm(f"Remove {identity.id} with its keys from {folder.path}?", abort=True)
        asyncio.run(take_away(folder))
        typer.echo(f"{identity.id} is removed from this machine. Remove it in the console as well.")


def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the four lights of this machine, with their reasons.

    Exit codes: 0 no light is red, 1 a light is red, 2 this machine is not enrolled.
    """
    from edge.machine.status import report

    folders = _enrolled(home)
    if not folders:
        where = home or " or ".join(str(home_path(None, kind)) for kind in KINDS)
        usual = f"There is no enrolled gateway or server in {where}. Name its folder with --home."
        sentence = " ".join(filter(None, (each.refusal for each in _folders(home)))) or usual
        if as_json:
            typer.echo(json.dumps({"enrolled": False, "reason": sentence}))
        typer.echo(sentence, err=True)
        raise typer.Exit(2)
    reports = [asyncio.run(report(folder)) for folder in folders]
    if as_json:
        documents = [{**asdict(each), "good": each.good} for each in reports]
        typer.echo(json.dumps(documents[0] if len(documents) == 1 else documents, indent=1))
    for each in [] if as_json else reports:
        of = f" of {each.connector}" if each.connector else ""
        typer.echo(f"{each.kind.capitalize()} {each.id}{of}, console {each.console}")
        for light in each.lights:
            _line(light.color, light.name, light.reason)
        if each.certificates_renewed_from:
            typer.echo(f"  Certificates are renewed from {each.certificates_renewed_from}.")
    raise typer.Exit(0 if all(each.good for each in reports) else 1)


def check(
    console: Annotated[
        str, typer.Option("--console", help="The console's address; else the enrolled one.")
    ] = "",
    home: HomeOption = None,
    ca_file: Annotated[
        Path | None,
        typer.Option("--ca-file", help="The CA (PEM) of the console's certificate; else the home's."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check what this machine needs: clock, open files, disk, names, the ways to console and gateways.

    Exit codes: 0 nothing hinders, 1 something must be put right first.
    """
    from edge.home import Home
    from edge.machine.checks import checks

    folders = _enrolled(home)
    folder = folders[0] if folders else Home(home_path(home, "connector"))
    found = asyncio.run(checks(console or folder.identity.console, folder, ca=ca_of(ca_file)))
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], indent=1))
    for each in [] if as_json else found:
        _line(each.severity, each.name, each.finding)
        if each.fix:
            typer.echo(f"    {'Do this' if each.severity == 'error' else 'Better'}: {each.fix}")
    raise typer.Exit(1 if any(each.severity == "error" for each in found) else 0)


def _enrolled(given: Path | None) -> list[Home]:
    return [folder for folder in _folders(given) if folder.enrolled]


def _folders(given: Path | None) -> list[Home]:
    from edge.home import Home

    return [Home(path) for path in ([given] if given else [home_path(None, kind) for kind in KINDS])]


def _line(state: str, name: str, sentence: str) -> None:
    typer.echo(f"  {typer.style(f'{state:7}', fg=COLORS[state])} {name}: {sentence}")
