"""A history that was turned back: whoever shows it, the console begins a new epoch once, and gateways take it whole."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from console.machines import config, epochs
from console.machines.epochs import Claim, seal
from console.machines.stamp import Stamp, file_of_this_host, stamp
from console.models import AuditRow, ConfigVersion, Cutover, Gateway, PastEpoch
from edge.protocol.edition import Edition
from tests.console.factories import GatewayFactory
from tests.console.machine import Machine
from tests.queries import queries
from tests.responses import words

HERE = "0123456789abcdef"
LATER = "fedcba9876543210"


@pytest.fixture(autouse=True)
def known(db: None) -> None:
    """A console of some age: version 20, and 10 for servers."""
    config.current()
    restored()


def restored(epoch: str = HERE, version: int = 20, servers_version: int = 10) -> None:
    """What a restore of an older database does to the counters."""
    ConfigVersion.objects.update(epoch=epoch, version=version, servers_version=servers_version)


def poll(machine: Machine, version: int, epoch: str = "", **more: Any) -> dict[str, Any]:
    """Poll as a gateway that was given this edition by this console, seal and all."""
    if epoch and "seal" not in more:
        more["seal"] = seal("version", Edition(epoch, version))
    answer = machine.call("gateway/config", {"applied_version": version, "epoch": epoch, "wait": 0} | more)
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def begun() -> list[AuditRow]:
    return list(AuditRow.objects.filter(verb="configuration.epoch").order_by("id"))


@contextmanager
def nothing_begins() -> Iterator[None]:
    before = ConfigVersion.objects.values_list("epoch", "version").get()
    yield
    assert ConfigVersion.objects.values_list("epoch", "version").get() == before
    assert begun() == []


# -- What a gateway shows


def test_a_gateway_is_given_its_edition_with_a_seal_and_then_hears_unchanged(
    machine: Machine, gateway: Gateway
) -> None:
    given = poll(machine, 0)
    now = config.current()
    assert (given["epoch"], given["version"]) == (HERE, now.version)
    assert given["seal"] == seal("version", Edition(HERE, now.version)) != seal("version", Edition(HERE, 99))
    with nothing_begins():
        answer = poll(machine, given["version"], given["epoch"], seal=given["seal"])
    assert answer == {"unchanged": True, "version": now.version}
    gateway.refresh_from_db()
    assert (gateway.applied_epoch, gateway.applied_version) == (HERE, now.version)


@pytest.mark.parametrize("epoch", [HERE, LATER, ""], ids=["same epoch", "forgotten epoch", "release 0.1"])
def test_a_gateway_that_knows_more_than_the_database_begins_a_new_epoch(machine: Machine, epoch: str) -> None:
    restored()
    given = poll(machine, 40, epoch)
    assert given["version"] == 41, "above what is known, so that release 0.1 takes it as well"
    assert given["epoch"] not in (HERE, LATER)
    assert given["servers_version"] == 11, "connector servers hear of it, too"
    (row,) = begun()
    assert (row.actor, row.before["epoch"], row.after["machine"]) == ("console", HERE, machine.id)
    assert set(PastEpoch.objects.values_list("id", flat=True)) == {HERE, epoch} - {""}


def test_of_many_gateways_that_know_more_the_first_begins_the_epoch(gateway: Gateway) -> None:
    machines = [Machine("gateway", GatewayFactory().pk) for _ in range(3)]
    restored()
    given = [poll(machine, 40 + place, LATER) for place, machine in enumerate(machines)]
    assert len(begun()) == 1
    assert len({(each["epoch"], each["version"]) for each in given}) == 1


def test_a_gateway_that_missed_the_new_epoch_is_only_behind(machine: Machine) -> None:
    other = Machine("gateway", GatewayFactory().pk)
    restored()
    poll(machine, 40, HERE)
    epoch = config.current().epoch
    given = poll(other, 60, HERE)
    assert (given["epoch"], given["version"]) == (epoch, 41), "by its epoch, though its number is greater"
    assert len(begun()) == 1


def test_a_gateway_of_release_0_1_further_ahead_than_the_new_epoch_is_reached_by_another(
    machine: Machine,
) -> None:
    old = Machine("gateway", GatewayFactory().pk)
    restored()
    poll(machine, 40, HERE)
    assert poll(old, 60)["version"] == 61


# -- Who is not believed


def test_a_number_without_seal_counts_within_reason_and_once_an_hour(machine: Machine) -> None:
    restored()
    with nothing_begins():
        for version, epoch in ((2**50, ""), (2**50, HERE), (5, LATER), (2**50, LATER)):
            given = poll(machine, version, epoch, seal="5ea1")
            assert given["epoch"] == HERE, "whoever works by something else is given the whole all the same"
    assert poll(machine, 30)["version"] == 31
    assert poll(machine, 50)["version"] == 31
    assert len(begun()) == 1


@pytest.mark.parametrize("body", [{"epoch": "x" * 33}, {"epoch": 7}, {"seal": "no hex"}, {"seal": None}])
def test_a_poll_with_an_epoch_or_seal_of_no_sense_is_refused(machine: Machine, body: dict[str, Any]) -> None:
    answer = machine.call("gateway/config", {"applied_version": 1} | body)
    assert answer.status_code == 422 and answer.json()["error"]["field"] in body


def test_a_seal_is_for_one_kind_of_machine() -> None:
    edition = Edition(HERE, 40)
    assert not Claim("server-1", "servers_version", edition, seal("version", edition)).is_sealed


# -- What follows


def test_a_cut_over_is_not_confirmed_by_another_history(machine: Machine) -> None:
    restored(version=20)
    config.publish(cut="connector.disable office", target="connector-1")
    waiting = Cutover.objects.get().confirmations.filter(confirmed_at=None)
    given = poll(machine, 40, HERE)
    assert waiting.exists(), "40 of before is no confirmation of 21"
    poll(machine, given["version"], given["epoch"], seal=given["seal"], cut_flows=2)
    assert not waiting.exists()


def test_who_waits_is_woken_by_a_new_epoch_of_a_lower_number() -> None:
    found = config.Watcher()
    found._watching = True  # its thread is not there: the row is what this test says
    woken: list[bool] = []
    now = ConfigVersion(epoch=LATER, version=40)
    waiting = threading.Thread(target=lambda: woken.append(found.wait_beyond(now, 20)))
    waiting.start()
    while not found._waiting:
        pass
    with found._changed:
        found._found = config.Known(HERE, 21, 0)
        found._changed.notify_all()
    waiting.join(25)
    assert woken == [True]


def test_pages_say_who_works_by_another_history(gateway: Gateway, viewer_client: Client) -> None:
    def shown() -> str:
        return words(viewer_client.get("/gateways/"))

    Gateway.objects.update(applied_epoch=LATER, applied_version=40, applied_at=timezone.now())
    assert "Another history" in shown() and "Current" not in shown()
    Gateway.objects.update(applied_epoch="")
    assert "Another history" in shown(), "a greater number than there is"
    Gateway.objects.update(applied_epoch=HERE, applied_version=19)
    assert "Behind" in shown() and "version 19 of 20" in shown()
    Gateway.objects.update(applied_version=20)
    assert "Current" in shown() and "Another history" not in shown()


def test_the_audit_page_tells_of_the_epoch(machine: Machine, viewer_client: Client) -> None:
    restored()
    poll(machine, 400, HERE)
    page = viewer_client.get("/audit/")
    assert page.status_code == 200 and "configuration.epoch" in page.text


def test_a_poll_without_contradiction_costs_no_more_queries(machine: Machine) -> None:
    given = poll(machine, 0)
    now = queries(poll, machine, given["version"], given["epoch"], seal=given["seal"])
    old = queries(poll, machine, given["version"])
    assert len(now) == len(old) and "pastepoch" not in " ".join(now)


# -- The stamp beside the database


@pytest.fixture
def folder(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of a process that has given out nothing yet."""
    settings.EPOCH_STAMPS = tmp_path / "state"
    monkeypatch.setattr(stamp, "_written", None)
    return tmp_path / "state"


