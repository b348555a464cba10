"""This app's part of what gateways get."""

from datetime import timedelta

import pytest
from django.utils import timezone

from console.machines import snapshot
from console.models import Gateway
from edge.access.snapshot import Snapshot
from edge.protocol import configuration as wire
from roaming.accounts import services as accounts
from roaming.instances import services as instances
from roaming.models import ClientAccount, UserSession
from roaming.snapshot import part
from tests.queries import queries
from tests.roaming.factories import ACTOR, AccountFactory, CCNFactory, InstanceFactory, log_on

pytestmark = pytest.mark.django_db


def test_instances_with_area_state_and_cloud_networks(gateway: Gateway) -> None:
    ccn = CCNFactory(networks=["172.16.0.0/16", "172.17.0.0/16"])
    bound = InstanceFactory(ccn=ccn)
    stopped = InstanceFactory(region_id="ap-southeast-1")
    instances.instance_stop(instance=stopped, actor=ACTOR)
    assert part(gateway)["instances"] == {
        bound.pk: wire.Instance(
            area="mainland-china",
            active=True,
            ccn=ccn.pk,
            cloud_networks=["172.16.0.0/16", "172.17.0.0/16"],
        ),
        stopped.pk: wire.Instance(area="singapore", active=False, cloud_networks=()),
    }


def test_ended_sessions_until_their_token_would_have_expired(
    gateway: Gateway, account: ClientAccount
) -> None:
    kicked, long_ago, live = log_on(account), log_on(account), log_on(account)
    accounts.account_disable(account=account, actor=ACTOR)
    UserSession.objects.filter(pk=long_ago.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    UserSession.objects.filter(pk=live.pk).update(ended_at=None, end_reason="")
    assert part(gateway)["ended_sessions"] == {kicked.pk: "account_disabled"}


def test_sessions_of_a_removed_account_are_still_told(gateway: Gateway, account: ClientAccount) -> None:
    session = log_on(account)
    accounts.account_delete(account=account, actor=ACTOR)
    assert part(gateway)["ended_sessions"] == {session.pk: "account_deleted"}


def test_the_edge_accepts_it(gateway: Gateway, account: ClientAccount) -> None:
    compiled = Snapshot.compile(snapshot.build(gateway))
    assert compiled.instances[account.instance_id].active


@pytest.mark.parametrize("worlds", [1, 5])
def test_four_queries_however_many_there_are(gateway: Gateway, worlds: int) -> None:
    for _ in range(worlds):
        account = AccountFactory(instance=InstanceFactory(ccn=CCNFactory(networks=["172.16.0.0/16"])))
        log_on(account)
        accounts.account_kick(account=account, actor=ACTOR)
    assert len(queries(part, gateway)) == 4
