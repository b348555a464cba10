"""Free ports for tests: of two that look for one in the same moment, each gets its own."""

import fcntl
import os
import random
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

# Below those that outgoing connections take: nobody takes it between this look and its use.
PORTS = range(15000, 32000)


def free_port() -> int:
    """A free port of 127.0.0.1, for TCP and for UDP.

    Whoever of this user asks next, in whichever process, gets a later one: the last is kept in a file.
    """
    with (Path(tempfile.gettempdir()) / f"causeway-tests-port-{os.geteuid()}").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        start = int(file.read() or random.SystemRandom().randrange(len(PORTS)))
        for number in range(start + 1, start + len(PORTS)):
            port = PORTS[number % len(PORTS)]
            with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, suppress(OSError):
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
                file.truncate(0)
                file.write(str(number % len(PORTS)))
                return port
    raise RuntimeError(f"no free port from {PORTS.start} to {PORTS.stop - 1}")
