"""What receivers get, and where nothing is sent."""

import base64
import email
import hashlib
import hmac
import socket
import threading
from email import policy
from socket import SocketKind
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from console.core import audit
from console.core.sealed import unseal
from console.models import PushChannel, PushMessage
from console.push import addresses, formats, services
from console.push.models import PURPOSE
from console.push.sending import send
from tests.console.push_receivers import WebReceiver, mail_receiver, web_receiver

ACTOR = audit.System("test")
pytestmark = pytest.mark.django_db


def message(**values: Any) -> PushMessage:
    given = {"kind": "alerts", "title": "Firing: x", "text": "In words.", "url": "http://testserver/alerts/"}
    return PushMessage(**(given | values))


def made(kind: str, **values: str) -> tuple[Any, ...]:
    channel, secret = services.channel_create(name=kind, kind=kind, actor=ACTOR, **values)
    return channel, secret, unseal(PURPOSE, channel.sealed)


def test_a_webhook_is_the_documented_json_with_a_signature_that_holds(receiver: WebReceiver) -> None:
    channel, secret, values = made("webhook", url=receiver.url)
    told = message(body={"alerts": [{"id": "alert-1"}]})
    assert send(channel, told, values).ok
    (got,) = receiver.got
    assert got.path == "/hook?token=t0p-53cret" and got.headers["content-type"].startswith("application/json")
    assert set(got.json) == {"id", "type", "created_at", "title", "text", "url", "alerts"}
    assert got.json["id"] == told.pk == got.headers["webhook-id"]
    # As a receiver checks it, from the documentation alone.
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{expected}"


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of the specification's reference libraries."""
    assert (
        formats.signature(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            b'{"test": 2432232314}',
        )
        == "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_dingtalk_gets_markdown_and_its_own_signature(receiver: WebReceiver) -> None:
    channel, _, values = made("dingtalk", url=receiver.url, secret="SECabc")
    receiver.answer = '{"errcode": 0, "errmsg": "ok"}'
    assert send(channel, message(title="a *b* [c](d)"), values).ok
    (got,) = receiver.got
    assert got.json["msgtype"] == "markdown" and r"\*b\*" in got.json["markdown"]["text"]
    query = dict(pair.split("=", 1) for pair in got.path.split("?")[1].split("&"))
    from urllib.parse import unquote

    digest = hmac.new(b"SECabc", f"{query['timestamp']}\nSECabc".encode(), hashlib.sha256).digest()
    assert query["token"] == "t0p-53cret" and base64.b64decode(unquote(query["sign"])) == digest


def test_dingtalk_says_no_with_status_200(receiver: WebReceiver) -> None:
    channel, _, values = made("dingtalk", url=receiver.url)
    receiver.answer = '{"errcode": 310000, "errmsg": "sign not match"}'
    answer = send(channel, message(), values)
    assert not answer.ok and answer.text == "DingTalk: sign not match (310000)"
    receiver.answer = "<html>"
    assert not send(channel, message(), values).ok


def test_slack_gets_text_in_which_nobody_can_mention_everybody(receiver: WebReceiver) -> None:
    channel, _, values = made("slack", url=receiver.url)
    assert send(channel, message(text="host <!channel> & co"), values).ok
    assert "&lt;!channel&gt; &amp; co" in receiver.got[0].json["text"]


def test_mail_goes_to_all_recipients_and_carries_the_id(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    with mail_receiver() as sink:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", sink.port
        channel, _, values = made("email", recipients="a@corp.example, b@corp.example")
        told = message(title="Firing: x\nBcc: evil@example.com", text="Höhe")
        answer = send(channel, told, values)
        again = send(channel, told, values)
        assert answer.ok and again.ok, answer
        first, second = (email.message_from_bytes(mail, policy=policy.default) for mail in sink.mails)
        assert sink.recipients == ["a@corp.example", "b@corp.example"] * 2
        assert first["message-id"] == second["message-id"] and told.pk in first["message-id"]
        assert first["subject"] == "Firing: x Bcc: evil@example.com" and first["bcc"] is None
        assert "Höhe" in first.get_content() and told.url in first.get_content()
        sink.refuse = True
        refused = send(channel, told, values)
        assert not refused.ok and "nobody here" in refused.text
    assert not send(channel, told, values).ok, "the mail server is gone"


def test_redirects_are_not_followed(receiver: WebReceiver) -> None:
    channel, _, values = made("webhook", url=receiver.url)
    with web_receiver() as other:
        receiver.status, receiver.headers = 307, {"Location": other.url}
        answer = send(channel, message(), values)
        assert not answer.ok and "redirects are not followed" in answer.text and other.got == []


def test_a_receiver_that_drips_is_left_after_the_time_of_an_attempt(
    private_allowed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.push.sending.ATTEMPT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        channel, _, values = made("webhook", url=url)
        answer = send(channel, message(), values)
    assert not answer.ok and ("did not answer" in answer.text or "Timeout" in answer.text)


def test_a_huge_or_unprintable_answer_is_cut_short(receiver: WebReceiver) -> None:
    receiver.answer = "\x1b[31m" + "x" * 100_000
    channel, _, values = made("webhook", url=receiver.url)
    answer = send(channel, message(), values)
    assert answer.ok and len(answer.text) < 300 and "\x1b" not in answer.text


TOKEN = "B0aaaaa1/n0tForTheEyes"


@pytest.mark.parametrize(
    "said",
    [
        "Cannot POST /services/B0aaaaa1/n0tForTheEyes?access_token=hunter22&x=1",
        "no hook of n0tForTheEyes",
        '{"path":"\\/services\\/B0aaaaa1\\/n0tForTheEyes","token":"hunter22"}',
        "x" * 190 + "/services/B0aaaaa1/n0tForTheEyes",  # cut in the midst of it
    ],
)
@pytest.mark.parametrize("kind", ["slack", "dingtalk"])
def test_a_receiver_that_repeats_its_address_gives_no_secret_away(
    receiver: WebReceiver, kind: str, said: str
) -> None:
    receiver.status = 404
    receiver.answer = said
    url = f"http://127.0.0.1:{receiver.port}/services/{TOKEN}?access_token=hunter22&x=1"
    channel, _, values = made(kind, url=url)
    answer = send(channel, message(), values)
    assert not answer.ok and "404" in answer.text and len(answer.text) > 8
    assert not any(secret in answer.text for secret in ("B0aa", "n0tFor", "hunter"))


def test_neither_does_one_that_speaks_no_http(private_allowed: None) -> None:
    def repeat() -> None:
        with server.accept()[0] as connection:
            connection.sendall(connection.recv(100_000).split(b"\r\n")[0] + b"\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=repeat)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/services/{TOKEN}"
        channel, _, values = made("slack", url=url)
        answer = send(channel, message(), values)
        thread.join()
    assert not answer.ok and "…" in answer.text
    assert "B0aa" not in answer.text and "n0tFor" not in answer.text


# --- Where nothing is sent --------------------------------------------------------------------------------------------

PRIVATE = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "192.0.2.1", "224.0.0.1", "255.255.255.255", "localhost", "LOCALHOST.",
    "[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]", "[ff02::1]", "[fec0::1]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]", "[64:ff9b:1::7f00:1]",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
def test_private_addresses_are_refused_in_every_spelling(host: str) -> None:
    target = addresses.parse(f"https://{host}/")
    with pytest.raises(addresses.AddressRefused):
        addresses.allowed(target)


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_not(address: str) -> None:
    import ipaddress

    assert addresses.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/", "ftp://hooks.example.com/", "https://", "https:///x", "hooks.example.com",
        "https://user:secret@hooks.example.com/", "https://hooks.example.com/#x", "https://hooks.example.com:99999/",
        "https://hooks.example.com/a b", "https://hooks.example.com/\r\nX: y", "https://höst.example/",
        "https://hooks.example.com\\@evil.example/", "https://[::1", "x" * 3000, "file:///etc/passwd",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_when_it_is_typed_in(url: str, operator_client: Client) -> None:
    answer = operator_client.post("/settings/push/add/webhook/", {"name": "x", "url": url})
    assert answer.status_code == 422 and not PushChannel.objects.exists()
    page = answer.text
    assert "must" in page or "at most 2,000 ASCII characters" in page


def test_the_connection_goes_to_the_address_that_was_checked(
    receiver: WebReceiver, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    """A name that answers «public» to the check and «private» to the connection leads nowhere: it is asked once."""
    asked = []
    real = socket.getaddrinfo

    def answers(host: str, *args: int, **kwargs: SocketKind) -> list[tuple[Any, ...]]:
        if host != "rebind.example":
            return real(host, *args, **kwargs)
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return real(address, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", answers)
    channel, _, values = made("webhook", url=f"http://rebind.example:{receiver.port}/hook")
    assert send(channel, message(), values).ok
    assert asked == ["rebind.example"]
    assert receiver.got[0].headers["host"] == f"rebind.example:{receiver.port}"
    settings.PUSH_ALLOW_PRIVATE = False
    refused = send(channel, message(), values | {"url": f"https://rebind.example:{receiver.port}/hook"})
    assert not refused.ok and "private" in refused.text and len(receiver.got) == 1


def test_secrets_are_sealed_and_appear_nowhere(receiver: WebReceiver, operator_client: Client) -> None:
    channel, secret, _ = made("webhook", url=receiver.url)
    row = PushChannel.objects.values().get()
    stored = " ".join(str(value) for value in row.values())
    assert secret not in stored and "t0p-53cret" not in stored
    for path in ("", f"{channel.pk}/", f"{channel.pk}/test/", "messages/"):
        page = operator_client.get(f"/settings/push/{path}").text
        assert secret not in page and "t0p-53cret" not in page
    from console.models import AuditRow

    assert "t0p-53cret" not in str(list(AuditRow.objects.values_list("before", "after")))
