"""Words of commands besides their results: the log, and a failure as a sentence and an exit code."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from edge.errors import EdgeError


class Problem(EdgeError):
    """Problem that the user can put right; the message is printed as it is."""


@contextlib.contextmanager
def exit_with_sentence() -> Iterator[None]:
    """End with a sentence on standard error, and an exit code other than 0, when the block fails."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("CAUSEWAY_TRACEBACK"):
            raise
        sys.stderr.write(f"{_sentence(error)}\n")
        sys.exit(getattr(error, "exit_code", 1))


def _sentence(error: Exception) -> str:
    if isinstance(error, EdgeError):
        return str(error)
    if isinstance(error, OSError):
        return os_sentence(error)
    return (
        f"This is an error of the program: {type(error).__name__}: {error} (CAUSEWAY_TRACEBACK=1 shows more.)"
    )


def os_sentence(error: OSError) -> str:
    """Return what the operating system said, with the file's name where it named one; our own sentences as they are."""
    if isinstance(error, EdgeError):
        return str(error)
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}."


def start_log(verbose: bool) -> None:
    """Log to standard error; `verbose`: also what only helps to find an error."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


def ca_of(file: Path | None) -> str | None:
    """Return the certificates in the file of ``--ca-file``; None without the option. Raises `Problem` or `OSError`."""
    from edge.outbound.trust import read_ca

    try:
        return None if file is None else read_ca(file)
    except ValueError as error:
        raise Problem(f"--ca-file {file}: {error}.") from None
