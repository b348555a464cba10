"""Commands by which people connect, as they are pasted into a shell; no command holds a password."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from django.conf import settings
from django.urls import reverse

from console.machines.wheels import newest_wheel
from console.models import Gateway
from roaming.accounts.models import ClientAccount
from roaming.connecting.destinations import Destination, Named, choose
from roaming.instances.models import Instance

CA_FILE, PAC_FILE = "causeway-ca.pem", "causeway.pac"
LISTEN = 3128
LOCAL_PAC = f"http://127.0.0.1:{LISTEN}/proxy.pac"
PROGRAM = "~/.causeway/program/bin/causeway"
ANYBODY = "USER-NAME"


@dataclass(frozen=True)
class Command:
    """Command to copy. ``missing``: a sentence about what has to be put in first; empty when the command is whole."""

    label: str
    text: str
    missing: str = ""


@dataclass(frozen=True)
class Way:
    """Way of one kind of program: ``key`` names its part of the page."""

    key: str
    label: str
    intro: str
    commands: list[Command] = field(default_factory=list)


def ca_url() -> str:
    """Return where the CA of gateways is downloaded; the certificate is no secret."""
    return f"{settings.PUBLIC_URL}{reverse('deploy:gateways_ca')}"


def gateways_of(instance: Instance) -> list[Gateway]:
    """Return the gateways that clients of an instance use, in one query."""
    found = Gateway.objects.filter(region__area=instance.region.area_id, enrolled_at__isnull=False)
    return list(found.order_by("name"))


def connect_command(instance: str, username: str, *more: str) -> str:
    """Return the command of ``causeway connect``, which asks for the password at the terminal."""
    words = ["connect", "--console", settings.PUBLIC_URL, "--instance", instance, "--username", username]
    return f"{PROGRAM} {shlex.join([*words, *more])}"


def install_command() -> str:
    """Return the command that installs ``causeway connect`` once; empty while the console offers no wheel."""
    wheel = newest_wheel()
    if wheel is None:
        return ""
    url = settings.PUBLIC_URL + reverse("deploy:wheel", args=[wheel.name])
    pip = shlex.join(["pip", "install", f"causeway @ {url}"])
    return f"python3 -m venv ~/.causeway/program && ~/.causeway/program/bin/{pip}"


def ways(
    instance: Instance, account: ClientAccount | None, gateway: Gateway, hosts: Sequence[Named]
) -> list[Way]:
    """Return the ways of all kinds of programs, through a gateway and by ``causeway connect``."""
    made = _Commands(instance.pk, account.username if account else ANYBODY, gateway.proxy_url)
    web = choose(hosts, "wiki", 80)
    git = choose(hosts, "git", 80)
    ssh = choose(hosts, "ssh", 22)
    database = choose(hosts, "db", 5432)
    return [
        Way("curl", "curl", "curl asks for the password.", [made.ca(), made.curl(web)]),
        Way(
            "connect",
            "causeway connect",
            "A local proxy and port forwards, for programs that know no proxy with a password.",
            [*made.install(), Command("Log on", connect_command(instance.pk, made.username))],
        ),
        Way(
            "browser",
            "Browser",
            "A PAC file sends the account's applications through the gateway, and everything else straight. "
            f"With causeway connect running, it is at {LOCAL_PAC}. Without: trust the CA in the browser or "
            "the system, download the file (curl asks for the password), and have the browser use it.",
            made.browser(),
        ),
        Way("git", "git", "git asks for the password.", [made.git(git)]),
        Way("ssh", "ssh", "Leave causeway connect running, and use another terminal.", made.ssh(ssh)),
        Way("psql", "psql", "Leave causeway connect running, and use another terminal.", made.psql(database)),
    ]


@dataclass(frozen=True)
class _Commands:
    instance: str
    username: str
    proxy: str

    @property
    def login(self) -> str:
        return f"{self.username}@{self.instance}"

    def _command(self, label: str, text: str, to: Destination | None = None, port: int = 0) -> Command:
        missing = [f"your user name in place of {ANYBODY}"] if ANYBODY in text else []
        if to is not None and not to.is_real:
            missing.append(f"the host in place of {to.host}, since no application has port {port}")
        return Command(label, text, f"Put in {' and '.join(missing)}." if missing else "")

    def ca(self) -> Command:
        return Command("Download the CA", shlex.join(["curl", "-fsS", "-o", CA_FILE, ca_url()]))

    def curl(self, to: Destination) -> Command:
        words = ["curl", "--proxy", self.proxy, "--proxy-cacert", CA_FILE, "--proxy-user", self.login]
        return self._command("Fetch a page", shlex.join([*words, f"http://{to.host}/"]), to, 80)

    def git(self, to: Destination) -> Command:
        scheme, _, place = self.proxy.partition("://")
        options = {
            "http.proxy": f"{scheme}://{quote(self.login, safe='')}@{place}",
            "http.proxySSLCAInfo": CA_FILE,
            "http.proxyAuthMethod": "basic",
        }
        given = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        text = shlex.join(["git", *given, "clone", f"http://{to.host}/code.git"])
        return self._command("Clone a repository", text, to, 80)

    def install(self) -> list[Command]:
        text = install_command()
        return [Command("Install, once", text)] if text else []

    def browser(self) -> list[Command]:
        words = ["curl", "-fsS", "--cacert", CA_FILE, "--user", self.login, "-o", PAC_FILE]
        url = "data:application/x-ns-proxy-autoconfig;base64,"
        start = f"chromium --proxy-pac-url=\"{url}$(base64 < {PAC_FILE} | tr -d '\\n')\""
        return [
            Command("With causeway connect", f"chromium --proxy-pac-url={LOCAL_PAC}"),
            self._command("Download the PAC file", shlex.join([*words, f"{self.proxy}/proxy.pac"])),
            Command("Chromium with the file", start),
        ]

    def ssh(self, to: Destination) -> list[Command]:
        forward = connect_command(self.instance, self.username, "--forward", f"2222={to.host}:22")
        text = shlex.join(["ssh", "-p", "2222", "-o", f"HostKeyAlias={to.host}", "127.0.0.1"])
        return [self._command("Forward", forward, to, 22), self._command("Log in", text, to, 22)]

    def psql(self, to: Destination) -> list[Command]:
        forward = connect_command(self.instance, self.username, "--forward", f"5432={to.host}:5432")
        text = shlex.join(["psql", "-h", "127.0.0.1", "-p", "5432", "postgres"])
        return [self._command("Forward", forward, to, 5432), Command("Connect", text)]
