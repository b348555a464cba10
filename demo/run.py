"""Run of the demo from start to stop: database, records, processes, ``ready``, and an orderly end."""

import importlib.util
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from demo import leftovers
from demo.environment import ROOT, Options
from demo.services import Manager

log = logging.getLogger("demo")
READY_SECONDS = 90.0


def run(options: Options) -> int:
    """Run the demo until Ctrl-C; returns the exit code."""
    speak()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if count := leftovers.stop(options.home):
        log.info("Stopped %d processes of an earlier demo.", count)
    manager = Manager(options.home)
    try:
        start(options, manager, stop)
        while not stop.wait(0.25):
            manager.check()
    except DemoFailed as failure:
        log.error("%s", failure)
        return 1
    finally:
        log.info("stopping")
        manager.stop()
        leftovers.stop(options.home)
    return 0


def speak() -> None:
    """Send the demo's own words to the terminal as they are; Django's log, set up later, does not repeat the words."""
    to_terminal = logging.StreamHandler(sys.stdout)
    to_terminal.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(to_terminal)
    log.setLevel(logging.INFO)
    log.propagate = False


class DemoFailed(Exception):
    """Failure of the demo to start: names what did not come up, and its log."""


def start(options: Options, manager: Manager, stop: threading.Event) -> None:
    import django

    django.setup()
    from django.core.management import call_command

    from demo import world

    call_command("migrate", verbosity=0)
    with ThreadPoolExecutor(1) as pool:
        built = pool.submit(static_and_wheel, options.home)
        made = world.create(options)
        built.result()
    # Without TLS, since no browser knows the demo's CA; all else is as on the internet.
    manager.start("console", "manage.py", "serve", "--front", f"--port={options.port}")
    manager.start("worker", "manage.py", "worker")
    descriptors = tuple(each.fileno() for each in made.sockets.values())
    manager.start(
        "applications", "-m", "demo.applications", *made.application_arguments(), sockets=descriptors
    )
    wait_for(stop, "the console", lambda: httpx.get(f"{options.url}/healthz", timeout=2).status_code == 200)
    # A server whose first dial finds nobody tries again only after 10 s, so the gateways come first.
    for kind in ("gateway", "connector"):
        for machine in made.of_kind(kind):
            world.enroll(machine, options.url)
            manager.start(machine.id, "-m", "edge.cli", kind, "run", "--home", str(machine.home))
        wait_for(stop, "the gateways", made.gateways_listen)

    def write() -> None:
        world.write_atomic(options.home / "demo.json", json.dumps(made.description(manager.pids()), indent=2))

    manager.on_change = write
    write()
    wait_for(stop, "the tunnels", made.all_tunnels_stand)
    wait_for(stop, "the gateways", made.wiki_answers)
    manager.start("traffic", "-m", "demo.traffic", str(options.home / "demo.json"))
    write()
    announce(made.description(manager.pids()), options.home)


def wait_for(stop: threading.Event, what: str, condition: Any) -> None:
    """Look again and again until the condition holds. Raises ``DemoFailed`` when time runs out first."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except (httpx.HTTPError, OSError):
            pass
        if stop.wait(0.1):
            raise DemoFailed("stopped before it was ready")
    raise DemoFailed(
        f"{what} did not come up within {READY_SECONDS:.0f} s; the logs are in {os.environ['CAUSEWAY_STATE_DIR']}/log"
    )


def static_and_wheel(home: Path) -> None:
    """Collect the static files and build the wheel that servers install; each only when sources are newer."""
    from django.core.management import call_command

    if is_older([home / "static" / "staticfiles.json"], ["static", "pyproject.toml"]):
        call_command("collectstatic", interactive=False, verbosity=0)
    sources = ["edge", "console", "causeway_console", "roaming", "connectors"]
    sources += ["templates", "static", "deploy", "pyproject.toml"]
    if is_older(list((home / "wheel").glob("causeway-*.whl")), sources):
        # Without the builder at hand, pip fetches the builder into an environment of its own, which takes far longer.
        here = ["--no-build-isolation"] if importlib.util.find_spec("hatchling") else []
        pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", *here]
        built = subprocess.run(
            [*pip, "-w", str(home / "wheel"), str(ROOT)],
            capture_output=True,
            text=True,
            check=False,
        )
        if built.returncode:
            log.warning("The wheel for the Deploy panel could not be built: %s", built.stderr.strip()[-300:])


def is_older(made: list[Path], sources: list[str]) -> bool:
    """Tell whether a file of ``made`` is missing or older than a file of ``sources`` (names in the checkout)."""
    files = [
        file for name in sources for file in [ROOT / name, *(ROOT / name).rglob("*")] if file.suffix != ".pyc"
    ]
    newest = max(file.stat().st_mtime for file in files if file.is_file())
    return not made or not all(file.exists() and file.stat().st_mtime >= newest for file in made)


def announce(description: dict[str, Any], home: Path) -> None:
    admin = description["admin"]
    account = description["accounts"][0]
    gateway = description["gateways"][0]
    wiki = description["applications"][0]
    log.info("ready")
    log.info(
        "  console     %s   log in as %s with %s",
        description["console"],
        admin["username"],
        admin["password"],
    )
    for each in description["gateways"]:
        log.info("  gateway     %s   %s (%s)", each["proxy"], each["area"], each["region"])
    if not description["cloud_services"]:
        log.info("  cloud networks are left out: this system knows no loopback address but 127.0.0.1")
    log.info("  everything  %s", home / "demo.json")
    log.info("  try         curl --proxy %s --proxy-cacert %s \\", gateway["proxy"], description["ca_file"])
    log.info(
        "                --proxy-user '%s@%s:%s' \\",
        account["username"],
        account["instance"],
        account["password"],
    )
    log.info("                http://%s/", wiki["host"])
    log.info("Ctrl-C stops everything.")
