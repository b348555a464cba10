"""The demo's service manager: starts processes, starts again those that die, stops all of them."""

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
# As a production unit would: a killed service comes back after this long, one that left by itself does not.
RESTART_SECONDS = 3.0
STOP_SECONDS = 12.0
# Below the range from which Linux and macOS take ports for outgoing connections.
PORTS = range(15000, 32000)


@dataclass
class Service:
    """One process of the demo; its output goes to ``<home>/log/<name>.log``."""

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
            # Its own session: a Ctrl-C in the terminal reaches the demo alone, which then stops everything in order.
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
        """Start ``python …`` as a service; it inherits the file descriptors of ``sockets``."""
        service = Service(name, [sys.executable, *command], self.home / "log" / f"{name}.log", sockets)
        self.services[name] = service
        service.start()
        return service

    def pids(self) -> dict[str, int]:
        return {name: service.pid for name, service in self.services.items()}

    def check(self) -> None:
        """One look at every service: note the dead, start those whose pause is over."""
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
        """Stop all, the youngest first; whoever does not leave in time is killed."""
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
    """A socket that listens on the preferred port if it is free, else on one that no outgoing connection will take."""
    for port in filter(None, [preferred, *random.sample(PORTS, 100)]):
        found = socket.socket()
        # As servers do: what is left of closed connections does not count as somebody listening.
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((address, port))
            found.listen(256)  # of two that bind at once, the one that listens has the port
        except OSError:
            found.close()
            continue
        return found
    raise OSError(f"no free port on {address}")


def free_port(preferred: int = 0) -> int:
    """A port of 127.0.0.1 on which nobody listens now."""
    with listening(preferred=preferred) as probe:
        return int(probe.getsockname()[1])
