"""One object of every kind that a URL of the console names, each made as operators and machines make it."""

from __future__ import annotations

import base64
import time
from datetime import timedelta

from axes.models import AccessAttempt
from django.contrib.auth import SESSION_KEY
from django.utils import timezone

from connectors.alerts import evaluation
from connectors.alerts import services as alerts
from connectors.models import Alert
from console.core import access_keys, password_links, second_factor, sessions
from console.core.models.access import SECOND_FACTORS
from console.core.sealed import seal_text
from console.machines import logs
from console.models import AgentStart, PushDelivery, PushMessage, SecondFactor, User
from console.push import services as push
from roaming.imports import services as imports
from roaming.models import ClientAccount
from tests.connectors import factories
from tests.connectors.alert_world import measured, rule
from tests.connectors.factories import ACTOR, ConnectorFactory, ServerFactory
from tests.console.factories import GatewayFactory
from tests.console.machine import Machine
from tests.roaming.factories import AccountFactory, CCNFactory, InstanceFactory, locked_out, log_on

Ids = dict[str, str | int]
CSV = "username,email\nanna-berg,anna@example.org\n"


def everything(owner: User) -> Ids:
    """Make the objects, with a task and an upload of ``owner``; return the name in URLs → the id."""
    ccn = CCNFactory(networks=["172.16.0.0/16"])
    account = AccountFactory(instance=InstanceFactory(ccn=ccn))
    draft = imports.import_create(instance=account.instance, content=CSV, actor=owner)
    other = imports.import_create(instance=account.instance, content=CSV, actor=owner)
    task = imports.import_start(draft=other, only_good=False, actor=owner)
    ids: Ids = {"account_id": account.pk, "instance_id": account.instance_id, "ccn_id": ccn.pk}
    ids |= {"lock_out_id": locked_out(account, "203.0.113.2").pk, "area_id": "mainland-china"}
    guess = {"username": f"guess{account.pk}", "ip_address": "203.0.113.3"}
    failed = AccessAttempt.objects.create(**guess, failures_since_start=9)
    ids |= {"network_id": ccn.cloud_networks.get().pk, "import_id": draft.pk, "task_id": task.pk}
    ids |= {"attempt_id": failed.pk}
    return ids | _people(owner) | _machines(account) | _private_access() | _push()


def _people(owner: User) -> Ids:
    """Make another user with a link for a password and a second factor, and a log-in and an access key of ``owner``."""
    number = next(factories.numbers)
    invited, token = password_links.user_invite(username=f"invited{number}", role="viewer", actor=ACTOR)
    secret = seal_text(SECOND_FACTORS, second_factor.new_secret())
    SecondFactor.objects.create(user=invited, secret=secret)
    session = sessions.SessionStore()
    session[SESSION_KEY] = str(owner.pk)
    session[sessions.BEGAN] = {
        "id": f"{number:016x}",
        "address": "203.0.113.4",
        "agent": "Browser/1.0",
        "at": timezone.now().isoformat(),
    }
    session.create()
    key, _ = access_keys.access_key_create(user=owner, actor=owner)
    return {"user_id": invited.pk, "token": token, "log_in_id": f"{number:016x}", "key_id": key.pk}


def _machines(account: ClientAccount) -> Ids:
    gateway = GatewayFactory()
    machine = Machine("gateway", gateway.pk)
    session = log_on(account, gateway_id=gateway.pk, kind="proxy")
    export = logs.export_ask(machine=gateway.pk, actor=ACTOR)
    archive = base64.b64encode(b"archive").decode()
    assert machine.call("logs", {"export": export.pk, "part": 0, "last": True, "data": archive})
    ids: Ids = {"gateway_id": gateway.pk, "machine_id": gateway.pk, "session_id": session.pk}
    return ids | {"export_id": export.pk, "copy_id": _copies(machine)}


def _copies(machine: Machine) -> int:
    """Have two agents call by a machine's identity, by turns; return one of the two."""
    begin = int(time.time()) - 90
    for place in range(0, 90, 15):
        who = {"start": "ab"[place % 2] * 16, "hostname": f"host-{place % 2}"}
        told = {"who": who, "iat": begin + place, "exp": begin + place + 60}
        assert machine.call("gateway/status", {}, **told).status_code == 200
    return AgentStart.objects.filter(key=machine.id).values_list("pk", flat=True)[0]


def _private_access() -> Ids:
    connector = ConnectorFactory()
    server = ServerFactory(connector=connector, heard=True)
    application = factories.application()
    policy = factories.policy(connector, all_applications=False, applications=[application])
    rule(connector, "bandwidth", threshold=100.0, hold_seconds=0)
    measured(server, timezone.now(), mbit=150)
    evaluation.evaluate()
    alert = Alert.objects.get(kind="bandwidth", subject=server.pk)
    silence = alerts.silence_create(
        target=server.pk, target_name="host", lasts=timedelta(hours=1), actor=ACTOR
    )
    ids: Ids = {"connector_id": connector.pk, "server_id": server.pk, "application_id": application.pk}
    ids |= {"policy_id": policy.pk, "group_id": factories.group().pk}
    return ids | {"alert_id": alert.pk, "silence_id": silence.pk}


def _push() -> Ids:
    recipients = "duty@corp.example"
    channel, _ = push.channel_create(
        name=f"duty {next(factories.numbers)}", kind="email", recipients=recipients, actor=ACTOR
    )
    message = PushMessage.objects.create(kind="test", title="A test", text="Nothing happened.")
    delivery = PushDelivery.objects.create(
        message=message, channel=channel, state="failed", ended_at=timezone.now()
    )
    return {"channel_id": channel.pk, "delivery_id": delivery.pk}
