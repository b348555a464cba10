"""What an agent does with an order before anything is installed, and what its logs are packed without."""

import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

import pytest

from edge.home import Home, Identity
from edge.machine import upgrade_watch
from edge.machine.api import ConsoleUnreachable
from edge.machine.log_export import pack
from edge.machine.status import Report
from edge.machine.upgrade import Place, Record, UpgradeError, Upgrader, harmless
from edge.protocol.configuration import UpgradeOrder
from edge.protocol.reports import Nothing, UpgradeWord

GIVEN = {
    "order": "upgrade-1",
    "version": "9.9.9",
    "wheel": "causeway-9.9.9-py3-none-any.whl",
    "sha256": hashlib.sha256(b"wheel").hexdigest(),
    "health_seconds": 5,
}


class Console:
    """Stands for the console: takes what it is told, or cannot be reached."""

    def __init__(self, kind: str = "server") -> None:
        self.told: list[tuple[str, str]] = []
        self.kind = kind
        self.away = False

    async def call(self, path: str, word: UpgradeWord, answer: type[Nothing]) -> Nothing:
        if self.away:
            raise ConsoleUnreachable("The console cannot be reached.")
        assert path == f"{self.kind}/upgrade"
        self.told.append((word.state, word.message))
        return answer()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.write_identity(Identity("server-1", "server", "http://127.0.0.1:1", "connector-1"))
    return home


def wanted(order: dict) -> UpgradeOrder:
    return UpgradeOrder.decode(order)


def installed(folder: Path) -> tuple[Place, Path]:
    """Two versions, ``old`` and ``new``, in a folder of versions, and the place of the old one."""
    versions = folder / "versions"
    for name in ("old", "new"):
        (versions / name).mkdir(parents=True)
    return Place(versions / "old"), versions


def upgrader(home: Home, console: Console, given: dict) -> Upgrader:
    return Upgrader(home, console, current=lambda: wanted(given), switch=lambda: None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"wheel": "../../etc/passwd.whl"},
        {"wheel": "causeway.tar.gz"},
        {"sha256": "abc"},
        {"sha256": "../" + "0" * 61},
    ],
)
def test_an_order_that_could_name_other_files_is_none(change: dict) -> None:
    assert harmless(wanted(GIVEN)) is not None
    assert harmless(wanted(GIVEN | change)) is None
    assert harmless(None) is None


@pytest.mark.parametrize("kind", ["server", "gateway"])
async def test_a_program_that_the_script_did_not_install_says_so_once(home: Home, kind: str) -> None:
    home.write_identity(Identity(f"{kind}-1", kind, "http://127.0.0.1:1", ""))
    console = Console(kind)
    agent = upgrader(home, console, GIVEN)
    for _ in range(3):
        await agent.step()
    (installing, _), (failed, why) = console.told
    assert (installing, failed) == ("installing", "failed")
    assert "was not installed by the deployment command" in why and "Nothing was changed" in why
    assert agent.successor is None


async def test_what_could_not_be_told_is_told_later_also_by_the_next_agent(home: Home) -> None:
    console = Console()
    console.away = True
    agent = upgrader(home, console, GIVEN)
    await agent.step()
    with pytest.raises(ConsoleUnreachable):
        await agent.step()
    console.away = False
    await upgrader(home, console, GIVEN).step()
    assert [state for state, _ in console.told] == ["failed"]
    record = Record.read(home)
    assert record is not None and record.told


async def test_without_the_newest_configuration_nothing_is_begun(home: Home) -> None:
    console = Console()
    agent = Upgrader(home, console, current=lambda: None, switch=lambda: None)  # type: ignore[arg-type]
    await agent.step()
    assert console.told == [] and Record.read(home) is None


def test_a_place_is_switched_by_one_rename_and_keeps_only_what_is_used(tmp_path: Path) -> None:
    place, versions = installed(tmp_path)
    place.use(versions / "old")
    assert place.program.resolve() == versions / "old"
    place.use(versions / "new")
    place.remove_others()
    assert place.program.resolve() == versions / "new"
    assert [each.name for each in versions.iterdir()] == ["new"]
    with pytest.raises(UpgradeError, match="deployment command"):
        Place.in_use()
    assert Path(sys.prefix).exists()


@pytest.mark.parametrize("kind", ["server", "gateway"])
async def test_a_version_that_does_not_run_is_taken_back_and_the_console_hears_why(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    async def looks_good(home: Home) -> Report:
        return Report(home.identity.id, kind, "", "", None, [])

    async def ends(home: Home) -> None:
        return None

    home.write_identity(Identity(f"{kind}-1", kind, "http://127.0.0.1:1", ""))
    place, versions = installed(tmp_path)
    place.use(versions / "new")
    home.write_json("status.json", {"version": "1.0"})  # as the version before left it
    record = Record("upgrade-1", "9.9.9", "restarting", before=str(place.mine), version_before="1.0")
    record.health_seconds = 0.2
    record.write(home, "restarting")
    monkeypatch.setattr(upgrade_watch, "report", looks_good)
    monkeypatch.setattr(upgrade_watch, "end_agent", ends)
    monkeypatch.setattr(upgrade_watch, "LOOK_SECONDS", 0.01)
    assert (await upgrade_watch.watch(home, place)) == "rolled_back"
    assert place.program.resolve() == versions / "old"
    console = Console(kind)
    for _ in range(2):
        await upgrader(home, console, GIVEN).step()
    ((state, why),) = console.told
    assert state == "rolled_back" and "calls itself 1.0, not 9.9.9. Back at 1.0." in why


@pytest.mark.processes  # Python asks `uname` for the processor, the first time
def test_an_archive_holds_no_secret_and_of_a_long_log_its_end(home: Home) -> None:
    home.write_json("config.json", {"gateways": [{"id": "gateway-1", "echo_key": "f00dfeed"}], "version": 1})
    home.write_atomic("pki/outer.key", b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
    log = b"first line\n" + b"x" * (5 * 2**20) + b"\nauthorization: Bearer abcdefghijkl.mnop\n"
    log += b"-----BEGIN EC PRIVATE KEY-----\nhidden\n-----END EC PRIVATE KEY-----\nlast line\n"
    home.write_atomic("agent.log", log)
    target = io.BytesIO()
    pack(home, target)
    target.seek(0)
    with tarfile.open(fileobj=target) as archive:
        texts = {
            member.name: archive.extractfile(member).read().decode()  # type: ignore[union-attr]
            for member in archive.getmembers()
        }
    whole = "".join(texts.values())
    for secret in ("f00dfeed", "c2VjcmV0", "abcdefghijkl", "hidden", "PRIVATE KEY"):
        assert secret not in whole
    assert "last line" in texts["server-1/agent.log"] and "first line" not in texts["server-1/agent.log"]
    (gateway,) = json.loads(texts["server-1/config.json"])["gateways"]
    assert gateway == {"id": "gateway-1", "echo_key": "(removed)"}
    assert json.loads(texts["server-1/facts.json"])["id"] == "server-1"
