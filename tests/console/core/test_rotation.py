"""Keys that seal secrets: the first seals, all open, and secrets pass from key to key while the console runs."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from io import StringIO

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import models
from django.test import Client
from pytest_django import Settings

from console.core import access_keys, once, rotation
from console.core.sealed import SealedField, seal, unseal
from console.machines import config, epochs, pki
from console.machines.epochs import Claim
from console.models import AuditRow, PushChannel, TaskItem, User
from console.push import services as push
from console.push.models import PURPOSE
from console.work.models import PURPOSE as TASKS
from edge.protocol.edition import Edition
from tests.at_once import at_once
from tests.connectors.factories import ACTOR
from tests.console.everything import everything
from tests.console.factories import UserFactory
from tests.demo import ROOT

FIRST, SECOND = "first-" + "a" * 40, "second-" + "b" * 40
SEALED = ("gAAAA", "-----BEGIN ENCRYPTED PRIVATE KEY")


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("rotate_secrets", *arguments, stdout=out)
    return out.getvalue()


def channel(name: str = "hook") -> PushChannel:
    return push.channel_create(name=name, kind="webhook", url="http://127.0.0.1:9/x", actor=ACTOR)[0]


def secret_of(channel: PushChannel) -> str:
    return str(unseal(PURPOSE, PushChannel.objects.get(pk=channel.pk).sealed).get("secret", ""))


def texts() -> Iterator[tuple[models.Field, str]]:
    """Yield every text of every column of every row."""
    for model in apps.get_models():
        for row in model._base_manager.all():
            for column in model._meta.local_concrete_fields:
                if isinstance(value := column.value_from_object(row), str):
                    yield column, value


@pytest.mark.django_db
def test_every_sealed_column_passes_to_the_new_key_and_the_old_one_may_go(
    settings: Settings, operator: User
) -> None:
    settings.PUSH_ALLOW_PRIVATE = True
    everything(operator)
    TaskItem.objects.update(secret=seal(TASKS, {"password": "Pa55-word"}))
    once.keep(once.claim(key="form", user=operator, path="/"), {"body": "Pa55-word"})
    hook, (key, secret) = channel(), access_keys.access_key_create(user=operator, actor=ACTOR)
    told, certificate = secret_of(hook), pki.ca_pem()
    settings.SEALING_KEYS = [FIRST]
    assert secret_of(hook) == told and access_keys.access_key_secret(key) == secret
    with pytest.raises(CommandError, match=r"An older key still seals \d+ of the secrets"):
        run("--check")
    said = run()
    assert "PushChannel.sealed: 2 sealed anew" in said and "Authority.private_key: 2 sealed anew" in said
    assert "AccountImport.content: 1 sealed anew" in said and "TaskItem.secret: 1 sealed anew" in said
    row = AuditRow.objects.get(verb="secrets.rotate")
    assert row.after == {"renewed": 10, "unopened": 0}
    # Nothing is left that another key sealed: the old one is another now.
    settings.SECRET_KEY = "another-" + "c" * 40
    assert "PushChannel.sealed: 2 sealed by the first key before" in run("--check")
    key.refresh_from_db()
    assert secret_of(hook) == told and access_keys.access_key_secret(key) == secret
    assert pki.ca_pem() == certificate and pki.session_signing_key()
    sealed = {column for column, text in texts() if text.startswith(SEALED)}
    assert sealed and all(isinstance(column, SealedField) for column in sealed)
    assert sealed == {column for _, column in rotation.columns()}


@pytest.mark.django_db
def test_new_secrets_are_sealed_by_the_first_key_and_the_release_before_reads_them_by_default(
    settings: Settings,
) -> None:
    settings.PUSH_ALLOW_PRIVATE = True
    hook, told = channel(), ""
    settings.SEALING_KEYS = [FIRST, SECOND]
    push.channel_new_secret(channel=hook, actor=ACTOR)
    told = secret_of(hook)
    settings.SEALING_KEYS = [FIRST]
    assert secret_of(hook) == told
    settings.SEALING_KEYS = [SECOND]
    assert secret_of(hook) == ""


@pytest.mark.django_db
def test_a_secret_that_no_key_opens_is_named_and_stays(settings: Settings) -> None:
    settings.PUSH_ALLOW_PRIVATE = True
    settings.SEALING_KEYS = [FIRST]
    lost = channel()
    settings.SEALING_KEYS = [SECOND]
    kept = channel("kept")
    before = PushChannel.objects.get(pk=lost.pk).sealed
    for arguments in (["--check"], []):
        with pytest.raises(CommandError, match="No key of the console opens 1 of the secrets"):
            run(*arguments)
    assert PushChannel.objects.get(pk=lost.pk).sealed == before and secret_of(kept)
    settings.SEALING_KEYS = [SECOND, FIRST]
    assert "1 sealed anew, 1 sealed by the first key before" in run()


@pytest.mark.django_db
def test_an_interrupted_change_goes_on_where_it_stopped(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PUSH_ALLOW_PRIVATE = True
    monkeypatch.setattr(rotation, "BATCH", 2)
    hooks = [channel(f"hook {number}") for number in range(5)]
    told = [secret_of(hook) for hook in hooks]
    settings.SEALING_KEYS = [FIRST]
    renewed, calls = SealedField.renewed, []

    def dying(self: SealedField, text: str) -> str:
        calls.append(text)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return renewed(self, text)

    with monkeypatch.context() as patched:
        patched.setattr(SealedField, "renewed", dying)
        with pytest.raises(KeyboardInterrupt):
            run()
    assert "PushChannel.sealed: 2 sealed anew, 3 sealed by the first key before" in run()
    assert [secret_of(hook) for hook in hooks] == told


@pytest.mark.django_db
def test_whoever_writes_between_read_and_write_wins(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PUSH_ALLOW_PRIVATE = True
    hook = channel()
    settings.SEALING_KEYS = [FIRST]
    made: list[str] = []
    renewed = SealedField.renewed

    def beaten(self: SealedField, text: str) -> str:
        if not made:
            made.append(push.channel_new_secret(channel=PushChannel.objects.get(), actor=ACTOR))
        return renewed(self, text)

    monkeypatch.setattr(SealedField, "renewed", beaten)
    run()
    assert [secret_of(hook)] == made


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_pages_write_and_read_secrets_while_the_key_changes(settings: Settings) -> None:
    settings.PUSH_ALLOW_PRIVATE = True
    hooks = [channel(f"hook {number}") for number in range(20)]
    kept = secret_of(hooks[-1])
    settings.SEALING_KEYS = [FIRST]
    clients = []
    for name in ("one", "two"):
        clients.append(client := Client())
        client.force_login(
            UserFactory(username=name, role="operator"), "django.contrib.auth.backends.ModelBackend"
        )

    def write(client: Client, mine: list[PushChannel]) -> list[bool]:
        pages = [client.post(f"/settings/push/{each.pk}/new-secret/") for each in mine]
        return [secret_of(each) in page.content.decode() for each, page in zip(mine, pages, strict=True)]

    rotated, *written = at_once(
        run, lambda: write(clients[0], hooks[:10]), lambda: write(clients[1], hooks[9:19])
    )
    assert "The first key seals every secret" in rotated
    # Channel 9 is written by both, and whichever was last has its secret there.
    assert written[0][:9] == [True] * 9 and written[1][1:] == [True] * 9
    assert secret_of(hooks[-1]) == kept
    settings.SECRET_KEY = "another-" + "c" * 40
    assert "PushChannel.sealed: 20 sealed by the first key before" in run("--check")


@pytest.mark.django_db
def test_log_ins_survive_another_secret_key(settings: Settings, operator_client: Client) -> None:
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another-" + "c" * 40
    settings.SECRET_KEY_FALLBACKS = [old]
    assert operator_client.get("/gateways/").status_code == 200
    # The first request has taken the session over to the new key.
    settings.SECRET_KEY_FALLBACKS = []
    assert operator_client.get("/gateways/").status_code == 200
    settings.SECRET_KEY = "a-third-" + "d" * 40
    assert operator_client.get("/gateways/").status_code == 302


@pytest.mark.django_db
def test_a_new_secret_key_reaches_probes_of_gateways_and_servers_together(settings: Settings) -> None:
    before = config.current()
    settings.SEALING_KEYS = [FIRST]
    run()
    assert config.current().servers_version == before.servers_version
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-" + "c" * 40
    run()
    after = config.current()
    assert (after.version, after.servers_version) == (before.version + 1, before.servers_version + 1)


def test_a_machines_proof_made_with_the_old_secret_key_counts(settings: Settings) -> None:
    edition = Edition("0123456789abcdef", 7)
    claim = Claim("gateway-1", "version", edition, epochs.seal("version", edition))
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another-" + "c" * 40
    assert not claim.is_sealed
    settings.SECRET_KEY_FALLBACKS = [old]
    assert claim.is_sealed


def test_a_short_key_hinders_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSEWAY_SEALING_KEYS", f"{FIRST},short")
    with pytest.raises(ImproperlyConfigured, match="CAUSEWAY_SEALING_KEYS must be keys of at least 32"):
        runpy.run_path(str(ROOT / "console" / "settings.py"))
