"""Chain of OpenSSH: ``ssh -R`` from the connector's side, ``ssh -L`` from the client's, a private sshd between.

Ciphers are OpenSSH's own choice, keys are made for this run, and all goes over loopback.
"""

import getpass
import os
import shutil
import subprocess
from pathlib import Path

from bench.processes import Processes, answers
from bench.traffic import GREETING
from tests.demo import wait_until
from tests.ports import free_port

READY_SECONDS = 20
CONFIGURATION = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowTcpForwarding yes
LogLevel ERROR
"""


def missing_programs() -> list[str]:
    """Return which of the needed programs are not on this machine."""
    return [name for name in ("ssh", "ssh-keygen", "sshd") if not _program(name)]


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")


def _make_key(path: Path) -> None:
    command = [_program("ssh-keygen") or "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def start_ssh_chain(processes: Processes, sink_port: int, greeting: bytes = GREETING) -> int:
    """Start sshd and both clients; return the port at which the way to the sink begins, once the way reaches through.

    `greeting`: what the sink says first to everybody who connects; empty for a sink that waits.
    """
    folder = processes.folder
    for name in ("host", "user"):
        _make_key(folder / name)
    (folder / "authorized").write_bytes((folder / "user.pub").read_bytes())
    port, middle, first = free_port(), free_port(), free_port()
    (folder / "sshd_config").write_text(CONFIGURATION.format(port=port, folder=folder))
    if os.geteuid() == 0:
        # Debian's sshd, run by root, locks its unprivileged part in this folder, which else only the service makes.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    processes.start([_program("sshd") or "sshd", "-D", "-e", "-f", folder / "sshd_config"], log="sshd.log")
    host_key = (folder / "host.pub").read_text()
    (folder / "known").write_text(f"[127.0.0.1]:{port} {host_key}")
    client: list[str | Path] = [_program("ssh") or "ssh", "-N", "-F", "none", "-p", str(port)]
    client += ["-i", folder / "user"]
    for option in (f"UserKnownHostsFile={folder}/known", "BatchMode=yes", "ExitOnForwardFailure=yes"):
        client += ["-o", option]
    target = f"{getpass.getuser()}@127.0.0.1"

    def connect(name: str, forward: list[str], reached: int, said: bytes) -> None:
        wait_until(lambda: answers(port, b"SSH-"), READY_SECONDS, what="sshd")
        processes.start([*client, *forward, target], log=f"{name}.log")
        wait_until(lambda: answers(reached, said), READY_SECONDS, what=f"ssh (logs in {folder})")

    connect("connector", ["-R", f"127.0.0.1:{middle}:127.0.0.1:{sink_port}"], middle, greeting)
    connect("client", ["-L", f"127.0.0.1:{first}:127.0.0.1:{middle}"], first, greeting)
    return first
