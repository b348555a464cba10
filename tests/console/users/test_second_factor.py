"""Second factor of log-ins: set up, asked for, used once, lost, demanded by the settings."""

from __future__ import annotations

import re
import time
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings as django_settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from console.core import log_ins, people, second_factor
from console.models import AuditRow, LogIn, SecondFactor, User
from tests.at_once import at_once
from tests.console.factories import PASSWORD, UserFactory
from tests.responses import Response, words

pytestmark = pytest.mark.django_db
LOG_IN, CODE, SET_UP = reverse("login"), reverse("log_in_code"), reverse("second_factor")
LIMIT = django_settings.AXES_FAILURE_LIMIT


def code_of(secret: str, steps: int = 0) -> str:
    """What an app shows now, or some steps of 30 s away."""
    moment = int(time.time()) + steps * second_factor.STEP
    return second_factor._totp(secret).generate(moment).decode()


@pytest.fixture
def secret(viewer: User) -> str:
    """The secret of the viewer's app, which was set up a while ago."""
    made = second_factor.new_secret()
    second_factor.factor_create(user=viewer, secret=made, code=code_of(made))
    SecondFactor.objects.update(last_step=0)
    return made


def password(username: str = "viewer", address: str = "203.0.113.9", **values: str) -> Client:
    client = Client(REMOTE_ADDR=address)
    given = {"username": username, "password": PASSWORD} | values
    answer = client.post(LOG_IN, given)
    assert answer.status_code == 302, answer.content
    return client


def typed(client: Client, code: str) -> Response:
    return client.post(CODE, {"code": code})


def is_in(client: Client) -> bool:
    return client.get("/gateways/").status_code == 200


def verbs() -> list[str]:
    return list(AuditRow.objects.order_by("pk").values_list("verb", flat=True))


# --- Log-in -----------------------------------------------------------------------------------------------------------


def test_the_password_alone_does_not_log_in(secret: str) -> None:
    client = password()
    assert (
        not is_in(client) and "user.log_in" not in verbs() and not LogIn.objects.exclude(user=None).exists()
    )
    page = client.get(CODE)
    assert page.status_code == 200 and "viewer" in page.text
    answer = typed(client, code_of(secret))
    assert answer.status_code == 302 and answer["Location"] == "/" and is_in(client)
    assert LogIn.objects.get(user__username="viewer").expire_date > timezone.now() + timedelta(hours=11)
    assert verbs()[-1] == "user.log_in"


def test_the_log_in_leads_to_where_it_began_and_never_elsewhere(secret: str) -> None:
    assert typed(password(next="/gateways/"), code_of(secret))["Location"] == "/gateways/"
    SecondFactor.objects.update(last_step=0)
    assert typed(password(next="https://evil.example/"), code_of(secret))["Location"] == "/"


def test_a_code_counts_once_and_so_does_an_older_one(secret: str) -> None:
    assert typed(password(), code_of(secret)).status_code == 302
    for code in (code_of(secret), code_of(secret, -1)):
        answer = typed(password(), code)
        assert answer.status_code == 422 and "was used already" in answer.text


@pytest.mark.django_db(transaction=True)
def test_of_two_who_use_a_code_at_once_one_passes(secret: str, viewer: User) -> None:
    code = code_of(secret)
    assert sorted(at_once(*[lambda: second_factor.passes(viewer, code)] * 2)) == [False, True]


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_clock_may_be_half_a_minute_off(secret: str, steps: int) -> None:
    assert typed(password(), code_of(secret, steps)).status_code == 302


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "x" * 41, "000 000"])
def test_what_is_no_code_is_refused_in_words(secret: str, code: str) -> None:
    client = password()
    answer = typed(client, code)
    assert answer.status_code in (200, 422) and not is_in(client)
    with time_machine.travel(timezone.now() + timedelta(minutes=3), tick=False):
        assert typed(client, code_of(secret, -4)).status_code == 422


def test_the_right_password_counts_for_five_minutes(secret: str) -> None:
    client = password()
    with time_machine.travel(timezone.now() + timedelta(minutes=6), tick=False):
        for answer in (client.get(CODE), typed(client, code_of(secret))):
            assert answer.status_code == 302 and answer["Location"] == LOG_IN


@pytest.mark.parametrize("by", ["password", "disabled"])
def test_what_was_begun_ends_with_the_password_and_with_the_user(secret: str, viewer: User, by: str) -> None:
    client = password()
    if by == "password":
        people.user_password_set(user=viewer, password="another pass phrase", actor=viewer)
    else:
        User.objects.update(is_active=False)
    assert typed(client, code_of(secret))["Location"] == LOG_IN and not is_in(client)


