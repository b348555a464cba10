"""Password of the user: from the terminal, a file, or the system's keyring. Never from an argument."""

from __future__ import annotations

import getpass
import shlex
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from edge.client.options import OptionError, Options
from edge.errors import EdgeError

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

# Into the very Python that runs this. Not causeway[keyring]: another Python's pip would fetch a stranger's "causeway".
GET_IT = shlex.join([sys.executable, "-m", "pip", "install", "keyring"])


class KeyringProblem(EdgeError):
    """Failure of a keyring to give or take a password; the message is a sentence."""


@dataclass(frozen=True)
class Entry:
    """Place in the keyring: one for each console, instance and user. No instance's id has an ``@``."""

    service: str
    username: str

    @classmethod
    def of(cls, options: Options) -> Entry:
        # One spelling of the address: HTTPS://Console.example.com:443/ is the console https://console.example.com.
        console = str(httpx.URL(options.console)).rstrip("/")
        return cls(f"causeway:{console}", f"{options.username}@{options.instance}")

    def command(self, verb: str) -> str:
        """Return the command of the keyring's own program that does `verb` (``set`` or ``del``) with this entry."""
        program = ["keyring"] if shutil.which("keyring") else [sys.executable, "-m", "keyring"]
        return shlex.join([*program, verb, self.service, self.username])


@dataclass(frozen=True)
class Password:
    """Password of the user, in the keyring's `entry` if any: `stored`, or to be stored once the console accepts."""

    text: str = field(repr=False)
    entry: Entry | None = None
    stored: bool = False


def read_password(options: Options, *, file: Path | None, keyring: bool) -> Password:
    """Return the user's password; ask at the terminal when neither a file nor the keyring has one.

    Raises `OptionError` (what was asked for cannot be done), `KeyringProblem` or `OSError` (the file).
    """
    if file is not None and keyring:
        raise OptionError("--keyring and --password-file exclude each other: give one of them.")
    if file is not None:
        return Password(_first_line(file))
    if not keyring:
        return Password(_ask(options, "", "give --password-file FILE or --keyring."))
    entry = Entry.of(options)
    with _problems("could not be read"):
        kept = _backend().get_password(entry.service, entry.username)
    if kept:
        return Password(kept, entry, stored=True)
    asked = _ask(
        options, ", kept in the keyring once it is accepted", f"put it in with: {entry.command('set')}"
    )
    return Password(asked, entry)


def save(password: Password) -> None:
    """Put an accepted password into its place in the keyring. Raises `KeyringProblem`."""
    assert password.entry is not None  # noqa: S101 (nothing else is ever saved)
    with _problems("did not take the password"):
        _backend().set_password(password.entry.service, password.entry.username, password.text)


def _first_line(file: Path) -> str:
    try:
        with nullcontext(sys.stdin) if str(file) == "-" else file.open(encoding="utf-8") as lines:
            text = lines.readline().rstrip("\r\n")
    except UnicodeDecodeError:
        raise OptionError(f"--password-file {file}: the file is not text in UTF-8.") from None
    if not text:
        raise OptionError(f"--password-file {file}: its first line, which is to be the password, is empty.")
    return text


def _ask(options: Options, note: str, otherwise: str) -> str:
    """Ask at the terminal. `otherwise`: what to do where there is none."""
    with warnings.catch_warnings():
        # A terminal that would show the typed password is not asked.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            text = getpass.getpass(f"Password of {options.username}@{options.instance}{note}: ")
        except getpass.GetPassWarning:
            raise OptionError(f"There is no terminal to ask for the password at: {otherwise}") from None
        except EOFError:
            text = ""
    if not text:
        raise OptionError("No password was given. Run the command again and type the password.")
    return text


def _backend() -> KeyringBackend:
    try:
        import keyring.backends.fail
        import keyring.backends.null
        import keyring.core
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "keyring":
            raise
        raise OptionError(f"--keyring needs a package that is not installed. Get it with: {GET_IT}") from None
    # A keyring that keeps passwords in the clear is used only when named (PYTHON_KEYRING_BACKEND, keyringrc.cfg).
    keyring.core.init_backend(limit=keyring.core.recommended)
    found = keyring.core.get_keyring()
    if isinstance(found, (keyring.backends.fail.Keyring, keyring.backends.null.Keyring)):
        raise KeyringProblem(
            "This machine has no keyring, or the keyring is switched off: leave --keyring out."
        )
    return found


@contextmanager
def _problems(what: str) -> Iterator[None]:
    """Turn any error of a keyring into one sentence: each kind of keyring raises errors of its own."""
    try:
        yield
    except (OptionError, KeyringProblem):
        raise
    except Exception as error:
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise KeyringProblem(f"The keyring {what}: {reason}. Unlock it, or leave --keyring out.") from error
