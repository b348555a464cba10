"""``causeway connect`` against the running demo: what it says, when it ends, and what it leaves behind."""

import re
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.demo import Demo, clean_environment, in_time, post, wait_until
from tests.e2e.connect import Client, connected
from tests.pipe import Plain
from tests.ports import free_port
from tests.running import ran

NOTICED_SECONDS = 30


def fetch(client: Client, url: str) -> tuple[int, str]:
    """Fetch by stock curl through the local proxy; return status and body."""
    through = ("--proxy", client.proxy, "--write-out", "\n%{http_code}")
    done = ran("curl", "--silent", "--max-time", "20", *through, url)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


@pytest.fixture
def account(demo: Demo) -> dict[str, Any]:
    """Choose an account other than the one whose traffic the demo shows."""
    return dict(demo.world["accounts"][2])


def account_url(admin: httpx.Client, account: dict[str, Any]) -> str:
    page = admin.get(f"/sag/instances/{account['instance']}/accounts/", params={"q": account["username"]})
    found = re.search(rf"{account['username']}.*?/sag/accounts/(user-[0-9a-f]+)/", page.text, re.DOTALL)
    assert found, "the account is on its instance's page"
    return f"/sag/accounts/{found[1]}"


def local_envoys(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["name"]):
        try:
            if "envoy" in (process.info["name"] or "") and process.cwd().startswith(str(folder)):
                found.append(process)
        except psutil.Error:
            continue
    return [process for process in found if process.status() != psutil.STATUS_ZOMBIE]


def test_proxy_and_forwards_work_until_the_user_logs_off(demo: Demo, tmp_path: Path) -> None:
    wiki, echo = free_port(), free_port()
    forwards = ["--forward", f"{wiki}=wiki.corp.example:80"]
    forwards += ["--forward", f"127.0.0.1:{echo}=echo.corp.example:7"]
    with connected(demo, tmp_path, *forwards) as client:
        client.event("ready")
        assert fetch(client, "http://wiki.corp.example/")[0] == 200
        page = httpx.get(f"http://127.0.0.1:{wiki}/", headers={"Host": "wiki.corp.example"})
        assert page.status_code == 200
        with socket.create_connection(("127.0.0.1", echo), timeout=10) as connection:
            connection.sendall(b"hello")
            assert connection.recv(100) == b"hello"
        client.process.send_signal(signal.SIGINT)
        assert client.exit_code() == 0
    names = [event["event"] for event in client.events]
    assert names == ["logged_on", "proxy", "pac", "forward", "forward", "ready", "logged_off"]
    assert client.events[0]["username"] == demo.account()["username"]
    assert all({"event", "time", "message"} <= set(event) for event in client.events)
    assert not local_envoys(tmp_path) and not list(tmp_path.glob("causeway-connect-*"))


def test_an_idle_client_that_is_kicked_is_told_within_seconds(
    demo: Demo, tmp_path: Path, admin: httpx.Client, account: dict[str, Any]
) -> None:
    # On macOS temporary folders have long names; a unix socket's has room for 104 bytes there, 108 on Linux.
    folder = tmp_path / ("long" * 25)
    folder.mkdir()
    with connected(demo, folder, account=account) as client:
        client.event("ready")
        assert post(admin, f"{account_url(admin, account)}/kick/").status_code == 200
        assert client.exit_code(NOTICED_SECONDS) == 3
        assert client.events[-1]["message"] == "This session was ended by an administrator. Log on again."
    assert not local_envoys(tmp_path)


def test_a_disabled_account_is_told_and_cannot_log_on(
    demo: Demo, tmp_path: Path, admin: httpx.Client, account: dict[str, Any]
) -> None:
    url = account_url(admin, account)
    try:
        with connected(demo, tmp_path, account=account) as client:
            client.event("ready")
            assert post(admin, f"{url}/disable/").status_code == 200
            assert client.exit_code(NOTICED_SECONDS) == 3
            assert client.events[-1]["message"] == "This account is disabled. Ask your administrator."
        with connected(demo, tmp_path, account=account) as again:
            assert again.exit_code() == 5
            assert (again.events[-1]["event"], again.events[-1]["code"]) == ("refused", "AccountDisabled")
    finally:
        assert post(admin, f"{url}/enable/").status_code == 200


def test_what_no_policy_allows_is_told(demo: Demo, tmp_path: Path) -> None:
    forward = free_port()
    with connected(demo, tmp_path, "--forward", f"{forward}=nothing.corp.example:22") as client:
        client.event("ready")
        # A clean end would say that all had come.
        with Plain(forward) as flow, pytest.raises(ConnectionResetError):
            flow.receive()
        told = client.event("denied")
    assert (told["host"], told["reason"], told["status"]) == ("nothing.corp.example:22", "NoMatch", 403)
    assert told["message"].startswith("nothing.corp.example:22 was refused: ")


def test_a_killed_client_leaves_no_logged_on_proxy_behind(demo: Demo, tmp_path: Path) -> None:
    with connected(demo, tmp_path) as client:
        client.event("ready")
        assert fetch(client, "http://wiki.corp.example/")[0] == 200
        assert len(local_envoys(tmp_path)) == 1
        client.process.kill()
        wait_until(lambda: not local_envoys(tmp_path), 30, what="the end of the local Envoy")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", client.listen), timeout=2)
        wait_until(lambda: not list(tmp_path.glob("causeway-connect-*")), 30, what="the token's removal")


def test_a_killed_local_envoy_comes_back(demo: Demo, tmp_path: Path) -> None:
    with connected(demo, tmp_path) as client:
        client.event("ready")
        local_envoys(tmp_path)[0].kill()
        assert in_time(lambda: fetch(client, "http://wiki.corp.example/")[0], 200, 30) == 200


@pytest.mark.parametrize(
    "wrong",
    [{"password": "Wrong-password-1"}, {"username": "nobody"}, {"instance": "sag-000000000000000000"}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_wrong_password_user_or_instance_reads_the_same(
    demo: Demo, tmp_path: Path, account: dict[str, Any], wrong: dict[str, str]
) -> None:
    with connected(demo, tmp_path, account=account | wrong) as client:
        assert client.exit_code() == 5
    assert [event["event"] for event in client.events] == ["refused"]
    assert client.events[0]["code"] == "LogonRefused"
    # Nobody learns by the answer which accounts there are.
    assert client.events[0]["message"] == "The instance ID, the user name or the password is wrong."


def test_a_password_in_the_keyring_logs_on(demo: Demo, tmp_path: Path, account: dict[str, Any]) -> None:
    environment = {
        "PYTHON_KEYRING_BACKEND": "keyrings.alt.file.PlaintextKeyring",
        "XDG_DATA_HOME": str(tmp_path / "keyring"),
    }
    # As docs/clients.md says.
    entry = [f"causeway:{demo.console}", f"{account['username']}@{account['instance']}"]
    command = [sys.executable, "-m", "keyring", "set", *entry]
    ran(*command, input=account["password"] + "\n", env=clean_environment() | environment, check=True)
    with connected(demo, tmp_path, "--keyring", account=account, environment=environment) as client:
        client.event("ready")
        assert client.events[0]["username"] == account["username"]
        assert fetch(client, "http://wiki.corp.example/")[0] == 200