def test_without_a_password_before_no_code_is_asked_for() -> None:
    for answer in (Client().get(CODE), typed(Client(), "123456")):
        assert answer.status_code == 302 and answer["Location"] == LOG_IN


def test_wrong_codes_lock_out_as_wrong_passwords_do_and_are_in_the_audit(secret: str) -> None:
    client = password()
    for _ in range(LIMIT - 1):
        assert typed(client, "000000").status_code == 422
    assert typed(client, "000000").status_code == 429
    assert typed(client, code_of(secret)).status_code == 429 and not is_in(client)
    assert (
        Client(REMOTE_ADDR="203.0.113.9")
        .post(LOG_IN, {"username": "viewer", "password": PASSWORD})
        .status_code
        == 429
    )
    assert typed(password(address="203.0.113.10"), code_of(secret)).status_code == 302
    log_ins.tell(timezone.now() + timedelta(minutes=1))
    rows = {
        row.verb: row.after
        for row in AuditRow.objects.filter(verb__in=["user.log_in_failed", "user.lock_out"])
    }
    assert rows["user.log_in_failed"]["failures"] == LIMIT + 1 and rows["user.lock_out"]["user_names"] == [
        "viewer"
    ]


def test_guesses_from_many_addresses_are_slowed_and_a_recovery_code_is_not(secret: str, viewer: User) -> None:
    codes = second_factor.recovery_codes_renew(user=viewer, code=code_of(secret))
    SecondFactor.objects.update(last_step=0)
    for number in range(second_factor.MOST_FAILURES):
        typed(password(address=f"198.51.100.{number}"), "000000")
    client = password()
    answer = typed(client, code_of(secret))
    assert "Too many wrong codes were typed for this user." in answer.text and not is_in(client)
    assert typed(client, codes[0]).status_code == 302 and is_in(client)
    assert typed(password(), code_of(secret)).status_code == 302, "a right code ends the pause"


def test_the_pause_after_many_wrong_codes_ends(secret: str) -> None:
    SecondFactor.objects.update(failures=second_factor.MOST_FAILURES, failed_at=timezone.now())
    assert typed(password(), code_of(secret)).status_code == 422
    SecondFactor.objects.update(failed_at=timezone.now() - second_factor.PAUSE)
    assert typed(password(), code_of(secret)).status_code == 302


def test_django_admin_is_no_way_round(secret: str, viewer: User) -> None:
    viewer.is_staff = True
    viewer.save()
    client = Client()
    answer = client.post("/admin/login/", {"username": "viewer", "password": PASSWORD})
    assert answer.status_code == 200 and "Begin at /log-in/ instead." in answer.text
    assert client.get("/admin/").status_code == 302


def test_a_link_for_a_password_is_no_way_round(secret: str, viewer: User) -> None:
    from console.core import password_links

    link = reverse("password_link", args=[password_links.link_create(user=viewer, actor=viewer)])
    client, new = Client(), "an entirely new pass phrase"
    client.post(link, {"password": new, "again": new})
    assert not is_in(client) and not is_in(password(password=new))


# --- Recovery codes ---------------------------------------------------------------------------------------------------


def test_a_recovery_code_counts_once_however_it_is_typed(secret: str, viewer: User) -> None:
    codes = second_factor.recovery_codes_renew(user=viewer, code=code_of(secret))
    assert len(set(codes)) == 10 and all(
        re.fullmatch(r"([A-Z2-7]{4}-){3}[A-Z2-7]{4}", code) for code in codes
    )
    for code in (codes[0], codes[1].lower(), codes[2].replace("-", " ")):
        assert typed(password(), code).status_code == 302
        assert typed(password(), code).status_code == 422
    row = AuditRow.objects.filter(verb="user.recovery_code_use").first()
    assert row is not None and row.after == {"left": 7}


def test_new_recovery_codes_end_the_old_ones(secret: str, viewer: User, viewer_client: Client) -> None:
    (old, *_) = second_factor.recovery_codes_renew(user=viewer, code=code_of(secret))
    SecondFactor.objects.update(last_step=0)
    url = reverse("recovery_codes")
    assert viewer_client.post(url, {"code": "000000"}).status_code == 422
    new = re.findall(
        r"(?:[A-Z2-7]{4}-){3}[A-Z2-7]{4}", viewer_client.post(url, {"code": code_of(secret)}).text
    )
    assert len(new) == 10 and old not in new
    assert typed(password(), old).status_code == 422 and typed(password(), new[0]).status_code == 302


# --- Set up, removed, reset -------------------------------------------------------------------------------------------


