"""Marks of this machine and of this start of its agent (`edge.protocol.marks`)."""

import hashlib
import secrets
import socket
from pathlib import Path

from edge.protocol.marks import Marks

MACHINE_ID = Path("/etc/machine-id")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def marks_of_this_start() -> Marks:
    """Make the marks that an agent has until its process ends; none of them is written to the machine's folder."""
    return Marks(secrets.token_hex(12), _digest(MACHINE_ID), _digest(BOOT_ID), socket.gethostname()[:255])


def _digest(file: Path) -> str:
    """Digest an id of the system, which is told to nobody as it stands; empty where there is none."""
    try:
        text = file.read_text().strip()
    except (OSError, ValueError):
        return ""
    return hashlib.sha256(f"causeway {text}".encode()).hexdigest()[:24] if text else ""
