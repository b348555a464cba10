"""The recipes of docs/clients.md, with the real programs, through the running demo."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest
from playwright.sync_api import Playwright

from tests.browser import ARGUMENTS, find_chromium
from tests.demo import Demo, clean_environment
from tests.e2e.connect import connected
from tests.e2e.recipes import (
    database_server,
    documented_script,
    git_server,
    netcat,
    program,
    published,
    run,
    ssh_options,
    ssh_server,
    stamp,
)
from tests.ports import free_port


@pytest.fixture
def repository(demo: Demo, tmp_path: Path) -> Iterator[str]:
    with git_server(tmp_path) as origin, published(demo, "git", 80, origin) as host:
        yield f"http://{host}/code.git"


@pytest.fixture
def ssh_host(demo: Demo, tmp_path: Path) -> Iterator[str]:
    program("ssh")
    with ssh_server(tmp_path) as origin, published(demo, "ssh", 22, origin) as host:
        yield host


def test_the_program_comes_from_the_console(demo: Demo, tmp_path: Path) -> None:
    script = httpx.get(f"{demo.console}/deploy/connector.sh").text
    wheel = re.search(r"^WHEEL_URL='(.+)'$", script, re.MULTILINE)
    assert wheel and wheel[1].startswith(f"{demo.console}/deploy/causeway-"), (
        "where docs/clients.md says it is"
    )
    # Only this package: its needs are asked of the index by the tests of deployment and of macOS.
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet"]
    run(*pip, "--report", tmp_path / "report.json", f"causeway[keyring] @ {wheel[1]}")
    found = json.loads((tmp_path / "report.json").read_text())["install"]
    assert [each["metadata"]["name"] for each in found] == ["causeway"]
    assert "keyring" in found[0]["metadata"]["provides_extra"]


def test_curl_through_the_gateway_and_through_connect(demo: Demo, tmp_path: Path) -> None:
    demo.servers_follow()
    assert demo.curl("http://wiki.corp.example/").status == 200
    with connected(demo, tmp_path) as client:
        client.event("ready")
        through = {"http_proxy": client.proxy}
        page = run(program("curl"), "-fsS", "http://wiki.corp.example/", env=clean_environment() | through)
    assert "wiki" in page


def test_git_through_connect(demo: Demo, tmp_path: Path, repository: str) -> None:
    with connected(demo, tmp_path) as client:
        client.event("ready")
        run(program("git"), "-c", f"http.proxy={client.proxy}", "clone", "-q", repository, tmp_path / "copy")
    assert (tmp_path / "copy" / "README").read_text() == "the head office's code\n"


def test_git_through_the_gateway(demo: Demo, tmp_path: Path, repository: str) -> None:
    account, gateway = demo.account(), urlsplit(demo.gateway()["proxy"])
    (tmp_path / "password").write_text(account["password"])
    ask = tmp_path / "ask"
    ask.write_text(f"#!/bin/sh\ncat '{tmp_path}/password'\n")
    ask.chmod(0o700)
    user = quote(f"{account['username']}@{account['instance']}", safe="")
    options = {
        "http.proxy": f"https://{user}@{gateway.netloc}",
        "http.proxySSLCAInfo": demo.world["ca_file"],
        "http.proxyAuthMethod": "basic",
        "credential.helper": "",
    }
    given = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    environment = clean_environment() | {"GIT_ASKPASS": str(ask), "GIT_TERMINAL_PROMPT": "0"}
    run(program("git"), *given, "clone", "-q", repository, tmp_path / "copy", env=environment)
    assert (tmp_path / "copy" / "README").exists()


def test_ssh_through_a_forward(demo: Demo, tmp_path: Path, ssh_host: str) -> None:
    word, port = stamp(), free_port()
    with connected(demo, tmp_path, "--forward", f"{port}={ssh_host}:22") as client:
        client.event("ready")
        options = ssh_options(tmp_path, ssh_host)
        assert run(program("ssh"), *options, "-p", str(port), "127.0.0.1", f"echo {word}").strip() == word


def test_ssh_through_the_gateway_by_the_documented_script(demo: Demo, tmp_path: Path, ssh_host: str) -> None:
    program("openssl")
    account, word = demo.account(), stamp()
    user = f"{account['username']}@{account['instance']}:{account['password']}"
    (tmp_path / "credentials").write_text(user + "\n")
    script = tmp_path / "through-gateway"
    script.write_text(documented_script())
    script.chmod(0o700)
    gateway = urlsplit(demo.gateway()["proxy"])
    environment = clean_environment() | {
        "CAUSEWAY_GATEWAY": gateway.netloc,
        "CAUSEWAY_CA": demo.world["ca_file"],
        "CAUSEWAY_CREDENTIALS": str(tmp_path / "credentials"),
    }
    options = [*ssh_options(tmp_path, ssh_host), "-o", f"ProxyCommand={script} %h %p"]
    assert run(program("ssh"), *options, ssh_host, f"echo {word}", env=environment).strip() == word
    # All 256 bytes, and more than one window: nothing in between reads along.
    data = bytes(range(256)) * 4096
    command = [program("ssh"), *options, ssh_host, "cat"]
    copied = subprocess.run(command, input=data, env=environment, capture_output=True, timeout=40, check=True)
    assert copied.stdout == data


def test_ssh_through_connect_by_netcat(demo: Demo, tmp_path: Path, ssh_host: str) -> None:
    nc, word = netcat(), stamp()
    with connected(demo, tmp_path) as client:
        client.event("ready")
        proxy = f"ProxyCommand={nc} -X connect -x 127.0.0.1:{client.listen} %h %p"
        options = [*ssh_options(tmp_path, ssh_host), "-o", proxy]
        assert run(program("ssh"), *options, ssh_host, f"echo {word}").strip() == word


def test_psql_through_a_forward(demo: Demo, tmp_path: Path) -> None:
    psql, port = program("psql"), free_port()
    with (
        database_server() as origin,
        published(demo, "db", 5432, origin) as host,
        connected(demo, tmp_path, "--forward", f"{port}={host}:5432") as client,
    ):
        client.event("ready")
        url = f"postgresql://causeway@127.0.0.1:{port}/postgres"
        query = "SELECT inet_server_port(), sum(n) FROM generate_series(1, 1000) n"
        assert run(psql, "-X", "-At", "-c", query, url).strip() == f"{origin}|500500"


def test_a_browser_by_pac(demo: Demo, tmp_path: Path, playwright: Playwright) -> None:
    demo.servers_follow()
    with connected(demo, tmp_path) as client:
        url = client.event("pac")["url"]
        client.event("ready")
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=[*ARGUMENTS, f"--proxy-pac-url={url}"]
        )
        try:
            page = browser.new_page()
            answer = page.goto("http://wiki.corp.example/")
            assert answer is not None and answer.status == 200
            assert "wiki" in page.content()
            # Hosts of no application of the account do not come this way.
            assert page.goto(f"{demo.console}/healthz").status == 200  # type: ignore[union-attr]
        finally:
            browser.close()
    denied = [event for event in client.events if event["event"] == "denied"]
    assert not re.search(r"127\.0\.0\.1", json.dumps(denied))
