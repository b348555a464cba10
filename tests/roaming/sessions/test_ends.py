"""Ends of sessions go to gateways ahead of the configuration, whose version stays; none is lost, whoever was away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from console.machines import config
from console.models import ConfigVersion, EndedSession, Gateway
from roaming.models import ClientAccount, UserSession
from roaming.sessions import services as sessions
from tests.console.factories import GatewayFactory
from tests.console.machine import Machine
from tests.roaming.factories import log_on

pytestmark = pytest.mark.django_db


class Told:
    """A gateway with what it was told: its configuration, and the ends ahead of the next one."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.version, self.epoch, self.ends = 0, "", ""
        self.ended: dict[str, str] = {}
        self.configurations = 0

    def poll(self, wait: float = 0) -> Told:
        question = {"applied_version": self.version, "epoch": self.epoch, "ends": self.ends, "wait": wait}
        answer = self.machine.call("gateway/config", question)
        assert answer.status_code == 200, answer.content
        given: dict[str, Any] = answer.json()
        if not given.get("unchanged"):
            self.configurations += 1
            self.version, self.epoch = given["version"], given["epoch"]
            self.ended = {}
        self.ended |= given.get("ended_sessions", {})
        self.ends = given.get("ends", self.ends)
        return self

    def settled(self) -> Told:
        """The gateway works by the present configuration, has said that it takes ends, and counts from here on."""
        self.poll().poll()
        self.configurations = 0
        return self


@pytest.fixture
def gateway_told(machine: Machine, account: ClientAccount) -> Told:
    return Told(machine).settled()


@pytest.fixture
def log_off(post: Callable[..., Any], credentials: dict[str, str]) -> Callable[[], str]:
    """Log on and off; the session."""

    def once() -> str:
        grant = post("login", credentials | {"kind": "connect"}).json()
        assert post("logout", {"token": grant["token"]}).status_code == 200
        session: str = grant["session"]["id"]
        return session

    return once


def version() -> int:
    return config.current().version


def test_a_log_off_changes_no_version_and_is_told_by_the_next_answer(
    gateway_told: Told, log_off: Callable[[], str]
) -> None:
    before = version()
    gone = log_off()
    gateway_told.poll()
    assert gateway_told.ended == {gone: "logged_off"}
    assert version() == before and gateway_told.configurations == 0
    mark = gateway_told.ends
    assert mark.endswith(gone)
    gateway_told.poll()
    assert (gateway_told.ends, gateway_told.ended) == (mark, {gone: "logged_off"})


def test_a_session_that_a_newer_log_on_replaces_is_told_so_too(
    gateway_told: Told, post: Callable[..., Any], credentials: dict[str, str], settings: Settings
) -> None:
    settings.SESSIONS_PER_ACCOUNT = 1
    before = version()
    first, _ = (post("login", credentials | {"kind": "connect"}).json()["session"]["id"] for _ in range(2))
    assert gateway_told.poll().ended == {first: "replaced"}
    assert version() == before


def test_an_expired_session_needs_no_telling(gateway_told: Told, account: ClientAccount) -> None:
    before = config.current()
    log_on(account)
    UserSession.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert sessions.sessions_expire() == 1
    now = config.current()
    assert (now.version, now.ends) == (before.version, before.ends)
    assert gateway_told.poll().ended == {}


def test_a_gateway_that_was_away_learns_all_ends_since(
    gateway_told: Told, log_off: Callable[[], str]
) -> None:
    other = Told(Machine("gateway", GatewayFactory().pk)).settled()
    gateway_told.settled()
    gone = {log_off() for _ in range(3)}
    gateway_told.poll()
    gone |= {log_off() for _ in range(2)}
    assert set(gateway_told.poll().ended) == set(other.poll().ended) == gone
    assert (gateway_told.configurations, other.configurations) == (0, 0)
    assert gateway_told.ends == other.ends


def test_a_configuration_holds_every_end_and_says_up_to_which(
    gateway_told: Told, log_off: Callable[[], str], machine: Machine
) -> None:
    gone = {log_off() for _ in range(3)}
    fresh = Told(machine).poll()
    assert set(fresh.ended) == gone and fresh.ends == gateway_told.poll().ends


@pytest.mark.django_db(transaction=True)
def test_a_gateway_that_waits_is_answered_at_once(gateway_told: Told, log_off: Callable[[], str]) -> None:
    def poll() -> None:
        try:
            gateway_told.poll(wait=20)
        finally:
            connection.close()

    waiting = threading.Thread(target=poll)
    waiting.start()
    gone = log_off()
    waiting.join(25)
    assert gateway_told.ended == {gone: "logged_off"}, "long before the wait is over"


def test_a_mark_of_another_history_brings_the_whole_configuration(
    gateway_told: Told, log_off: Callable[[], str]
) -> None:
    for _ in range(3):
        log_off()
    gateway_told.poll()
    # Yesterday's database: of what ended since, nothing is known, and others end under the same numbers.
    EndedSession.objects.all().delete()
    ConfigVersion.objects.update(ends=0)
    gone = {log_off() for _ in range(5)}
    gateway_told.poll()
    assert gateway_told.configurations == 1
    assert gone <= set(gateway_told.ended)
    assert gateway_told.poll().configurations == 1


def test_a_gateway_of_the_release_before_is_told_by_the_version(
    gateway_told: Told, log_off: Callable[[], str]
) -> None:
    old = Machine("gateway", GatewayFactory().pk)
    given = old.call("gateway/config", {"applied_version": 0}).json()
    known = {"applied_version": given["version"], "epoch": given["epoch"]}
    assert old.call("gateway/config", known).json() == {"unchanged": True, "version": given["version"]}
    gone = log_off()
    again = old.call("gateway/config", known).json()
    assert again["version"] > given["version"] and gone in again["ended_sessions"]
    assert gone in gateway_told.poll().ended
    before = version()
    Gateway.objects.filter(pk=old.id).delete()
    log_off()
    assert version() == before, "the last gateway that needed it is gone"


def test_a_gateway_that_was_put_back_to_the_release_before_takes_a_configuration(
    gateway_told: Told, log_off: Callable[[], str]
) -> None:
    gone = log_off()  # told to the newer program, which kept it in a file that the older one does not know
    gateway_told.poll()
    known = {"applied_version": gateway_told.version, "epoch": gateway_told.epoch}
    again = gateway_told.machine.call("gateway/config", known).json()
    assert gone in again["ended_sessions"] and again["version"] > gateway_told.version
    assert not Gateway.objects.get(pk=gateway_told.machine.id).takes_ends


def test_old_ends_are_forgotten_and_who_knew_one_of_them_last_loses_nothing(
    gateway_told: Told, log_off: Callable[[], str]
) -> None:
    log_off()
    gateway_told.poll()
    EndedSession.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert config.forget_old_ends() == 0, "the mark of all gateways"
    gone = log_off()
    assert config.forget_old_ends() == 1
    assert gateway_told.poll().ended[gone] == "logged_off"
    assert gateway_told.configurations == 1
    assert gateway_told.poll().configurations == 1


@pytest.mark.parametrize(
    "ends", ["x", "1", ".", "1.", "-1.session-1", "1.a b", "٣.session-1", 5, [], "1." + "x" * 50]
)
def test_a_mark_that_makes_no_sense_is_refused(machine: Machine, ends: object) -> None:
    answer = machine.call("gateway/config", {"applied_version": 0, "ends": ends})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "ends")


def test_a_mark_that_nobody_gave_brings_the_whole_configuration(gateway_told: Told) -> None:
    gateway_told.ends = "9999999999999999.session-0"
    assert gateway_told.poll().configurations == 1
