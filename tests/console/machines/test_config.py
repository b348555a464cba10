"""Versions, the long poll, and what confirms a cut-over."""

import threading
from typing import Any

import pytest
from django.db import transaction

from console.machines import config
from console.models import ConfigVersion, Cutover, Gateway
from tests.console.factories import GatewayFactory
from tests.console.machine import Machine


def publish(**arguments: Any) -> int:
    with transaction.atomic():
        return config.publish(**arguments)


@pytest.mark.django_db
def test_versions_rise_and_servers_hear_of_what_concerns_them() -> None:
    first = publish()
    before = config.current().servers_version
    assert publish() == first + 1
    assert config.current().servers_version == before
    publish(servers=True)
    assert config.current().servers_version == before + 1


@pytest.mark.django_db(transaction=True)
def test_publishing_outside_a_transaction_is_refused() -> None:
    with pytest.raises(transaction.TransactionManagementError):
        config.publish()


@pytest.mark.django_db
def test_a_gateway_that_has_the_version_hears_unchanged(gateway: Gateway) -> None:
    machine = Machine("gateway", gateway.pk)
    version = config.current().version
    answer = machine.call("gateway/config", {"applied_version": version, "wait": 0})
    assert answer.json() == {"unchanged": True, "version": version}


@pytest.mark.django_db
def test_a_cut_over_is_confirmed_by_the_version_that_a_gateway_applied() -> None:
    first, second = (Machine("gateway", GatewayFactory().pk) for _ in range(2))
    version = publish(cut="connector.disable", target="connector-1")
    confirmations = Cutover.objects.get().confirmations
    first.call("gateway/config", {"applied_version": version - 1})
    assert confirmations.filter(confirmed_at=None).count() == 2
    first.call("gateway/config", {"applied_version": version, "cut_flows": 7})
    assert [(c.gateway_id, c.flows_cut) for c in confirmations.exclude(confirmed_at=None)] == [(first.id, 7)]
    second.call("gateway/config", {"applied_version": version})
    assert not confirmations.filter(confirmed_at=None).exists()


@pytest.mark.django_db
def test_a_gateway_that_never_enrolled_is_not_waited_for(gateway: Gateway) -> None:
    publish(cut="account.disable")
    assert not Cutover.objects.get().confirmations.exists()


@pytest.mark.django_db(transaction=True)
def test_who_waits_is_woken_by_the_commit_of_another() -> None:
    ConfigVersion.objects.get_or_create(id=1)
    woken: list[bool] = []
    known = config.current()
    waiting = threading.Thread(target=lambda: woken.append(config.watcher.wait_beyond(known, 20)))
    waiting.start()
    publish()
    waiting.join(25)
    assert woken == [True]


@pytest.mark.django_db(transaction=True)
def test_who_waits_in_vain_is_told() -> None:
    ConfigVersion.objects.get_or_create(id=1)
    assert config.watcher.wait_beyond(config.current(), 0.05) is False
