"""Instances, CCNs and client accounts for tests, made by the services that operators use."""

from __future__ import annotations

from typing import Any

import factory

from console.audit import System
from console.models import Area, Region
from roaming.models import CCN, ClientAccount, Instance
from roaming.services import accounts, ccns, instances

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
