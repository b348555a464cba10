"""What other programs make of the same cells: squid and tinyproxy as HTTP/1.1 proxies, where they are installed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial

from bench.processes import Processes, answers, free_ports, wait_for
from tests.pipe import Proxied, Way

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
    """Start what there is; give its ways to the origin."""
    found: dict[str, Callable[[], Way]] = {}
    programs = {"squid": (SQUID, ["-N", "-f"]), "tinyproxy": (TINYPROXY, ["-d", "-c"])}
    for name, (configuration, options) in programs.items():
        program = shutil.which(name) or shutil.which(name, path="/usr/sbin")
        if program is None:
            print(f"{name} is not installed")
            continue
        (port,) = free_ports(1)
        processes.folder.chmod(0o777)  # squid gives up its rights
        file = processes.folder / f"{name}.conf"
        file.write_text(configuration.format(port=port, folder=processes.folder))
        processes.start([program, *options, file], log=f"{name}.log")
        wait_for(lambda port=port: answers(port, b""), READY_SECONDS, name)  # type: ignore[misc]
        found[name] = partial(Proxied, port, f"127.0.0.1:{origin_port}")
    return found