def started_anew() -> None:
    stamp._written = None


def test_a_host_without_a_stamp_begins_an_epoch_and_then_keeps_it(folder: Path) -> None:
    now = epochs.present()
    assert now.epoch != HERE and now.version == 21
    started_anew()
    assert epochs.present().epoch == now.epoch
    (row,) = begun()
    assert "no stamp" in row.after["reason"]


def test_the_stamp_is_its_owners_alone_and_names_what_was_given_out(folder: Path) -> None:
    now = epochs.present()
    (file,) = folder.iterdir()
    assert file == file_of_this_host(folder) and file.stat().st_mode & 0o777 == 0o600
    expected = {"epoch": now.epoch, "version": now.version, "servers_version": now.servers_version}
    assert json.loads(file.read_text()) == expected
    config.publish()
    epochs.present()
    assert json.loads(file.read_text()) == expected | {"version": now.version + 1}


@pytest.mark.parametrize("change", [{"version": 20}, {"servers_version": 10}], ids=["gateways", "servers"])
def test_a_database_older_than_the_stamp_begins_a_new_epoch_once(
    folder: Path, change: dict[str, int]
) -> None:
    before = epochs.present()
    config.publish(servers=True)
    known = epochs.present()
    counters = {"version": known.version, "servers_version": known.servers_version} | change
    restored(before.epoch, **counters)
    started_anew()
    now = epochs.present()
    assert now.epoch != before.epoch
    assert now.version > known.version and now.servers_version > known.servers_version
    assert epochs.present().epoch == now.epoch
    assert len(begun()) == 2, "the first was that of a host without a stamp"


