"""Service manager of the demo: starts processes, starts again those that die, stops all processes."""

import logging
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger("demo")
# A killed service comes back after so long, as a production unit would; one that left by itself does not.
RESTART_SECONDS = 3.0
STOP_SECONDS = 12.0
# Ports below the range from which Linux and macOS take ports for outgoing connections.
PORTS = range(15000, 32000)


@dataclass
class Service:
    """Process of the demo; its output goes to ``<home>/log/<name>.log``."""

    name: str
    command: list[str]
    log_file: Path
    sockets: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    restart_at: float | None = None
    stopped: bool = False

    def start(self) -> None:
        self.log_file.parent.mkdir(exist_ok=True)
        with self.log_file.open("ab") as output:
            # A session of its own: a Ctrl-C in the terminal reaches the demo alone, which stops everything in order.
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=self.sockets,
            )
        self.restart_at = None

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0


@dataclass
class Manager:
    home: Path
    on_change: Callable[[], None] = lambda: None
    services: dict[str, Service] = field(default_factory=dict)

    def start(self, name: str, *command: str, sockets: tuple[int, ...] = ()) -> Service:
        """Start ``python …`` as a service that inherits the file descriptors of ``sockets``."""
        service = Service(name, [sys.executable, *command], self.home / "log" / f"{name}.log", sockets)
        self.services[name] = service
        service.start()
        return service

    def pids(self) -> dict[str, int]:
        return {name: service.pid for name, service in self.services.items()}

    def check(self) -> None:
        """Look at every service once: note dead services, start those whose pause is over."""
        for service in self.services.values():
            if service.process is None or service.stopped:
                continue
            if service.restart_at is not None:
                if time.monotonic() >= service.restart_at:
                    service.start()
                    log.info("%s started again (process %d)", service.name, service.pid)
                    self.on_change()
            elif (code := service.process.poll()) is not None:
                service.stopped = code == 0
                service.restart_at = None if service.stopped else time.monotonic() + RESTART_SECONDS
                log.info(
                    "%s ended with code %d%s",
                    service.name,
                    code,
                    "" if service.stopped else "; starting it again",
                )

    def stop(self) -> None:
        """Stop all services, the youngest first; a service that does not leave in time is killed."""
        started = [(s.name, s.process) for s in reversed(self.services.values()) if s.process]
        living = [(name, process) for name, process in started if process.poll() is None]
        for _, process in living:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for name, process in living:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("%s did not stop in time", name)
                process.kill()
                process.wait()


def listening(address: str = "127.0.0.1", preferred: int = 0) -> socket.socket:
    """Return a socket that listens on the preferred port if free, else on a port that no outgoing connection takes."""
    for port in filter(None, [preferred, *random.sample(PORTS, 100)]):
        found = socket.socket()
        # Remains of closed connections must not count as somebody listening, as with all servers.
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((address, port))
            found.listen(256)  # of two demos that bind at once, the one that listens has the port
        except OSError:
            found.close()
            continue
        return found
    raise OSError(f"no free port on {address}")


def free_port(preferred: int = 0) -> int:
    """Return a port of 127.0.0.1 on which nobody listens now."""
    with listening(preferred=preferred) as probe:
        return int(probe.getsockname()[1])