def set_up(client: Client) -> tuple[str, Response]:
    """Set up an app by the page, as a person would."""
    page = client.get(SET_UP).text
    (made,) = re.findall(r'id="factor-secret">([A-Z2-7]+)<', page)
    assert "data:image/svg+xml;base64," in page and f"secret={made}" in page
    return made, client.post(SET_UP, {"code": code_of(made)})


def test_an_app_is_set_up_and_other_log_ins_end(viewer: User) -> None:
    here, there = password(), password()
    made, answer = set_up(here)
    codes = re.findall(r"(?:[A-Z2-7]{4}-){3}[A-Z2-7]{4}", answer.text)
    assert answer.status_code == 200 and len(codes) == 10 and "no-store" in answer["Cache-Control"]
    assert is_in(here) and not is_in(there)
    assert "10 recovery codes left" in words(here.get(reverse("profile")))
    assert typed(password(), codes[0]).status_code == 302
    assert "user.factor_create" in verbs()
    stored = f"{list(SecondFactor.objects.values())} {[row.get_decoded() for row in LogIn.objects.all()]}"
    audited = str(list(AuditRow.objects.values()))
    for each in (made, *codes, codes[0].replace("-", "")):
        assert each not in stored and each not in audited


def test_a_wrong_code_sets_nothing_up_and_the_key_stays_the_same(viewer_client: Client) -> None:
    first = re.findall(r'id="factor-secret">([A-Z2-7]+)<', viewer_client.get(SET_UP).text)
    answer = viewer_client.post(SET_UP, {"code": "000000"})
    assert answer.status_code == 422 and not SecondFactor.objects.exists()
    assert re.findall(r'id="factor-secret">([A-Z2-7]+)<', answer.text) == first


def test_a_second_app_is_refused(secret: str, viewer_client: Client) -> None:
    assert "You have a second factor." in viewer_client.get(SET_UP).text
    viewer_client.post(SET_UP, {"code": "000000"})
    assert SecondFactor.objects.count() == 1


def test_the_own_one_is_removed_by_a_code_alone(secret: str, viewer_client: Client) -> None:
    url = reverse("second_factor_off")
    assert viewer_client.post(url, {"code": "000000"}).status_code == 422
    assert SecondFactor.objects.get().failures == 1, "a guess counts"
    assert viewer_client.post(url, {"code": code_of(secret)}).status_code == 302
    assert not SecondFactor.objects.exists() and is_in(password())


def test_an_administrator_takes_away_one_that_was_lost(
    secret: str, viewer: User, administrator_client: Client
) -> None:
    url = reverse("users:reset_factor", args=[viewer.pk])
    assert (
        "by the password alone"
        in administrator_client.get(reverse("users:confirm_reset_factor", args=[viewer.pk])).text
    )
    assert administrator_client.post(url).status_code == 302 and is_in(password())
    row = AuditRow.objects.get(verb="user.factor_delete")
    assert (row.actor, row.target_name) == ("administrator", "viewer")
    assert administrator_client.post(url).status_code == 409


# --- Demanded ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("demanded", "role", "held"),
    [
        ("off", "administrator", False),
        ("administrators", "operator", False),
        ("administrators", "administrator", True),
        ("all", "viewer", True),
    ],
)
def test_who_must_have_one_sees_nothing_else_before(
    settings: Settings, demanded: str, role: str, held: bool
) -> None:
    settings.SECOND_FACTOR = demanded
    user = UserFactory(role=role, is_staff=True)
    client = password(user.username)
    for url in ("/", "/gateways/", "/profile/", "/admin/", "/admin/console/user/", "/audit/audit.csv"):
        answer = client.get(url)
        assert (answer.status_code == 302 and answer["Location"] == SET_UP) is held, url
    answer = client.get("/gateways/", headers={"HX-Request": "true"})
    assert (answer.get("HX-Redirect") == SET_UP) is held
    assert client.post("/access-keys/add/")["Location"] == SET_UP if held else True
    if held:
        assert "demands a second factor of you" in client.get(SET_UP).text
        set_up(client)
        assert is_in(client) and client.get("/admin/").status_code == 200
        assert not is_in(password(user.username))
        assert client.post(reverse("second_factor_off"), {"code": "000000"}).status_code == 422
        assert client.post(reverse("logout")).status_code == 200


def test_who_logged_in_before_it_was_demanded_sets_one_up_as_well(settings: Settings, viewer: User) -> None:
    client = password()
    assert is_in(client)
    settings.SECOND_FACTOR = "all"
    assert client.get("/gateways/")["Location"] == SET_UP


def test_machines_and_the_health_page_are_not_asked(settings: Settings, viewer: User) -> None:
    settings.SECOND_FACTOR = "all"
    client = password()
    assert client.get("/healthz").status_code == 200
    assert client.post("/edge/v1/gateway/config").status_code not in (200, 302)