def test_a_database_restored_beneath_a_running_console_is_noticed(folder: Path) -> None:
    known = epochs.present()
    restored(known.epoch, version=5)
    assert epochs.present().version == known.version + 1


def test_a_database_that_does_not_know_the_stamps_epoch_begins_a_new_one(folder: Path) -> None:
    known = epochs.present()
    PastEpoch.objects.all().delete()
    restored(LATER, version=900)
    started_anew()
    now = epochs.present()
    assert now.epoch not in (known.epoch, LATER) and now.version == 901
    assert PastEpoch.objects.filter(id=known.epoch).exists(), "machines that know that epoch are only behind"


def test_a_process_that_missed_the_new_epoch_of_another_takes_it(folder: Path) -> None:
    epochs.present()
    here = Stamp()
    here.write(config.current())
    restored_row = config.current()
    restored(restored_row.epoch, version=3)
    now = epochs.present()  # the other process
    assert len(begun()) == 2
    here.write(now)
    assert here.read() == (now.epoch, now.version, now.servers_version)
    assert epochs.present().epoch == now.epoch


def test_a_stamp_ahead_of_an_old_read_begins_nothing(folder: Path) -> None:
    """Another process published, gave out and stamped between this one's look at the row and at the file."""
    old = epochs.present()
    config.publish()
    epochs.present()
    started_anew()
    assert epochs.present(old).epoch == old.epoch
    assert len(begun()) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"epoch": 1}'])
def test_a_damaged_stamp_is_none(folder: Path, content: str) -> None:
    known = epochs.present()
    file_of_this_host(folder).write_text(content)
    started_anew()
    assert epochs.present().epoch != known.epoch


def test_a_folder_that_takes_no_file_begins_one_epoch_for_the_process(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.parent.joinpath("state").write_text("a file where the folder should be")
    now = epochs.present()
    config.publish()
    assert epochs.present().epoch == now.epoch
    assert caplog.text.count("cannot be written") == 1
    restored(now.epoch, version=3)
    assert epochs.present().epoch != now.epoch, "the process remembers what it gave out"


def test_without_news_the_stamp_costs_neither_file_nor_query(folder: Path) -> None:
    now = epochs.present()
    file_of_this_host(folder).unlink()
    assert queries(epochs.present, now) == []
    assert not list(folder.iterdir())
