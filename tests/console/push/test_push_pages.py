"""Settings ▸ Message push: each action by plain posts and by htmx, and who may."""

import pytest
from django.test import Client

from console.core import audit
from console.core.sealed import unseal
from console.models import AuditRow, PushChannel
from console.push import outbox, services
from console.push.models import PURPOSE
from tests.console.push_receivers import web_receiver
from tests.queries import queries
from tests.responses import words

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("private_allowed")]
HTMX = {"HX-Request": "true", "HX-Target": "panel"}
LIST = "/settings/push/"
ACTIONS = ("test", "enable", "disable", "delete", "new-secret")


@pytest.fixture
def channel(db: None) -> PushChannel:
    return services.channel_create(
        name="hook", kind="webhook", url="http://127.0.0.1:9/x?token=t0p-53cret", actor=audit.System("test")
    )[0]


def url(channel: PushChannel, action: str = "") -> str:
    return f"{LIST}{channel.pk}/{action + '/' if action else ''}"


def sealed(channel: PushChannel) -> dict[str, str]:
    return unseal(PURPOSE, PushChannel.objects.get(pk=channel.pk).sealed)


def test_a_webhooks_secret_is_shown_once(operator_client: Client) -> None:
    answer = operator_client.post(f"{LIST}add/webhook/", {"name": "hook", "url": "http://127.0.0.1:9/x"})
    channel = PushChannel.objects.get()
    secret = sealed(channel)["secret"]
    assert answer.status_code == 200 and secret in answer.text
    assert "no-store" in answer["Cache-Control"]
    assert secret not in operator_client.get(url(channel)).text
    row = AuditRow.objects.get(verb="push_channel.create")
    assert row.after == {"name": "hook", "kind": "webhook", "destination": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("email", {"recipients": "a@corp.example\nb@corp.example"}),
        ("slack", {"url": "http://127.0.0.1:9/x"}),
        ("dingtalk", {"url": "http://127.0.0.1:9/x", "secret": "SEC1"}),
    ],
)
def test_other_kinds_are_added_plain_and_by_htmx(
    operator_client: Client, kind: str, fields: dict[str, str]
) -> None:
    answer = operator_client.post(f"{LIST}add/{kind}/", {"name": "one", **fields})
    assert (answer.status_code, answer["Location"]) == (302, LIST)
    answer = operator_client.post(f"{LIST}add/{kind}/", {"name": "two", **fields}, headers=HTMX)
    assert answer.status_code == 200 and LIST in answer["HX-Location"]
    assert set(PushChannel.objects.values_list("name", "kind")) == {("one", kind), ("two", kind)}


@pytest.mark.parametrize(
    ("kind", "fields", "sentence"),
    [
        ("email", {"name": "x", "recipients": "nobody"}, "nobody is not an e-mail address."),
        (
            "email",
            {"name": "x", "recipients": ",".join(f"a{n}@b.example" for n in range(51))},
            "1 to 50 e-mail",
        ),
        ("email", {"name": "x", "recipients": ""}, "1 to 50 e-mail"),
        ("webhook", {"name": "", "url": "http://127.0.0.1/"}, "1 to 100 characters"),
        ("webhook", {"name": "x" * 101, "url": "http://127.0.0.1/"}, "1 to 100 characters"),
        ("webhook", {"name": "x", "url": ""}, "https:// address of at most 2,000"),
        ("dingtalk", {"name": "x", "url": "http://127.0.0.1/", "secret": "s" * 201}, "at most 200 printable"),
        ("webhook", {"name": "a\u202eb", "url": "http://127.0.0.1/"}, "control characters"),
        ("webhook", {"name": "hook", "url": "http://127.0.0.1/"}, "another channel with this name"),
    ],
)
def test_a_bad_field_is_named_and_the_input_kept(
    operator_client: Client, channel: PushChannel, kind: str, fields: dict[str, str], sentence: str
) -> None:
    answer = operator_client.post(f"{LIST}add/{kind}/", fields)
    assert answer.status_code == 422 and sentence in answer.text
    assert PushChannel.objects.count() == 1


def test_an_unknown_kind_is_not_found(operator_client: Client) -> None:
    assert operator_client.get(f"{LIST}add/pigeon/").status_code == 404


def test_what_is_left_empty_stays(operator_client: Client, channel: PushChannel) -> None:
    before = sealed(channel)
    operator_client.post(url(channel), {"name": "renamed", "url": ""})
    assert PushChannel.objects.get().name == "renamed" and sealed(channel) == before
    operator_client.post(url(channel), {"name": "renamed", "url": "http://127.0.0.1:10/y"})
    assert sealed(channel) == before | {"url": "http://127.0.0.1:10/y"}


def test_a_new_secret_replaces_the_old_one_and_is_shown_once(
    operator_client: Client, channel: PushChannel
) -> None:
    before = sealed(channel)["secret"]
    answer = operator_client.post(url(channel, "new-secret"), headers=HTMX)
    after = sealed(channel)["secret"]
    assert after != before and after in answer.text


def test_off_and_on(operator_client: Client, channel: PushChannel) -> None:
    dialog = operator_client.get(url(channel, "confirm-disable")).text
    assert "nobody is told of alerts" in dialog
    operator_client.post(url(channel, "disable"))
    assert not PushChannel.objects.get().enabled and not outbox.is_configured()
    assert operator_client.post(url(channel, "disable")).status_code == 409
    operator_client.post(url(channel, "enable"))
    assert outbox.is_configured()


def test_deleted_with_what_waits(operator_client: Client, channel: PushChannel) -> None:
    from django.db import transaction

    with transaction.atomic():
        outbox.post(kind="alerts", title="t", text="t")
    assert "1 message that waits for it is lost" in words(operator_client.get(url(channel, "confirm-delete")))
    answer = operator_client.post(url(channel, "delete"))
    assert answer["Location"] == LIST and not PushChannel.objects.exists()


def test_the_test_button_shows_the_receivers_answer(operator_client: Client, channel: PushChannel) -> None:
    with web_receiver() as receiver:
        operator_client.post(url(channel), {"name": "hook", "url": receiver.url})
        receiver.status, receiver.answer = 418, "I am <b>a teapot</b>"
        page = operator_client.post(url(channel, "test"), headers=HTMX | {"HX-Target": "dialog"}).text
        assert "Answered 418: I am &lt;b&gt;a teapot&lt;/b&gt;" in page
        assert receiver.got[0].json["type"] == "test"
        receiver.status, receiver.answer = 200, "fine"
        assert "Answered 200: fine" in operator_client.post(url(channel, "test")).text
    assert operator_client.get(url(channel, "test")).status_code == 200


def test_the_list_costs_the_same_for_any_number_of_channels(viewer_client: Client) -> None:
    for number in range(30):
        services.channel_create(
            name=f"n{number}", kind="email", recipients="a@b.example", actor=audit.System("test")
        )
    assert len(queries(viewer_client.get, LIST)) <= 8


def test_django_admin_shows_no_secret_and_switches_by_the_service(
    superuser_client: Client, channel: PushChannel
) -> None:
    page = superuser_client.get(f"/admin/console/pushchannel/{channel.pk}/change/").text
    assert "t0p-53cret" not in page and "sealed" not in page
    answer = superuser_client.post(f"/admin/console/pushchannel/{channel.pk}/change/", {"name": "renamed"})
    assert answer.status_code == 302
    stored = PushChannel.objects.get()
    assert (stored.name, stored.enabled) == ("renamed", False) and sealed(channel)["url"]
