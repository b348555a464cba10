"""What an operator does by hand on a server: look, pack the logs, take it away."""

from __future__ import annotations

import contextlib
import io
import json
import platform
import shutil
import tarfile
from pathlib import Path

from edge import version
from edge.enrollment import CERTIFICATES, CONFIGURATION, renewal_due
from edge.envoy.process import EnvoyError, EnvoyProcess
from edge.home import Home

LOGS = (
    "envoy/envoy.log",
    "envoy/envoy.log.1",
    "envoy/routes.json",
    "envoy/clusters.json",
    "envoy/listeners.json",
)


async def status_lines(home: Home) -> tuple[bool, list[str]]:
    """Return whether Envoy answers, and lines for a person. Raises `edge.home.NotEnrolled`."""
    identity = home.identity
    configuration = home.read_json(CONFIGURATION[identity.kind])
    running = False
    with contextlib.suppress(EnvoyError):
        running = (await EnvoyProcess(home.file("envoy")).admin("/ready")).strip() == "LIVE"
    lines = [
        f"{identity.kind.capitalize()} {identity.id}"
        + (f" of {identity.connector}" if identity.connector else "")
    ]
    lines.append(f"Console: {identity.console}")
    lines.append(f"Configuration: {configuration['version'] if configuration else 'none yet'}")
    with contextlib.suppress(OSError, KeyError, ValueError):
        lines.append(f"Certificates are renewed from: {renewal_due(home):%Y-%m-%d %H:%M} UTC")
    lines.append(f"Envoy: {'running' if running else 'not running'}")
    return running, lines


def export_logs(home: Home, output: Path) -> None:
    """Write a tar.gz with logs, configuration and versions; never a key. Raises `edge.home.NotEnrolled`, OSError."""
    identity = home.identity
    facts = {
        "id": identity.id,
        "version": version(),
        "system": platform.platform(),
        "console": identity.console,
    }
    names = [
        *LOGS,
        CONFIGURATION[identity.kind],
        *(f"pki/{name}.pem" for name in CERTIFICATES[identity.kind]),
    ]
    with tarfile.open(output, "w:gz", dereference=True) as archive:
        for name in names:
            if home.file(name).is_file():
                archive.add(home.file(name), arcname=f"{identity.id}/{name}")
        data = json.dumps(facts, indent=1).encode()
        entry = tarfile.TarInfo(f"{identity.id}/facts.json")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))


async def uninstall(home: Home) -> None:
    """End Envoy and remove the folder's keys, certificates, configuration and spool."""
    await EnvoyProcess(home.file("envoy")).end_all()
    for name in ("pki", "envoy"):
        shutil.rmtree(home.file(name), ignore_errors=True)
    for file in home.path.glob("telemetry.*"):
        file.unlink()
    for name in (*CONFIGURATION.values(), "identity.json"):
        home.file(name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        home.path.rmdir()  # only when nothing else is in it
