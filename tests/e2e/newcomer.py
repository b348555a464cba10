"""A newcomer with two machines who does what docs/operations.md says: its commands, and the clicks between them."""

from __future__ import annotations

import html
import os
import re
import shutil
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.demo import ROOT, post
from tests.e2e.booted import Container
from tests.e2e.wheels import built_wheel, pip
from tests.edge.gateway_pki import Authority

PAGE = ROOT / "docs" / "operations.md"
BLOCK = re.compile(r"^```sh as root on the (\w+)'s machine\n(.*?)^```", re.MULTILINE | re.DOTALL)
HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')
PANEL_COMMAND = re.compile(r"<code[^>]*>([^<]*--code[^<]*)</code>")
NAME, OFFICE = "console.example.com", "intranet.example.com"
ADDRESSES = {"console": "10.66.0.1", "office": "10.66.0.2"}
PASSWORD, ACCOUNT_PASSWORD = "newcomers-Password-1", "Winter-2026"
# A root of a bare Debian with systemd-sysv, curl and ca-certificates; without it, this machine's own is below.
BELOW = Path(os.environ.get("CAUSEWAY_BARE_ROOT", "/"))
TRUST = "/etc/ssl/certs/ca-certificates.crt"
COMMAND_SECONDS = 1500.0


def blocks() -> list[tuple[str, list[str]]]:
    """Return the commands of the page in order: (machine, commands), a command on several lines as one."""
    found = []
    for machine, text in BLOCK.findall(PAGE.read_text()):
        lines = text.replace("\\\n", " ").splitlines()
        found.append((machine, [line for line in lines if line.strip()]))
    return found


class Machine:
    """A machine of the newcomer, under its name, with the times of its commands."""

    def __init__(self, name: str, container: Container, times: list[tuple[float, str, str]]) -> None:
        self.name, self.container, self.times = name, container, times

    def run(self, command: str, said: str = "") -> str:
        """Run a command as root, typing what it asks for; return what it says."""
        began = time.monotonic()
        done = self.container.run(
            "env",
            f"SSL_CERT_FILE={TRUST}",
            "sh",
            "-euc",
            f"cd /root; {command}",
            timeout=COMMAND_SECONDS,
            said=said,
        )
        self.times.append((time.monotonic() - began, self.name, command))
        print(f"{self.times[-1][0]:7.1f} s  {self.name:8} {command}", flush=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout


def wheelhouse(folder: Path, wheel: Path) -> Path:
    """Make a folder with all packages that a console needs, which stands for the package index."""
    folder.mkdir()
    pip("--python", "/usr/bin/python3", "download", "-q", "-d", str(folder), f"{wheel}[console]")
    for path in folder.glob("causeway-*.whl"):
        path.unlink()
    folder.chmod(0o755)
    return folder


def laid_out(files: Path, name: str, authority: Authority) -> None:
    """Lay out what a company's machines have before a newcomer comes: names, the company's CA, its package index."""
    for folder in ("etc/systemd/system.conf.d", "root", "usr/local/share/ca-certificates", "srv/office"):
        (files / folder).mkdir(parents=True)
    hosts = f"127.0.0.1 localhost\n{ADDRESSES['console']} {NAME}\n"
    if name == "office":
        hosts += f"127.0.0.1 {OFFICE}\n"
        (files / "srv/office/index.html").write_text("the office's page")
    (files / "etc/hosts").write_text(hosts)
    for folder in ("etc", "root/.config/pip"):  # root of this machine may have settings of its own
        (files / folder).mkdir(parents=True, exist_ok=True)
        (files / folder / "pip.conf").write_text("[global]\nno-index = true\nfind-links = /srv/packages\n")
    (files / "etc/systemd/system.conf.d/trust.conf").write_text(
        f"[Manager]\nDefaultEnvironment=SSL_CERT_FILE={TRUST}\n"
    )
    (files / "usr/local/share/ca-certificates/company.crt").write_bytes(authority.pem)
    (files / "root").chmod(0o700)


@contextmanager
def machines(folder: Path) -> Iterator[dict[str, Machine]]:
    """Boot two machines with a cable between them, the wheel and the certificate on the console's."""
    authority = Authority()
    times: list[tuple[float, str, str]] = []
    wheel = built_wheel(folder, "0.1.0", {})
    packages = wheelhouse(folder / "packages", wheel)
    made: dict[str, Container] = {}
    try:
        for name in ADDRESSES:
            files = folder / name / "files"
            laid_out(files, name, authority)
            if name == "console":
                key, chain = authority.issue([NAME], days=60)
                (files / "root/privkey.pem").write_bytes(key)
                (files / "root/fullchain.pem").write_bytes(chain)
                shutil.copy(wheel, files / "root")
            made[name] = Container(folder / name, files, {"/srv/packages": packages}, below=BELOW)
        made["console"].connect(made["office"], *(f"{address}/24" for address in ADDRESSES.values()))
        for container in made.values():
            assert container.run("update-ca-certificates").returncode == 0
            if str(BELOW) == "/":  # what this machine could upgrade is not to be had there
                container.run("sh", "-c", "rm -rf /var/lib/apt/lists/*")
        yield {name: Machine(name, container, times) for name, container in made.items()}
        print(f"{sum(seconds for seconds, *_ in times):7.1f} s  in all")
    finally:
        for container in made.values():
            container.end()


class Browser:
    """The newcomer's browser: in the network of the console's machine, by a thread of its own."""

    def __init__(self, container: Container, authority_pem: str) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._thread.submit(container.enter_network).result()
        context = ssl.create_default_context(cadata=authority_pem)
        transport = Named(verify=context)
        self.client = httpx.Client(
            base_url=f"https://{NAME}",
            transport=transport,
            timeout=60,
            follow_redirects=True,
            trust_env=False,
        )

    def get(self, url: str) -> str:
        answer = self._thread.submit(self.client.get, url).result()
        assert answer.status_code == 200, (url, answer.status_code, answer.text)
        return answer.text

    def fill(self, url: str, **data: Any) -> str:
        """Fill a form in as its page has it, and send it; return the page that comes."""
        known = dict(HIDDEN.findall(self.get(url)))
        answer = self._thread.submit(post, self.client, url, {**known, **data}).result()
        assert answer.status_code == 200, (
            url,
            answer.status_code,
            re.sub(r"<[^>]+>", " ", answer.text)[-2000:],
        )
        return answer.text

    def log_in(self, name: str, password: str) -> None:
        page = self._thread.submit(self.client.get, "/").result()
        self.fill(str(page.url), username=name, password=password)
        assert "sessionid" in self.client.cookies

    def found(self, url: str, prefix: str) -> str:
        """Return the first id of a kind on a page."""
        found = re.search(rf"{prefix}-[0-9a-z]{{16,}}", self.get(url))
        assert found, f"no {prefix}-… on {url}"
        return found[0]

    def deploy_command(self, url: str) -> str:
        """Click on *Create command* of a Deploy panel; return what is there to copy."""
        found = PANEL_COMMAND.search(self.fill(url))
        assert found, url
        return html.unescape(found[1])

    def close(self) -> None:
        self._thread.submit(self.client.close).result()
        self._thread.shutdown()


class Named(httpx.HTTPTransport):
    """Transport that finds the console at its address, under its name."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        sent = httpx.Request(
            request.method,
            request.url.copy_with(host=ADDRESSES["console"]),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": NAME},
        )
        return super().handle_request(sent)
