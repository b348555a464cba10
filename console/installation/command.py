"""Command line of ``causeway-console``; words after ``serve``, ``worker`` and ``manage`` go to Django as they are."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from console.core.environment_file import EnvironmentFileInvalid
from console.core.own_file import OTHERS
from console.installation import doctor, inside, place, setup
from console.installation.place import Refused

COMMANDS = ("setup", "serve", "worker", "doctor", "manage")
INTERRUPTED = 130
DESCRIPTION = """\
A console of Causeway on this machine.

  `setup`            asks for what is needed, and makes a console; again: keeps what is there
  `serve`, `worker`  what the two services run
  `doctor`           looks at everything, and names the fix of what is not right
  `manage COMMAND`   any other command of the console, such as: manage changepassword NAME
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="causeway-console", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--environment", type=Path, metavar="FILE",
        help=f"environment file; else {place.SYSTEM_FILE}, or one of the user's own",
    )  # fmt: skip
    parser.add_argument("command", choices=COMMANDS)
    return parser


def _setup_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="causeway-console setup",
        description="Set a console up. Without a terminal every answer comes from an option, or from the variable of "
        "that name in the environment; passwords come from the environment alone.",
    )
    parser.add_argument("--url", help="the console's address: https://console.example.com")
    parser.add_argument(
        "--tls-certificate", metavar="FILE", help="chain in PEM, or none behind a proxy of yours"
    )
    parser.add_argument("--tls-key", metavar="FILE", help="its key in PEM")
    parser.add_argument("--listen", metavar="ADDRESS:PORT", help="where the console listens")
    parser.add_argument("--database", metavar="URL", help="sqlite, or postgres://… without a password")
    parser.add_argument("--mail", metavar="HOST:PORT", help="mail server, or none")
    parser.add_argument("--mail-from", metavar="ADDRESS", help="sender of the console's mails")
    parser.add_argument("--mail-user", metavar="NAME", help="user at the mail server")
    parser.add_argument("--mail-starttls", action=argparse.BooleanOptionalAction, help="by STARTTLS")
    parser.add_argument("--administrator", metavar="NAME", help="the first administrator")
    parser.add_argument("--administrator-email", metavar="ADDRESS")
    parser.add_argument("--state", type=Path, metavar="FOLDER", help="the state directory")
    parser.add_argument("--wheel", type=Path, metavar="FILE", help="what machines are installed with")
    parser.add_argument("--user", metavar="NAME", help="user of the services, where root sets up")
    parser.add_argument(
        "--no-services",
        action="store_true",
        help="for root in a container: no user and no units, files of root's own",
    )
    return parser


def _doctor_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="causeway-console doctor",
        description="Look at the console. Exit codes: 0 nothing hinders, 1 something must be put right.",
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--wait",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long console and worker may take to come up",
    )
    return parser


def _split(arguments: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return the words up to the command, the command among them, and those after the command."""
    for number, word in enumerate(arguments):
        if word in COMMANDS and arguments[number - 1 : number] != ["--environment"]:
            return arguments[: number + 1], arguments[number + 1 :]
    return arguments, []


def _manage(words: Sequence[str], file: Path | None) -> int:
    """Run a command of Django's by the owner of the console's files, with the settings of the environment file."""
    place.take(file, os.environ)
    if state := os.environ.get("CAUSEWAY_STATE_DIR"):
        place.become_owner(Path(state))
    if words[:1] in (["serve"], ["worker"]) and not os.access(".", os.R_OK | os.X_OK):
        os.chdir("/")  # their processes would look there, too
    inside.start()
    from django.core.management import execute_from_command_line

    execute_from_command_line(["causeway-console", *words])
    return 0


def run(arguments: Sequence[str]) -> int:
    first, rest = _split(arguments)
    given = _parser().parse_args(first)
    # What is written is its owner's alone, whatever the shell's umask is.
    os.umask(OTHERS)
    if given.command == "setup":
        wanted = _setup_parser().parse_args(rest, argparse.Namespace(environment=given.environment))
        try:
            return setup.run(wanted)
        except OSError as error:
            raise Refused(
                f"{error.filename or 'Files of the console'}: {error.strerror or error}. {inside.AGAIN}"
            ) from None
    if given.command == "doctor":
        wanted = _doctor_parser().parse_args(rest)
        return doctor.run(given.environment, as_json=wanted.json, seconds=wanted.wait)
    return _manage(rest if given.command == "manage" else [given.command, *rest], given.environment)


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        return run(sys.argv[1:] if arguments is None else arguments)
    except (Refused, EnvironmentFileInvalid) as refused:
        said = str(refused)
    except (KeyboardInterrupt, EOFError):
        print("\nStopped. What is done is kept: run the same command again.", file=sys.stderr)  # noqa: T201
        return INTERRUPTED
    print(f"causeway-console: {said}", file=sys.stderr)  # noqa: T201
    return 1
