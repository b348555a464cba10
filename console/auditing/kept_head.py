"""Head of the audit's chain as this host saw it last, in a file beside the database: rows cut off at the end show."""

import logging
import os
from pathlib import Path

from django.conf import settings

from console.core import audit_chain
from console.machines.stamp import file_of_this_host

log = logging.getLogger("causeway.audit")


def file() -> Path | None:
    """Return the file's path; None where the settings name no folder, or the folder is not there."""
    if not settings.EPOCH_STAMPS or not Path(settings.EPOCH_STAMPS).is_dir():
        return None
    named = file_of_this_host(settings.EPOCH_STAMPS)
    return named.with_name(named.name.replace("epoch-", "audit-head-").replace(".json", ".txt"))


def read() -> str:
    """Return the kept head; "" where none is kept."""
    where = file()
    try:
        return where.read_text(errors="replace").strip() if where else ""
    except OSError:
        return ""


def wrong() -> str:
    """Compare the kept head with the table; return what is wrong, or "" where nothing is or no head is kept."""
    head = read()
    return audit_chain.compared(head) if head else ""


def keep(head: str) -> None:
    """Write a head down. A disk that does not take the file is named in the log and hinders nothing."""
    if (where := file()) is None:
        return
    written = where.with_suffix(f".{os.getpid()}")
    try:
        written.touch(0o600)
        written.write_text(head + "\n")
        written.replace(where)
    except OSError as error:
        log.warning("The head of the audit cannot be kept in %s: %s", where, error)
