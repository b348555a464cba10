"""A console's environment file: ``NAME=value`` in lines, read as systemd's ``EnvironmentFile=`` reads such a file.

What is written here means the same to systemd, to a shell (``set -a; . FILE``) and to `parse`.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from edge.home import Home

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Text that no reader takes for anything else.
PLAIN = re.compile(r"[A-Za-z0-9_.,:/@%+=-]*")
# Signs that a backslash takes the meaning from, between double quotes.
ESCAPED = re.compile(r'(["\\`$])')
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
COMMENT = re.compile(r"[#;](?:\\.|[^\n\\])*", re.DOTALL)
PIECE = re.compile(
    r"""(?P<blank>[ \t\r]+)
    |'(?P<single>[^']*)'
    |"(?P<double>(?:[^"\\]|\\.)*)"
    |(?P<bare>(?:\\.|[^\n\\'"])(?:\\.|[^\n\\])*)""",
    re.DOTALL | re.VERBOSE,
)


class EnvironmentFileInvalid(Exception):
    """Failure to read or write an environment file; the message names the file, the line and what is wrong there."""


def line(name: str, value: str) -> str:
    """Return the line of one variable. Raise `EnvironmentFileInvalid` for a sign that no line can hold."""
    if CONTROL.search(value):
        raise EnvironmentFileInvalid(f"{name} holds a line break or another sign that cannot be written.")
    written = value if PLAIN.fullmatch(value) else '"' + ESCAPED.sub(r"\\\1", value) + '"'
    return f"{name}={written}\n"


def text(variables: Mapping[str, str]) -> str:
    return "".join(line(name, value) for name, value in variables.items())


def parse(content: str) -> dict[str, str]:
    """Return the variables of a file's text. Raise `EnvironmentFileInvalid`, which names the first line that is wrong.

    systemd passes over a line that is no assignment, so that a setting would be missing without a word.
    """
    found: dict[str, str] = {}
    at = 0
    while at < len(content):
        if content[at] in " \t\r\n":
            at += 1
        elif comment := COMMENT.match(content, at):
            at = comment.end()
        else:
            name, sign, _ = content[at:].partition("\n")[0].partition("=")
            if not sign or not NAME.fullmatch(name.rstrip()):
                number = content.count("\n", 0, at) + 1
                raise EnvironmentFileInvalid(f"line {number} is no assignment such as NAME=value.")
            found[name.rstrip()], at = _value(content, at + len(name) + 1)
    return found


def _value(content: str, at: int) -> tuple[str, int]:
    """Return the value that begins at a place of the text, and where the value ends."""
    value = ""
    begun = at
    while at < len(content) and content[at] != "\n":
        piece = PIECE.match(content, at)
        if piece is None:
            number = content.count("\n", 0, begun) + 1
            raise EnvironmentFileInvalid(
                f"line {number} has a quotation mark or a backslash with nothing behind."
            )
        at = piece.end()
        value += _meant(piece)
    return value, at


def _meant(piece: re.Match[str]) -> str:
    if (single := piece["single"]) is not None:
        return single
    if (double := piece["double"]) is not None:
        return re.sub(r'\\(?:(["\\`$])|\n)', lambda found: found[1] or "", double)
    signs = re.findall(r"\\.|[^\\]", piece["bare"] or "", re.DOTALL)
    while signs and signs[-1].isspace():
        signs.pop()
    return "".join(sign if len(sign) == 1 else sign[1].strip("\n") for sign in signs)


def read(file: Path) -> dict[str, str]:
    """Return the variables of a file. Raise `EnvironmentFileInvalid`."""
    try:
        return parse(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise EnvironmentFileInvalid(f"{file} is not written in UTF-8.") from None
    except OSError as error:
        raise EnvironmentFileInvalid(f"{file} cannot be read: {error.strerror}.") from None
    except EnvironmentFileInvalid as wrong:
        raise EnvironmentFileInvalid(f"{file}: {wrong}") from None


def write(file: Path, variables: Mapping[str, str], heading: str) -> None:
    """Replace a file by one rename; the file is its owner's alone. ``heading``: comment above the variables."""
    content = "".join(f"# {each}\n" for each in heading.splitlines()) + text(variables)
    Home(file.parent).write_atomic(file.name, content.encode())
