"""Run `make demo` as its first user does: wait for `ready`, get the wiki through each gateway, press Ctrl-C.

Only the standard library is used, because a bare machine has nothing else: ``python3 tools/fresh_demo.py``.
"""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

READY_SECONDS = 1800
STOP_SECONDS = 180
URL = "http://wiki.corp.example/"
# The line of the demo's announcement that names its description.
DESCRIPTION = re.compile(r"^  everything  (.+)$", re.M)


def until_ready(demo: subprocess.Popen[str]) -> dict[str, Any]:
    """Repeat what the demo says, with the seconds since its start, and return the description that it names."""
    begun = time.monotonic()
    said = ""
    for line in demo.stdout or ():
        print(f"{time.monotonic() - begun:7.1f}  {line}", end="", flush=True)
        said += line
        if line.startswith("Ctrl-C stops everything"):
            found = DESCRIPTION.search(said)
            if not found or "\nready\n" not in said:
                raise SystemExit("the demo does not say ready, or names no description")
            description: dict[str, Any] = json.loads(Path(found[1]).read_text())
            return description
    raise SystemExit(f"make demo ended before it was ready: exit code {demo.wait()}")


def through(gateway: dict[str, Any], account: dict[str, Any], ca_file: str) -> bytes:
    """Return the head and the body of the wiki's page, as an HTTPS proxy hands it to an account."""
    proxy = urlsplit(gateway["proxy"])
    login = f"{account['username']}@{account['instance']}:{account['password']}".encode()
    request = (
        f"GET {URL} HTTP/1.1\r\nHost: {urlsplit(URL).hostname}\r\nConnection: close\r\n"
        f"Proxy-Authorization: Basic {base64.b64encode(login).decode()}\r\n\r\n"
    )
    trust = ssl.create_default_context(cafile=ca_file)
    answer = b""
    with (
        socket.create_connection((proxy.hostname or "", proxy.port or 443), timeout=30) as plain,
        trust.wrap_socket(plain, server_hostname=proxy.hostname) as stream,
    ):
        stream.sendall(request.encode())
        while part := stream.recv(65536):
            answer += part
    return answer


def fetch_the_wiki(world: dict[str, Any]) -> None:
    """Get the page through every gateway, by an account of its region; anything but 200 ends this program."""
    regions = {instance["id"]: instance["region"] for instance in world["instances"]}
    for gateway in world["gateways"]:
        account = next(a for a in world["accounts"] if regions[a["instance"]] == gateway["region"])
        answer = through(gateway, account, world["ca_file"])
        first = answer.partition(b"\r\n")[0].decode("latin-1")
        print(f"{URL} through the gateway of {gateway['region']}: {first}, {len(answer)} bytes")
        if " 200 " not in f"{first} ":
            raise SystemExit("the wiki was not to be had")


def main() -> None:
    demo = subprocess.Popen(
        ["make", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )

    def too_late(*_: object) -> None:
        raise SystemExit(f"make demo did not say ready within {READY_SECONDS} s")

    signal.signal(signal.SIGALRM, too_late)
    signal.alarm(READY_SECONDS)
    try:
        world = until_ready(demo)
        signal.alarm(0)
        fetch_the_wiki(world)
    finally:
        # To the whole group, as a terminal does it.
        os.killpg(demo.pid, signal.SIGINT)
        rest, _ = demo.communicate(timeout=STOP_SECONDS)
        print(rest, end="")
    if "stopping" not in rest or "Traceback" in rest:
        raise SystemExit("Ctrl-C did not end the demo in order")
    print(f"stopped by Ctrl-C: exit code {demo.returncode}")


if __name__ == "__main__":
    main()
