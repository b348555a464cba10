"""A copied home at work: two real agents, a console that names both, an alert, a choice, and one that enrolls anew."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from edge.home import Home
from tests.console.front.served import ROOT, Served
from tests.ending import ended
from tests.running import ran

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(600)]
PASSWORD = "a-long-password-of-tests"
MORE = f"""
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "console.settings"
django.setup()
from pathlib import Path
from connectors.fleet import services
from console.core import audit, people
from console.machines import enrollment
from console.models import Region
actor = audit.System("test")
people.user_create(username="olga", password="{PASSWORD}", role="operator", actor=actor)
region = Region.objects.get(pk="cn-shanghai")
office = services.connector_create(name="office", region=region, enabled=True, actor=actor)
for number in range(2):
    code, _ = enrollment.code_create(kind="server", target=office.pk, actor=actor)
    Path(os.environ["CAUSEWAY_STATE_DIR"], f"code-{{number}}").write_text(code)
Path(os.environ["CAUSEWAY_STATE_DIR"], "connector").write_text(office.pk)
"""
EVALUATE = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "console.settings"
django.setup()
from connectors.alerts import evaluation
evaluation.evaluate()
"""


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path / "console", tls=False)
    made.make()
    subprocess.run([sys.executable, "-c", MORE], cwd=ROOT, env=made.environment, check=True)
    with made.running("--workers=1"):
        yield made


def enrolled(console: Served, home: Path, number: int) -> None:
    code = (console.folder / f"code-{number}").read_text()
    command = [sys.executable, "-m", "edge.cli", "connector", "enroll", "--console", console.url]
    made = ran(*command, "--home", str(home), cwd=ROOT, env={**os.environ, "CAUSEWAY_CODE": code})
    assert made.returncode == 0, made.stderr


def agent(home: Path, host: str) -> subprocess.Popen[bytes]:
    """Start an agent under a host name of its own, where the system lets a test have one."""
    command = [
        sys.executable,
        "-m",
        "edge.cli",
        "connector",
        "run",
        "--concurrency",
        "1",
        "--home",
        str(home),
    ]
    named = ["unshare", "--uts", "sh", "-c", f'hostname {host} && exec "$@"', "sh"]
    prefix = named if ran("unshare", "--uts", "true").returncode == 0 else []
    with (home.parent / f"{home.name}.log").open("ab") as log:
        return subprocess.Popen([*prefix, *command], cwd=ROOT, stdout=log, stderr=log)


@contextmanager
def logged_in(console: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=console.url, timeout=60, trust_env=False, follow_redirects=True) as client:
        client.get("/log-in/")
        told = {"username": "olga", "password": PASSWORD, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
        assert client.post("/log-in/", data=told).status_code == 200
        yield client


def test_a_copied_home_is_noticed_and_one_of_the_two_enrolls_anew(console: Served, tmp_path: Path) -> None:
    right, copy = tmp_path / "right", tmp_path / "copy"
    enrolled(console, right, 0)
    shutil.copytree(right, copy)
    identity = Home(right).identity
    office = (console.folder / "connector").read_text()
    page = f"/sase/connectors/{office}/servers/"
    with ExitStack() as running, logged_in(console) as browser:
        first = running.enter_context(ended(agent(right, "right-host")))
        starts = "SELECT count(*) FROM console_agentstart"
        console.until(lambda: console.rows(starts) == [(1,)], "the first is heard")
        second = running.enter_context(ended(agent(copy, "copied-host")))
        console.until(lambda: "Two machines in one" in browser.get(page).text, "the page names two machines")
        if os.geteuid() == 0:
            text = browser.get(page).text
            assert "right-host" in text and "copied-host" in text
        subprocess.run([sys.executable, "-c", EVALUATE], cwd=ROOT, env=console.environment, check=True)
        assert console.rows("SELECT state FROM connectors_alert WHERE kind = 'clone'") == [("firing",)]

        # The copy began last: of the two rows it is the younger.
        number = console.rows("SELECT id FROM console_agentstart ORDER BY since DESC, id DESC")[0][0]
        token = {"csrfmiddlewaretoken": browser.cookies["csrftoken"], "next": page}
        answer = browser.post(f"/machines/{identity.id}/copies/{number}/enroll-anew/", data=token)
        assert "has to enroll anew" in answer.text
        console.until(lambda: second.poll() is not None, "the copy's agent ends")
        assert second.returncode == 4
        assert "run that command here" in (tmp_path / "copy.log").read_text()
        assert not Home(copy).enrolled and Home(right).enrolled

        enrolled(console, copy, 1)
        assert Home(copy).identity.id != identity.id and not Home(copy).refusal
        running.enter_context(ended(agent(copy, "copied-host")))
        heard = (
            "SELECT count(*) FROM connectors_server WHERE heard_at IS NOT NULL AND envoy_state = 'running'"
        )
        console.until(lambda: console.rows(heard) == [(2,)], "both are heard, each as itself")
        assert first.poll() is None
        first.send_signal(signal.SIGTERM)
        assert first.wait(timeout=60) == 0
