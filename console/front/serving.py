"""The processes of a console with a front: started, looked after, and ended together."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from console.front import BEHIND_FRONT
from console.front.certificate import CertificateFiles, CertificateInvalid
from console.front.envoy import Front, bootstrap
from console.front.granian import behind_front
from console.front.lanes import GATEWAYS, LANES
from edge.envoy.process import environment, envoy_binary
from edge.home import Home

log = logging.getLogger("front")
LOOK_SECONDS = 0.2
CERTIFICATE_LOOKS = 10  # one look at the certificate's files in so many at the processes
# Seconds for requests in hand when told to end, and for processes to go after that.
DRAIN_SECONDS, END_SECONDS = 5.0, 6.0


@dataclass
class Serving:
    """Processes of a console with a front, and the private folder where they meet."""

    front: Front
    certificate: CertificateFiles | None
    workers: int
    folder: Path
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    told_to_end: bool = False

    def run(self) -> int:
        """Serve until told to end, or until a process ends by itself; return the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        try:
            self._prepare()
            self._start_console()
            if not self._watch(until=self._listen):
                return 1
            if not self.told_to_end:
                self._start_envoy()
                if not self._watch():
                    return 1
                self._drain()
            return 0
        except CertificateInvalid as problem:
            log.error("The console cannot be served: %s", problem)
            return 1
        finally:
            self._stop()

    def _end(self, number: int, frame: object) -> None:
        self.told_to_end = True

    def _watch(self, until: Callable[[], bool] = lambda: False) -> bool:
        """Look after the processes until told to end, or `until`; return False when a process ended by itself."""
        looks = 0
        while not self.told_to_end and not until():
            time.sleep(LOOK_SECONDS)
            if not self._all_run():
                return False
            looks += 1
            if looks % CERTIFICATE_LOOKS == 0:
                self._renew()
        return True

    def _all_run(self) -> bool:
        """Tell whether every process runs; name those that have ended."""
        ended = {name: each.returncode for name, each in self.children.items() if each.poll() is not None}
        for name, code in ended.items():
            log.error("%s has ended with code %s, and so the console ends.", name, code)
        return not ended

    def _listen(self) -> bool:
        """Tell whether all processes of the console take calls."""
        return all(_answers(self.folder / f"{lane.process}.sock") for lane in LANES)

    def _prepare(self) -> None:
        """Write what Envoy reads. Raise `CertificateInvalid`."""
        if self.certificate is not None:
            self.certificate.changed()
            self.certificate.give_to_envoy(self.folder)
        Home(self.folder).write_json("bootstrap.json", bootstrap(self.front))

    def _start_console(self) -> None:
        # The front alone reaches the console's sockets, so that its word on a client's address is believed.
        behind = os.environ | {"CAUSEWAY_TRUSTED_PROXY": "1", BEHIND_FRONT: "1"}
        for process in dict.fromkeys(lane.process for lane in LANES):
            lanes = [lane for lane in LANES if lane.process == process]
            workers = self.workers if process == "pages" else 1
            command = behind_front(self.folder / f"{process}.sock", lanes, workers=workers)
            self._spawn(f"The process of {process}", command, behind)

    def _start_envoy(self) -> None:
        envoy = [str(envoy_binary()), "--config-path", "bootstrap.json", "--concurrency", "1"]
        envoy += ["--disable-hot-restart", "--log-level", "warning"]
        self._spawn("Envoy", envoy, environment(), folder=self.folder)

    def _spawn(
        self, name: str, command: list[str], environment: dict[str, str], *, folder: Path | None = None
    ) -> None:
        # A group of its own: a Ctrl-C in the terminal reaches this process alone, which ends the others in order. The
        # session stays one: Linux shares the processors among sessions first, and `nice` counts within each alone.
        self.children[name] = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            process_group=0,
            preexec_fn=_leave_with_parent,
        )

    def _renew(self) -> None:
        """Take over a renewed certificate; one that cannot be used is named, and the one before stays."""
        if self.certificate is None or not self.certificate.changed():
            return
        try:
            self.certificate.give_to_envoy(self.folder)
            log.info("The renewed certificate is in use.")
        except (CertificateInvalid, OSError) as problem:
            log.error("The certificate of before stays in use: %s", problem)

    # -- The end ------------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Take no more connections, and wait for the requests in hand, but not for gateways' long polls."""
        log.info("Told to end: requests in hand are answered first.")
        try:
            self._admin("POST", "/drain_listeners")
            deadline = time.monotonic() + DRAIN_SECONDS
            while time.monotonic() < deadline and self._in_hand() > 0:
                time.sleep(0.05)
        except (OSError, ValueError) as error:
            log.warning("Requests in hand could not be waited for: %s.", error)

    def _in_hand(self) -> int:
        stats = self._admin("GET", "/stats?filter=rq_active")
        counts = dict(line.rsplit(": ", 1) for line in stats.splitlines() if ": " in line)
        polls = int(counts.get(f"cluster.{GATEWAYS.name}.upstream_rq_active", 0))
        return int(counts.get("http.front.downstream_rq_active", 0)) - polls

    def _admin(self, method: str, path: str) -> str:
        """Ask Envoy's admin interface, which is a unix socket in the private folder."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2.0)
            connection.connect(str(self.folder / "admin.sock"))
            connection.sendall(
                f"{method} {path} HTTP/1.1\r\nHost: front\r\nConnection: close\r\n\r\n".encode()
            )
            with connection.makefile("rb") as stream:
                return stream.read().decode()

    def _stop(self) -> None:
        for child in self.children.values():
            if child.poll() is None:
                child.terminate()
        deadline = time.monotonic() + END_SECONDS
        for name, child in self.children.items():
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("%s did not end in time and is killed.", name)
                child.kill()
                child.wait()


def _answers(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
    except OSError:
        return False
    return True


def _leave_with_parent() -> None:
    """Have the system end this child when the front's process is gone, also when it was killed (Linux)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
