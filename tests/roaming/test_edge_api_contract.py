"""Whatever is sent to the log-on routes, the answer is a 4xx in the one shape, and nothing is written."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from console.machines import reported
from roaming.models import UserSession
from tests.roaming.answers import refusal

pytestmark = pytest.mark.django_db
ROUTES = ["login", "session/renew", "logout"]
JUNK = [
    None,
    1,
    -1,
    2**70,
    1.5,
    True,
    "",
    "\0",
    "a\0b",
    "x" * 100_000,
    [],
    ["a"],
    {},
    {"a": 1},
    "\u202e",
    "\ud800",
    "💥",
]
FIELDS = ["instance", "username", "password", "kind", "public_address"]
# An address may be absent, and null says so.
JUNK_FIELDS = [
    (name, value) for name in FIELDS for value in JUNK if (name, value) != ("public_address", None)
]


def short(value: object) -> str:
    return repr(value)[:20]


def test_junk_in_a_field_of_login_is_refused(
    post: Callable[..., Any], credentials: dict[str, str], subtests: pytest.Subtests
) -> None:
    for field, value in JUNK_FIELDS:
        with subtests.test(field=field, value=short(value)):
            response = post("login", json.dumps(credentials | {field: value}))
            status, _ = refusal(response)
            assert 400 <= status < 500
            assert not UserSession.objects.exists()


@pytest.mark.parametrize("value", JUNK, ids=short)
@pytest.mark.parametrize("route", ["session/renew", "logout"])
def test_junk_for_a_token_is_refused(post: Callable[..., Any], route: str, value: Any) -> None:
    status, _ = refusal(post(route, json.dumps({"token": value})))
    assert status in {401, 422}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "body", ["", "{", "[]", "null", '"text"', "1", "\x00", "{}", '{"a": NaN}', '{"unknown": 1}']
)
def test_bodies_that_are_not_the_object_wanted_are_refused(
    post: Callable[..., Any], route: str, body: str
) -> None:
    status, _ = refusal(post(route, body))
    assert 400 <= status < 500


@pytest.mark.parametrize("body", ["[]", "null", "1"])
def test_of_a_body_that_is_no_object_no_field_is_named(post: Callable[..., Any], body: str) -> None:
    wrong = post("login", body).json()["error"]
    assert wrong["field"] is None and wrong["message"] == "The document must be an object."


def test_unknown_fields_are_ignored_and_named_once(
    login: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    reported._named.clear()  # all that do not sign are one caller
    for secret in ("hunter2", "hunter3"):
        assert login(enterprise=secret).status_code == 200
    (line,) = [record.getMessage() for record in caplog.records if record.name == "causeway.reported"]
    assert "enterprise" in line and "hunter" not in line


@pytest.mark.parametrize("field", ["instance", "username", "password", "kind"])
def test_a_missing_field_is_refused_by_name(
    login: Callable[..., Any], credentials: dict[str, str], field: str
) -> None:
    del credentials[field]
    response = login()
    assert refusal(response) == (422, "InvalidParameter")
    assert response.json()["error"]["field"] == field


@pytest.mark.parametrize("route", ROUTES)
def test_other_methods_are_refused(client: Client, route: str) -> None:
    assert client.get(f"/edge/v1/{route}").status_code == 405


def test_a_refused_password_is_not_repeated(login: Callable[..., Any]) -> None:
    answer = login(password="hunter2" * 50)
    assert refusal(answer) == (422, "InvalidParameter")
    assert "hunter2" not in answer.text


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from([*FIELDS, "token", "x"])


@settings(max_examples=150)
@given(body=st.dictionaries(NAMES, ANYTHING, max_size=6) | ANYTHING, route=st.sampled_from(ROUTES))
def test_no_json_makes_the_console_fail(
    post: Callable[..., Any], body: dict[str, Any] | float | list[Any] | None, route: str
) -> None:
    response = post(route, json.dumps(body))
    assert 400 <= response.status_code < 500
    refusal(response)
