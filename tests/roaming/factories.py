"""Instances, CCNs and client accounts for tests, made by the services that operators use."""

from __future__ import annotations

import time
import uuid
from datetime import timedelta
from typing import Any

import factory
from django.utils import timezone

from console.core.audit import System
from console.models import Area, Region
from roaming.accounts import services as accounts
from roaming.ccns import services as ccns
from roaming.instances import services as instances
from roaming.models import CCN, ClientAccount, Instance, LogonFailures, UserSession
from roaming.sessions import lockout, logon

ACTOR = System("tests")
PASSWORD = "Summer-2026"


class CCNFactory(factory.django.DjangoModelFactory):
    """A CCN of ``area_id`` that reaches ``networks``."""

    class Meta:
        model = CCN

    name = factory.Sequence(lambda n: f"network{n}")
    area_id = "mainland-china"
    networks = ()

    @classmethod
    def _create(cls, model_class: Any, *args: Any, area_id: str, **kwargs: Any) -> CCN:
        return ccns.ccn_create(area=Area.objects.get(pk=area_id), actor=ACTOR, **kwargs)


class InstanceFactory(factory.django.DjangoModelFactory):
    """An instance of ten accounts with one block of its own; ``region_id="ap-southeast-1"`` moves it."""

    class Meta:
        model = Instance

    name = factory.Sequence(lambda n: f"instance{n}")
    region_id = "cn-shanghai"
    account_quota = 10
    cidrs = factory.Sequence(lambda n: [f"10.{n // 200 % 200 + 1}.{n % 200}.0/24"])

    @classmethod
    def _create(cls, model_class: Any, *args: Any, region_id: str, **kwargs: Any) -> Instance:
        return instances.instance_create(region=Region.objects.get(pk=region_id), actor=ACTOR, **kwargs)


def abroad(**changes: Any) -> Instance:
    """An instance in Singapore, where accounts of Mainland China may roam to."""
    return InstanceFactory(**{"region_id": "ap-southeast-1", "cidrs": ["10.250.0.0/24"]} | changes)


class AccountFactory(factory.django.DjangoModelFactory):
    """A client account with ``PASSWORD``."""

    class Meta:
        model = ClientAccount

    instance = factory.SubFactory(InstanceFactory)
    username = factory.Sequence(lambda n: f"person{n}")
    email = factory.LazyAttribute(lambda account: f"{account.username}@example.org")
    password = PASSWORD

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **kwargs: Any) -> ClientAccount:
        return accounts.account_create(actor=ACTOR, **kwargs)[0]


def credentials_of(account: ClientAccount, **changes: Any) -> dict[str, Any]:
    """The body of a log-on with ``PASSWORD`` by a stock proxy client, unless ``changes`` say otherwise."""
    names = {"instance": account.instance_id, "username": account.username}
    return names | {"password": PASSWORD, "kind": "proxy"} | changes


def logged_on(account: ClientAccount, **values: Any) -> tuple[str, UserSession]:
    """Log an account on as ``causeway connect`` does, unless ``values`` say otherwise; return token and session."""
    given = {"password": PASSWORD, "public_address": "203.0.113.1", "gateway_id": None, "kind": "connect"}
    return logon.logon(instance_id=account.instance_id, username=account.username, **given | values)


def log_on(account: ClientAccount, **values: Any) -> UserSession:
    return logged_on(account, **values)[1]


def flow(**values: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {"flow": "f1", "session": "session-1", "account": "user-1", "instance": "sag-1"}
    usual |= {"host": "wiki.corp.example", "port": 80, "application": "pa-application-1", "policy": "fs-1"}
    usual |= {"connector": "connector-1", "path": "connector", "started_at": time.time() - 5}
    return usual | {"ended_at": None, "bytes_up": 10, "bytes_down": 20, "end": None} | values


def flows(*records: dict[str, Any]) -> dict[str, Any]:
    return {"batch": str(uuid.uuid4()), "records": list(records)}


def locked_out(account: ClientAccount, address: str, *, hours: float = 1) -> LogonFailures:
    """Lock an account out from an address for so many hours from now."""
    now = timezone.now()
    guess = lockout.Guess.of(account.instance_id, account.username, address, account)
    row = next(row for row in guess.buckets.values() if row.kind == LogonFailures.Kind.PAIR)
    row.level, row.updated_at, row.until = 99, now, now + timedelta(hours=hours)
    row.save(force_insert=True)
    return row
