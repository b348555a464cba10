"""Questions of the set-up: asked on a terminal, answered by options or the environment where nobody is there."""

import getpass
import ipaddress
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from console.installation.place import Refused, say

NONE = "none"
SQLITE = "sqlite"
# What Django answers to.
HOST = re.compile(r"[a-z0-9.-]+|\[[a-f0-9:.]+\]")


@dataclass(frozen=True)
class Question:
    """A question with the variable that its answer becomes. ``option``: its name in the argument list, if it has one.

    ``default``: the answer of an empty line; None where there must be an answer. ``check``: returns the value as it is
    written, and raises `Refused`.
    """

    variable: str
    option: str
    words: str
    default: str | None
    check: Callable[[str], str] = str
    secret: bool = False


def answer(question: Question, given: str | None, kept: Mapping[str, str]) -> str:
    """Return an answer: of the option, the environment, the file of before, the terminal, or the default, in order."""
    environment = os.environ.get(question.variable)
    for value in (given, environment, kept.get(question.variable)):
        if value is not None:
            return question.check(value)
    if sys.stdin.isatty():
        return _asked(question)
    if question.default is None:
        option = f"the option {question.option} or " if question.option else ""
        raise Refused(
            f"{question.words}? Nobody is asked here: give {option}{question.variable} in the environment."
        )
    return question.check(question.default)


def _asked(question: Question) -> str:
    shown = f" [{question.default}]" if question.default else ""
    while True:
        read = getpass.getpass if question.secret else input
        value = read(f"{question.words}{shown}: ").strip() or question.default or ""
        try:
            return question.check(value)
        except Refused as wrong:
            say(f"  {wrong}")


# -- Checks -----------------------------------------------------------------------------------------------------------


def address(value: str) -> str:
    """Return the console's address in ASCII, without a path."""
    legal = "Give the console's address as https://console.example.com, without a path."
    try:
        parts = urlsplit(value.strip())
        host, port = parts.hostname or "", parts.port
        host = f"[{ipaddress.IPv6Address(host)}]" if ":" in host else host.encode("idna").decode()
    except ValueError:
        raise Refused(f"“{value}” is no address. {legal}") from None
    if parts.scheme not in ("http", "https") or parts.username or parts.path.strip("/") or parts.query:
        raise Refused(f"“{value}” is no address of a console. {legal}")
    if not HOST.fullmatch(host):
        raise Refused(f"“{host}” is no host name: letters, digits, “.” and “-” make one. {legal}")
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}"


def database(value: str) -> str:
    """Return a database's URL; `SQLITE` for a file in the state directory."""
    if value.strip().lower() in ("", SQLITE):
        return SQLITE
    scheme = value.partition("://")[0]
    if "://" not in value or scheme not in ("postgres", "postgresql", "sqlite"):
        raise Refused(
            f"“{scheme}” is no database. Legal: sqlite, or postgres://USER@HOST/NAME; with %2Frun%2Fpostgresql as the "
            "host, PostgreSQL of this machine."
        )
    return value.strip()


def not_in_arguments(value: str | None) -> str | None:
    """Refuse a password in an option: every user of the machine can read the argument list."""
    try:
        has_password = value is not None and urlsplit(value).password
    except ValueError:
        has_password = None
    if has_password:
        raise Refused(
            "--database holds a password, which every user of this machine could read in the argument list. "
            "Give the URL in DATABASE_URL in the environment, or when you are asked."
        )
    return value


def readable(value: str) -> str:
    """Return a file's full path; empty stays empty."""
    if not value.strip() or value.strip() == NONE:
        return ""
    path = Path(value.strip()).expanduser().absolute()
    if not path.is_file():
        raise Refused(f"There is no file {path}.")
    if not os.access(path, os.R_OK):
        raise Refused(f"{path} cannot be read by this user.")
    return str(path)


def mail_host(value: str) -> str:
    """Return HOST or HOST:PORT of a mail server; empty for none."""
    host, _, port = (
        value.strip().rpartition(":") if value.strip().count(":") == 1 else (value.strip(), "", "")
    )
    if port and not (port.isdecimal() and 0 < int(port) < 65536):
        raise Refused(f"“{port}” is no port of a mail server. Legal: 1 to 65535.")
    return "" if value.strip() == NONE else f"{host}:{port}" if port else host


def listen(value: str) -> tuple[str, str]:
    """Return address and port of ADDRESS:PORT."""
    host, _, port = value.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536 or not host:
        raise Refused(f"“{value}” is no ADDRESS:PORT to listen at, such as 0.0.0.0:443 or [::]:443.")
    return host.strip("[]"), port
