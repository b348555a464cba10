"""Other programs that carry the same cells, where the programs are installed.

OpenSSH (``-R`` from the application's side, ``-L`` from the client's), squid and tinyproxy as HTTP/1.1 proxies.
"""

import shutil
from collections.abc import Callable
from functools import partial

from bench.processes import Processes, answers
from bench.ssh_chain import missing_programs, start_ssh_chain
from tests.demo import wait_until
from tests.pipe import Plain, Proxied, Way
from tests.pipe_demo import request_by_proxy
from tests.ports import free_port

READY_SECONDS = 20
SQUID = """\
http_port 127.0.0.1:{port}
http_access allow all
cache deny all
pid_filename none
access_log none
cache_log {folder}/squid.txt
cache_store_log none
coredump_dir {folder}
shutdown_lifetime 0 seconds
"""
TINYPROXY = """\
Port {port}
Listen 127.0.0.1
Timeout 60
MaxClients 50
Allow 127.0.0.1
LogLevel Error
LogFile "{folder}/tinyproxy.txt"
"""


def others(processes: Processes, origin_port: int) -> dict[str, Callable[[], Way]]:
    """Start the programs that are installed; return their ways to the origin by name."""
    found: dict[str, Callable[[], Way]] = {}
    if missing := missing_programs():
        print(f"not installed: {', '.join(missing)}")
    else:
        found["ssh -L"] = partial(Plain, start_ssh_chain(processes, origin_port, b""))
    programs = {"squid": (SQUID, ["-N", "-f"]), "tinyproxy": (TINYPROXY, ["-d", "-c"])}
    for name, (configuration, options) in programs.items():
        program = shutil.which(name) or shutil.which(name, path="/usr/sbin")
        if program is None:
            print(f"{name} is not installed")
            continue
        port = free_port()
        processes.folder.chmod(0o777)  # squid gives up root's rights, and still writes here
        file = processes.folder / f"{name}.conf"
        file.write_text(configuration.format(port=port, folder=processes.folder))
        processes.start([program, *options, file], log=f"{name}.log")
        wait_until(lambda port=port: answers(port, b""), READY_SECONDS, what=name)  # type: ignore[misc]
        authority = f"127.0.0.1:{origin_port}"
        found[name] = partial(Proxied, port, authority)
        found[f"http {name}"] = partial(request_by_proxy, port, authority)
    return found
