"""No request makes the console fail: made-up ones of each role, to every URL, in worlds that earlier ones changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import transaction
from django.http import HttpResponse
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_django import Settings

from tests.console import absurd
from tests.console.test_roles import WHEEL
from tests.fuzz import values
from tests.fuzz.cast import MACHINES, ROLES, Cast
from tests.fuzz.requests import CALLS, JSON, Request
from tests.fuzz.stories import Errors, Story, Told, faults, quiet, sent
from tests.fuzz.targets import Map, everywhere
from tests.responses import Response

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
# The same requests in every run; `python -m bench.fuzz` takes others.
SEED, LENGTH = 20261129, 200
EDGE = [target.path for target in everywhere() if target.door == "edge" and target.path != "/edge/v1/"]
maps: list[Map] = []


@pytest.fixture
def known(db: None, tmp_path: Path, settings: Settings) -> Map:
    """What the pages say of themselves, read once by each process."""
    settings.WHEEL_DIR = tmp_path
    (tmp_path / WHEEL).write_bytes(b"wheel")
    if not maps:
        with quiet(Errors()), transaction.atomic():
            cast = Cast()
            maps.append(Map(cast.client("superuser"), cast.ids))
            transaction.set_rollback(True)
    return maps[0]


@pytest.fixture
def cast(db: None) -> Cast:
    return Cast()


@pytest.mark.parametrize("role", ROLES)
def test_no_request_of_a_role_makes_the_console_fail(known: Map, role: str) -> None:
    told = Told()
    print(f"python -m bench.fuzz --seed {SEED} --story {ROLES.index(role)} --role {role}")
    Story(SEED, ROLES.index(role), [role], told).run(known, LENGTH)
    assert told.requests == LENGTH
    assert not told.faults, "\n\n".join(told.faults)


def test_the_pages_tell_which_fields_and_parameters_they_have(known: Map) -> None:
    pages, doors = known.of("pages"), known.of("admin")
    assert len([target for target in pages if target.fields]) > 50
    assert len([target for target in doors if target.fields]) > 40
    assert [target.path for target in pages if target.files]
    add = next(target for target in pages if target.path == "/sase/policies/add/")
    assert {"name", "priority", "users"} <= set(add.fields)


@pytest.mark.parametrize("role", MACHINES)
def test_what_an_honest_machine_sends_is_taken(cast: Cast, role: str) -> None:
    """Else all that is made of an honest call would be turned away at the door."""
    paths = [path for path in EDGE if any(word in path for word in CALLS[role])]
    assert len(paths) >= 5
    for path in paths:
        answer = call(cast, role, path, cast.call(role, path))
        assert answer.status_code == 200 or answer.json()["error"]["code"] in TURNED_AWAY, (path, answer.text)


# The world's machines have no export that waits for them, and a server cannot log on for somebody.
TURNED_AWAY = ("LogsNotWanted", "WrongKindOfMachine")


def call(cast: Cast, role: str, path: str, body: object) -> Response:
    data = json.dumps(body).encode()
    token = cast.machines[role].token(path, data)
    request = Request(role, "POST", path, {"authorization": f"Bearer {token}"}, JSON, data)
    return sent(cast.client("viewer"), request)


@settings(max_examples=60)
@given(path=st.sampled_from(EDGE), field=st.integers(0, 20), value=absurd.JSON)
def test_no_value_in_a_call_makes_the_console_fail(cast: Cast, path: str, field: int, value: object) -> None:
    role = "server" if "server" in path or "telemetry" in path else "gateway"
    body = cast.call(role, path) or {"new": 1}
    names = list(body)
    answer = call(cast, role, path, body | {names[field % len(names)]: value})
    assert answer.status_code < 500, answer.text


WRONG: Sequence[tuple[HttpResponse, str]] = [
    (HttpResponse(status=500), "status 500"),
    (HttpResponse(status=503), "status 503"),
    (HttpResponse(headers={"Location": "//evil.example/"}), "another host"),
    (HttpResponse(headers={"HX-Redirect": "/\\evil.example/"}), "another host"),
    (HttpResponse("Traceback (most recent call last): ..."), "stack trace"),
    (HttpResponse(f"<p>{values.SCRIPT}"), "as it was sent"),
    (HttpResponse(f"the key is {django_settings.SECRET_KEY}"), "secret"),
]


@pytest.mark.parametrize(("answer", "what"), WRONG, ids=[what for _, what in WRONG])
def test_what_is_wrong_with_an_answer_is_said(answer: HttpResponse, what: str) -> None:
    (said,) = faults(answer)
    assert what in said


def test_a_turn_and_a_way_within_the_console_are_right() -> None:
    assert not list(faults(HttpResponse(status=503, headers={"Retry-After": "2"})))
    assert not list(faults(HttpResponse(headers={"Location": "/audit/"})))


def test_a_story_is_the_same_again(known: Map) -> None:
    first, second = Told(), Told()
    for told in (first, second):
        with transaction.atomic():
            Story(SEED, 99, ["anonymous"], told).run(known, 60)
            transaction.set_rollback(True)
    assert first.counts == second.counts
